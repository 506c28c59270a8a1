"""A teacher's answers become rows, where they pass the task's own checks."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from tests.support.units import write_unit
from tunegate.harness.cli.main import app
from tunegate.harness.core.errors import Refused
from tunegate.trainers.data.teacher import read_teacher

INPUTS = [{"unit": "triage", "input": f"Ticket {number}."} for number in range(4)]
RIGHT = '{"product": "boiler"}'


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A task and its inputs, in the working directory."""
    monkeypatch.chdir(tmp_path)
    write_unit(tmp_path / "fixtures", ["a", "b"], prompt={"system": "Sort it."})
    write_lines(tmp_path / "inputs.jsonl", INPUTS)
    return tmp_path


def write_lines(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def distil(*options, task="desk"):
    return CliRunner().invoke(app, ["distil", task, "inputs.jsonl", *options])


def answered(project, *outputs, **changes):
    """Record what the teacher answers to the inputs, in order, into `outputs.jsonl`; and distil that."""
    asked = [json.loads(line) for line in distil("--prompts").stdout.splitlines()]
    lines = [
        {"case": each["case"], "digest": each["digest"], "output": output} | changes
        for each, output in zip(asked, outputs, strict=True)
    ]
    write_lines(project / "outputs.jsonl", lines)
    return distil("--model=replay:large=outputs.jsonl", "--output=rows.jsonl")


def test_what_the_teacher_is_asked_is_what_the_suites_would_ask(project):
    [first, *_] = [json.loads(line) for line in distil("--prompts").stdout.splitlines()]

    assert first["case"] == "inputs.jsonl:1"
    assert first["messages"] == [{"role": "system", "content": "Sort it."}, {"role": "user", "content": "Ticket 0."}]
    assert len(first["digest"]) == 64


def test_a_teacher_that_needs_examples_gets_them_and_the_rows_do_not(project):
    shots = [{"input": "No heat.", "output": RIGHT}]
    write_unit(project / "fixtures", ["a", "b"], prompt={"system": "Sort it."}, shots=shots)

    asked = [json.loads(line) for line in distil("--prompts", "--rung=few-shot").stdout.splitlines()]
    lines = [{"case": each["case"], "digest": each["digest"], "output": RIGHT} for each in asked]
    write_lines(project / "outputs.jsonl", lines)
    done = distil("--model=replay:large=outputs.jsonl", "--rung=few-shot", "--output=rows.jsonl")

    assert [each["content"] for each in asked[0]["messages"]] == ["Sort it.", "No heat.", RIGHT, "Ticket 0."]
    assert {each["rung"] for each in asked} == {"few-shot"}
    assert done.exit_code == 0, done.output
    assert lines_of(project / "rows.jsonl") == [each | {"output": RIGHT} for each in INPUTS]
    assert json.loads((project / "rows.teacher.json").read_text())["teacher"]["rung"] == "few-shot"
    refused = distil("--model=replay:large=outputs.jsonl", "--output=others.jsonl")
    assert refused.exit_code == 4, refused.output  # recorded on another rung


def test_a_rung_that_inputs_cannot_be_asked_on_is_refused(project):
    assert "expected one of as-is, constrained, few-shot" in distil("--prompts", "--rung=context").output
    assert "found none in desk/triage" in distil("--prompts", "--rung=few-shot").output


def test_answers_that_pass_the_check_become_rows_and_the_others_are_told_with_the_reason(project):
    done = answered(project, RIGHT, f"\n {RIGHT}\n", "A boiler.", None)

    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-5:] == [
        "2 of 4 outputs of replay:large become rows",
        "  dropped: 1, no output",
        "  dropped: 1, fails the task's own checks",
        "  triage: not scored: which values are right",
        "rows: rows.jsonl; teacher: rows.teacher.json; dropped: rows.dropped.jsonl",
    ]
    assert lines_of(project / "rows.jsonl") == [each | {"output": RIGHT} for each in INPUTS[:2]]
    none, fails = lines_of(project / "rows.dropped.jsonl")
    assert (none["input"], none["why"]) == ("inputs.jsonl:4", "no output")
    assert (fails["input"], fails["output"]) == ("inputs.jsonl:3", "A boiler.")
    assert "json" in fails["findings"][0]


def test_a_conversation_stays_one(project):
    turns = [{"role": "system", "content": "Sort it."}, {"role": "user", "content": "It drips."}]
    write_lines(project / "inputs.jsonl", [{"unit": "triage", "messages": turns}])

    assert answered(project, RIGHT).exit_code == 0
    assert lines_of(project / "rows.jsonl") == [
        {"unit": "triage", "messages": [*turns, {"role": "assistant", "content": RIGHT}]}
    ]


