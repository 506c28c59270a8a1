"""Scores of another tool at the gate: what an author may edit is listed, blocks, or is supplied and said so."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from tests.support.gated import commit_to_main, decision, git, ok
from tests.unit.imports.test_promptfoo import result

gate = partial(decision, "--policy-from=main", "--model=replay:gpt=new.json", ends=(0, 1, 4))
FIXTURE = Path("fixtures/desk/scored.yaml")


def write(name: str, right: int = 40, value: str = "file://check.js", count: int = 40) -> None:
    test = {"assert": [{"type": "javascript", "value": value}]}
    rows = [result(n, 0, f"out {n}", vars={"x": f"in {n}"}, testCase=test, success=n < right, score=float(n < right))
            for n in range(count)]  # fmt: skip
    found = {"version": 3, "results": rows, "stats": {}}
    Path(name).write_text(json.dumps({"results": found, "metadata": {"promptfooVersion": "1.2"}}))


@pytest.fixture(autouse=True)
def desk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git("init", "-q", "-b", "change")
    Path("check.js").write_text("output.length > 3")
    write("old.json", 38)
    ok("import", "old.json", "desk")
    ok("record", "--from", "old.json", "--name", "gpt")
    commit_to_main("the desk")
    write("new.json", 38)


def edit(was: str, now: str, path: Path = FIXTURE) -> None:
    text = path.read_text()
    assert was in text
    path.write_text(text.replace(was, now))


def test_equal_scores_pass_and_are_called_supplied():
    found = gate()

    assert (found["passes"], found["modified"]) == (True, [])
    assert "The outputs come from a file: they can be compared, but not released." in json.dumps(found)


@pytest.mark.parametrize("right", [10, 25])
def test_fewer_passes_block(right):
    write("new.json", right)

    assert not gate()["passes"]


@pytest.mark.parametrize("count", [39, 1])
def test_results_that_leave_a_case_out_block(count):
    write("new.json", count, count=count)

    assert not gate()["passes"]


def test_another_assertion_in_the_results_blocks_and_is_no_score_of_the_old_question():
    write("new.json", 40, "true")

    assert not gate()["passes"]


@pytest.mark.parametrize(
    ("was", "now", "path", "line"),
    [
        ("> 3", "> 0", Path("check.js"), "references of its check of 40 cases"),
        ("version: '1.2'", "version: '1.3'", FIXTURE, "references of its check of 40 cases"),
        ("../../check.js", "../../old.json", FIXTURE, "references of its check of 40 cases"),
        ("input: in 7\n", "input: in seven\n", FIXTURE, "input of 1 case (test-008) edited"),
        ("  - id: test-008", "  - id: test-999", FIXTURE, "1 case (test-008) removed"),
    ],
)
def test_an_edit_of_what_scores_is_a_rule_change_that_blocks(was, now, path, line):
    edit(was, now, path)
    found = gate()

    assert not found["passes"]
    assert any(line in each for each in found["modified"]), found["modified"]


def test_an_edited_question_is_a_rule_change_too():
    write("new.json", 40, "true")
    ok("import", "new.json", "other")
    FIXTURE.write_text(Path("fixtures/other/scored.yaml").read_text())
    found = gate()

    assert not found["passes"]
    assert any("desk/scored: expect of 40 cases" in each for each in found["modified"]), found


def test_a_record_that_the_change_brings_is_edited_openly():
    write("new.json", 10)
    ok("record", "--from", "new.json", "--name", "gpt")
    found = gate()

    assert not found["passes"]
    assert any("baseline" in each or "record" in each for each in found["modified"]), found["modified"]


def test_scores_that_are_edited_in_a_record_are_found():
    path = Path("baselines/replay-gpt/desk/scored.json")
    path.write_text(path.read_text().replace('\\"scores\\": [1.0]', '\\"scores\\": [0.0]', 5))

    found = decision("--model=replay:gpt=new.json", ends=(0, 1, 4))
    assert not found["passes"]
