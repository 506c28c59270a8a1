"""A project whose fixtures name the suite: Tunegate finds the installed package by its entry point."""

from __future__ import annotations

import json
import sys

import pytest

FIXTURES = """
version: 1
suite: facts
check: {language: en, also: [Hearth app]}
cases:
  - id: owed
    input: "What do I owe? Notes: GBP 46, 9 days late, cover stops Fri"
    expect: {facts: [£46, Friday]}
  - {id: visit, input: "When do you come? Notes: Wed 2:30pm, Dan"}
"""
TASK = "version: 1\nunits:\n  facts: {role: guard, margin: 0.8, reason: Two cases see no less.}\n"
RIGHT = {
    "owed": "It's £46, nine days late, and your cover stops on Friday.",
    "visit": "Dan comes on Wednesday at half past two.",
}
WRONG = RIGHT | {"visit": "Ask for Priya on Wednesday at half past two: see the Hearth app."}
SEEN = "unfounded: 'Priya' stands nowhere in its case"


@pytest.fixture
def project(pytester):
    """A folder with fixtures of the suite, whose path it gives back."""
    folder = pytester.mkdir("fixtures") / "desk"
    folder.mkdir()
    (folder / "facts.yaml").write_text(FIXTURES, "utf-8")
    (folder / "task.yaml").write_text(TASK, "utf-8")
    return pytester.path


def answer(project, outputs):
    """Write the recorded outputs, each with the digest of its request."""
    requests = [json.loads(line) for line in (project / "requests.jsonl").read_text("utf-8").splitlines()]
    lines = [each | {"output": outputs[each["case"].rpartition("/")[2]]} for each in requests]
    kept = [{key: line[key] for key in ("case", "digest", "output")} for line in lines]
    (project / "outputs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept), "utf-8")


def test_the_suite_is_found_checked_run_recorded_and_gated(project, pytester):
    def tunegate(*arguments):
        return pytester.run(sys.executable, "-m", "tunegate", *arguments)

    tunegate("lint").stdout.fnmatch_lines(["desk/facts: 2 facts cases*"])
    (project / "requests.jsonl").write_text(tunegate("prompts").stdout.str(), "utf-8")
    answer(project, RIGHT)
    assert tunegate("record", "--from", "outputs.jsonl", "--name", "gpt").ret == 0
    assert tunegate("gate", "--model=replay:gpt=outputs.jsonl").ret == 0

    answer(project, WRONG)
    done = pytester.runpytest_subprocess("fixtures", "--tg-model=replay:outputs.jsonl")
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines([f"*{SEEN}*"])
    done = tunegate("gate", "--model=replay:gpt=outputs.jsonl")  # where the check runs in its box
    assert done.ret == 1
    done.stdout.fnmatch_lines([f"*{SEEN}*"])


def test_a_mistake_in_a_fixture_is_told_at_its_line(project, pytester):
    path = project / "fixtures" / "desk" / "facts.yaml"
    path.write_text(FIXTURES.replace("also: [Hearth app]", "alos: [Hearth app]"), "utf-8")
    done = pytester.run(sys.executable, "-m", "tunegate", "lint")
    assert done.ret == 4
    done.stderr.fnmatch_lines(["*facts.yaml:4: check.alos: expected one of the keys also, language*"])