def test_the_teacher_stands_beside_the_rows_and_an_edit_of_them_shows(project):
    answered(project, RIGHT, RIGHT, "no", "no")
    rows = project / "rows.jsonl"

    teacher = read_teacher(rows)["teacher"]
    assert (teacher["name"], teacher["asked"], teacher["kept"], teacher["edited"]) == ("replay:large", 4, 2, False)
    assert len(teacher["digest"]) == 64
    rows.write_text(rows.read_text().replace("boiler", "radiator"))
    assert read_teacher(rows)["teacher"]["edited"] is True


def test_another_answer_is_another_teacher(project):
    answered(project, RIGHT, RIGHT, "no", "no")
    before = read_teacher(project / "rows.jsonl")["teacher"]["digest"]
    answered(project, RIGHT, RIGHT, RIGHT, "no")

    assert read_teacher(project / "rows.jsonl")["teacher"]["digest"] != before


def test_rows_without_a_teacher_have_none_and_an_edited_teacher_is_refused(project):
    assert read_teacher(project / "inputs.jsonl") == {}
    answered(project, RIGHT, RIGHT, RIGHT, RIGHT)
    path = project / "rows.teacher.json"
    path.write_text(path.read_text().replace("replay:large", "replay:mine"))

    with pytest.raises(
        Refused, match=r"rows.teacher.json: expected an unedited file from tunegate distil, found an edited one"
    ):
        read_teacher(project / "rows.jsonl")


def test_rows_that_somebody_wrote_or_edited_are_not_written_over(project):
    (project / "rows.jsonl").write_text('{"input": "mine", "output": "{}"}\n')
    why = "rows.jsonl: expected no file, or unedited rows from tunegate distil, found other rows"

    assert why in distil("--model=replay:large=outputs.jsonl", "--output=rows.jsonl").output
    (project / "rows.jsonl").unlink()
    assert answered(project, RIGHT, RIGHT, RIGHT, RIGHT).exit_code == 0
    (project / "rows.jsonl").write_text('{"input": "mine", "output": "{}"}\n')
    refused = answered(project, RIGHT, RIGHT, RIGHT, RIGHT)
    assert (refused.exit_code, why in refused.output) == (4, True)
    assert lines_of(project / "rows.jsonl") == [{"input": "mine", "output": "{}"}]


@pytest.mark.parametrize(("line", "why"), [
    ({"unit": "triage", "input": "x", "output": "{}"}, 'inputs.jsonl:1: expected an object {"unit", "input"}'),
    ({"unit": "triage", "messages": [{"role": "assistant", "content": "x"}]}, "inputs.jsonl:1: messages: expected"),
    ({"messages": [{"role": "user", "content": "x"}]}, 'inputs.jsonl:1: expected an object {"unit", "input"}'),
    ({"unit": "trage", "input": "x"}, "inputs.jsonl:1: unit: expected a unit of the task (triage), found 'trage'"),
])  # fmt: skip
def test_a_line_that_is_no_input_is_named(project, line, why):
    write_lines(project / "inputs.jsonl", [line])

    refused = distil("--prompts")
    assert (refused.exit_code, why in refused.output) == (4, True), refused.output


def test_the_same_input_twice_is_a_mistake(project):
    write_lines(project / "inputs.jsonl", [INPUTS[0], INPUTS[0]])

    assert "inputs.jsonl:2: expected each row once, found the row of inputs.jsonl:1" in distil("--prompts").output


def test_answers_to_something_else_are_refused(project):
    refused = answered(project, RIGHT, RIGHT, RIGHT, RIGHT, digest="0" * 64)
    assert refused.exit_code == 4
    assert "digest: expected the digest of inputs.jsonl:1's current request, found 00000000" in refused.output
    assert "expected an input, FILE:LINE, found 'desk/triage/a'" in answered(
        project, *[RIGHT] * 4, case="desk/triage/a"
    ).output  # fmt: skip
    assert not (project / "rows.jsonl").exists()


def test_where_no_answer_passes_there_are_no_rows(project):
    refused = answered(project, "a", "b", "c", "d")

    assert refused.exit_code == 4
    assert "expected an output that passes the task's checks, found none of 4; the first: fails" in refused.output
    assert not (project / "rows.jsonl").exists()


def test_a_unit_of_several_checks_has_no_teacher_for_nobody_knows_which_is_an_inputs_own(project):
    cases = [
        {"id": "a", "input": "x", "check": {"schema": {"type": "object"}}},
        {"id": "b", "input": "y", "check": {"schema": {"type": "array"}}},
    ]
    write_unit(project / "fixtures", [], "mixed", cases=cases)
    write_lines(project / "inputs.jsonl", [{"unit": "mixed", "input": "z"}])

    refused = distil("--prompts")
    assert refused.exit_code == 4
    assert "whose outputs would go unchecked: mixed: the unit's cases have 2 different checks" in refused.output


def test_rows_need_a_place_and_a_task_that_there_is(project):
    assert (missing := distil()).exit_code == 2
    assert "--output: expected a file for the rows, found none" in missing.output
    assert "task 'dusk': expected one of desk; did you mean 'desk'?" in distil("--prompts", task="dusk").output
