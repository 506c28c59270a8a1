"""`tunegate case`: an incident becomes a case, and nothing else in the file changes."""

from __future__ import annotations

import json

import pytest
import yaml
from typer.testing import CliRunner

from tests.support.units import SCHEMA
from tunegate.harness.cli.main import app

FILE = """\
version: 1
suite: schema
unit: triage   # the queue
check: {schema: refs/product.schema.json}
cases:
  - id: cold
    input: "No  heat"
    expect: {product: radiator}   # told by phone
"""
LEAK = {"id": 7, "input": "The boiler leaks again, since Monday", "output": '{"product": "radiator"}'}


@pytest.fixture
def unit(tmp_path, monkeypatch):
    """The fixture file of a unit, in the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "fixtures" / "desk"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "product.schema.json").write_text(json.dumps(SCHEMA))
    (folder / "triage.yaml").write_text(FILE)
    return folder / "triage.yaml"


def run(*arguments, lines=(LEAK,), said="", wanted="7"):
    with open("log.jsonl", "w") as log:  # noqa: PTH123
        log.writelines(json.dumps(line) + "\n" for line in lines)
    return CliRunner().invoke(
        app, ["case", "desk/triage", "--from=log.jsonl", f"--id={wanted}", *arguments], input=said
    )


def added(unit):
    return yaml.safe_load(unit.read_text())["cases"][1:]


def test_an_incident_becomes_the_last_case_and_the_rest_of_the_file_stays(unit):
    unit.chmod(0o640)
    done = run("--expect={product: boiler}", "--critical")

    assert done.exit_code == 0, done.output
    assert unit.read_text() == FILE + (
        "  - id: the-boiler-leaks-again-since\n    input: The boiler leaks again, since Monday\n    critical: true\n"
        "    expect: {product: boiler}\n"
    )
    assert unit.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in unit.parent.iterdir()) == ["refs", "triage.yaml"]
    assert "the output in the log fails this case: " in done.output
    assert "next: tunegate lint fixtures/desk/triage.yaml" in done.output
    assert "pytest fixtures --tg-record -k 'desk/triage'" in done.output


def test_a_terminal_is_asked_until_the_expectation_is_one_of_the_units(unit):
    done = run(said="{product: kettle}\n{product: boiler}\ny\n")

    assert done.exit_code == 0, done.output
    assert 'output: {"product": "radiator"}' in done.output
    assert "kettle" in done.output
    assert added(unit) == [
        {
            "id": "the-boiler-leaks-again-since",
            "input": LEAK["input"],
            "critical": True,
            "expect": {"product": "boiler"},
        }
    ]


def test_without_a_terminal_and_without_an_expectation_it_is_a_usage_error(unit):
    done = run()

    assert done.exit_code == 2
    assert unit.read_text() == FILE


def test_an_output_that_passes_is_told(unit):
    assert "the output in the log passes this case" in run("--expect={product: radiator}").output


def test_messages_are_an_input_of_turns_and_a_right_output_is_an_expectation(unit):
    turns = [("system", "Sort."), ("user", "It leaks."), ("assistant", "Which?"), ("user", "The small one."),
             ("assistant", '{"product": "radiator"}')]  # fmt: skip
    line = {"id": "x", "messages": [{"role": role, "content": text} for role, text in turns]}

    done = run('--expect={"product": "boiler"}', "--name=small-one", lines=[line], wanted="x")

    assert done.exit_code == 0, done.output
    assert "fails this case" in done.output
    asked = [{"user": "It leaks."}, {"assistant": "Which?"}, {"user": "The small one."}]
    assert added(unit) == [{"id": "small-one", "input": asked, "expect": {"product": "boiler"}}]


@pytest.mark.parametrize(
    ("lines", "arguments", "code", "said"),
    [
        (
            [{"id": 7, "input": "no heat "}],
            ["--expect={product: boiler}"],
            4,
            "that of cold (fixtures/desk/triage.yaml:6)",
        ),
        ([LEAK, LEAK], ["--expect={product: boiler}"], 4, "several (lines 1, 2)"),
        ([], ["--expect={product: boiler}"], 4, "one line with the id '7', found none"),
        ([{"id": 7, "text": "x"}], ["--expect={product: boiler}"], 4, "input"),
        ([LEAK], ["--expect={product: kettle}"], 4, "kettle"),
        ([LEAK], ["--expect={product: boiler}", "--name=cold"], 4, "'cold' again"),
        ([LEAK], ["--expect={product: boiler}", "--name=not an id"], 4, "not an id"),
        ([LEAK], ["--expect={product: boiler}", "--allow-personal= "], 2, "a reason"),
    ],
)
def test_what_is_refused_leaves_the_file_as_it_is(unit, lines, arguments, code, said):
    done = run(*arguments, lines=lines)

    assert (done.exit_code, unit.read_text()) == (code, FILE), done.output
    assert said in " ".join(done.output.split())
    assert [path.name for path in unit.parent.iterdir() if path.is_file()] == ["triage.yaml"]


def test_secrets_are_refused_by_kind_and_kept_with_a_reason(unit):
    line = LEAK | {"input": "Write to anna.smith@gmail.com, please"}

    refused = run("--expect={product: boiler}", lines=[line])

    assert refused.exit_code == 4
    assert "e-mail address" in refused.output
    assert "anna" not in refused.output
    assert unit.read_text() == FILE

    assert run("--expect={product: boiler}", "--allow-personal=She agreed.", lines=[line]).exit_code == 0
    assert "  # kept with e-mail address: She agreed.\n" in unit.read_text()


@pytest.mark.parametrize(
    ("said", "expect"),
    [
        ("Dear Ann,\nthanks.", "Dear Ann,\nthanks."),
        ("See shelf # 4", "See shelf # 4"),
        ("Note: closed today", "Note: closed today"),
        ("Sorry...", "Sorry..."),
        ("null", "null"),
        ("1.50", "1.50"),
        ("'a  b'", "a  b"),
        ('"Sorry" is all', '"Sorry" is all'),
    ],
)
def test_an_expected_text_stays_as_it_is(unit, said, expect):
    unit.write_text("version: 1\nsuite: schema\nunit: triage\ncheck: {schema: {}, extract: text}\n"
                    "cases:\n  - {id: a, input: b}\n")  # fmt: skip
    done = run(f"--expect={said}")

    assert done.exit_code == 0, done.output
    assert added(unit)[0]["expect"] == expect


@pytest.mark.parametrize("said", ["null", "", "# 4"])
def test_no_value_is_no_expectation(unit, said):
    unit.write_text(FILE.replace("refs/product.schema.json", "{}"))
    done = run(f"--expect={said}")

    assert (done.exit_code, added(unit)) == (4, [])
    assert "any JSON value but null, found nothing" in " ".join(done.output.split())


def test_a_list_in_brackets_is_not_added_to(unit):
    unit.write_text('{"version": 1, "suite": "schema", "unit": "triage", "check": {"schema": {}}, "cases": '
                    '[{"id": "a", "input": "b"}]}')  # fmt: skip
    before = unit.read_text()

    done = run("--expect={product: boiler}")

    assert (done.exit_code, unit.read_text()) == (4, before)
    assert "- id: the-boiler-leaks-again-since" in done.output
