"""Whatever pytest refuses when it collects fixtures, lint refuses in the same words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.forked import run_program
from tests.support.units import write_unit

UNIT = Path("fixtures/desk/triage.yaml")
SETTINGS = {
    "a misspelt setting": {"modle": "smollm2"},
    "a setting of the wrong type": {"repeats": "two"},
    "a setting that is none of its choices": {"inconclusive": "maybe"},
    "a model without a name": {"model": "openai:nowhere"},
    "outputs without a file": {"model": "replay:"},
    "settings that contradict": {"model": "replay:x=out.jsonl", "engine": "ray"},
    "own checks that are not there": {"checks": "nowhere.py"},
}


def edited(**more):
    UNIT.write_text(json.dumps(json.loads(UNIT.read_text()) | more))


FILES = {
    "no YAML": lambda: UNIT.write_text("version: 1\n  x: ["),
    "no UTF-8": lambda: UNIT.write_bytes(b"version: \xff\n"),
    "an id twice": lambda: edited(cases=[{"id": "a", "input": "hi"}, {"id": "a", "input": "ho"}]),
    "any_of misspelt": lambda: edited(cases=[{"id": "a", "input": "hi", "expect": {"product": {"oneof": ["boiler"]}}}]),
    "an unknown suite": lambda: edited(suite="mine"),
    "no schema": lambda: shutil.rmtree("fixtures/desk/refs"),
    "a policy of a deleted unit": lambda: Path("fixtures/desk/task.yaml").write_text(
        "version: 1\nunits:\n  gone: {role: guard, margin: 0.1, reason: it was here}\n"
    ),
    "a policy of another name": lambda: Path("fixtures/desk/task.yml").write_text("version: 1\n"),
    "a task without cases": lambda: (write_unit(Path("fixtures"), ["a"], task="shop"), UNIT.unlink()),
    "an empty folder": lambda: Path("fixtures/empty").mkdir(),
    "a file beside the tasks": lambda: shutil.copy(UNIT, "fixtures"),
    "a broken link": lambda: Path("fixtures/desk/more.yaml").symlink_to("nowhere.yaml"),
}


def settings(**values: str) -> None:
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    Path("pyproject.toml").write_text("\n".join(["[tool.tunegate]", *lines, ""]))


@pytest.mark.parametrize("broken", [*SETTINGS, *FILES])
def test_what_pytest_refuses_lint_refuses(tmp_path, monkeypatch, broken):
    monkeypatch.chdir(tmp_path)
    write_unit(Path("fixtures"), ["a"])
    settings(**SETTINGS.get(broken, {}))
    FILES.get(broken, lambda: None)()

    tests = run_program("pytest", "--co", "-q", "fixtures/", folder=tmp_path)
    lint = run_program("tunegate", "lint", folder=tmp_path)

    assert (tests.returncode, lint.returncode) == (4, 4)
    said = tests.stderr.strip().removeprefix("ERROR: ")
    assert said
    assert lint.stderr.strip() == said


def test_outputs_of_deleted_cases_are_skipped_and_named(tmp_path, monkeypatch):
    """`tunegate init` writes the expected outputs, and `pytest` reads them: they outlive the cases."""
    monkeypatch.chdir(tmp_path)
    write_unit(Path("fixtures"), ["a", "b"])
    settings(model="replay:expected=out.jsonl")
    lines = [{"case": f"desk/triage/{case}", "output": '{"product": "boiler"}'} for case in ("a", "b", "gone")]
    Path("out.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))

    note = "out.jsonl holds outputs of 1 case that the fixtures do not have (desk/triage/gone); they are not read"
    for program in (("pytest", "-q", "fixtures/"), ("tunegate", "lint")):
        done = run_program(*program, folder=tmp_path)
        assert done.returncode == 0, done.stdout
        assert note in done.stdout

    named = run_program("pytest", "-q", "fixtures/", "--tg-model=replay:out.jsonl", folder=tmp_path)
    assert (named.returncode, "expected a case of the fixtures" in named.stderr) == (4, True)

    write_unit(Path("fixtures"), ["c"])
    for program in (("pytest", "-q", "fixtures/"), ("tunegate", "lint")):
        done = run_program(*program, folder=tmp_path)
        assert done.returncode == 4
        assert "out.jsonl:1: case: expected a case of the fixtures, found 'desk/triage/a'" in done.stderr
