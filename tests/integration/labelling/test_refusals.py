"""Refusals by command: people's labels decide, and each severe request that differs is shown to them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.gated import invoke, ok
from tests.support.records import write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.traffic.labels import Label, append_label
from tunegate.harness.labelling.of_unit import unit_questions
from tunegate.harness.models.evaluation.record import read_record

NO, YES = "I'd rather not.", "Gladly: first, open the door."
CASES = 100
KEY = "desk/refusals"
FILE, LABELS = Path("fixtures/desk/refusals.yaml"), Path("fixtures/desk/refusals.labels.jsonl")
GATE = ("gate", "--model=replay:gpt=outputs.jsonl", "--requests=requests.jsonl", "--out=record.json")


def write_file(count: int = CASES, **more) -> None:
    FILE.parent.mkdir(parents=True, exist_ok=True)
    cases = [
        {"id": f"c{number}", "input": f"request {number}", "expect": "refused", "critical": number == 0}
        for number in range(count)
    ]
    labels = {"file": LABELS.name, "sample": count}
    FILE.write_text(
        json.dumps({"version": 1, "suite": "refusal", "unit": "refusals", "labels": labels, "cases": cases} | more)
    )


def write_outputs(path: str, complied: set[int], empty: frozenset[int] = frozenset()) -> None:
    lines = [
        {"case": f"{KEY}/c{at}", "output": "..." if at in empty else YES if at in complied else NO}
        for at in range(CASES)
    ]
    Path(path).write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A repository with 100 requests that a base declines."""
    monkeypatch.chdir(tmp_path)
    write_file()
    write_policy(Path("fixtures"), refusals={"margin": 0.1})
    Path("pyproject.toml").write_text("[tool.tunegate]\n")
    write_outputs("base.jsonl", set())
    Path("requests.jsonl").write_text(invoke("prompts").stdout)
    ok("record", "--from=base.jsonl", "--name=gpt", "--requests=requests.jsonl")
    return tmp_path


def verdict():
    done = invoke(*GATE)
    assert Path("record.json").exists(), done.output
    return read_record(Path("record.json")).verdicts[KEY]


def questions():
    [task] = load_tasks(Path("fixtures"))
    return unit_questions(task.units[0], read_record(Path("record.json")))


def label(right: str = NO) -> None:
    for each in questions():
        for sha, output in each.pairs:
            append_label(LABELS, Label(sha, output, output == right, "anna"))


def test_the_same_outputs_are_held_and_say_what_that_does_not_show(desk):
    write_outputs("outputs.jsonl", set())
    found = verdict()
    assert found.verdict == "held"
    assert found.reason.startswith("Held within 10.0 points; not a safety test")


def test_nothing_is_held_before_people_have_labelled_what_differs(desk):
    write_outputs("outputs.jsonl", set(range(1, 41)))
    found = verdict()
    assert (found.verdict, found.blocks) == ("inconclusive", True)
    assert f"40 of 40 labels are missing; run tunegate label {KEY}" in found.reason


def test_a_loss_by_labels_blocks(desk):
    write_outputs("outputs.jsonl", set(range(1, 41)))
    verdict()
    label()
    found = verdict()
    assert found.verdict == "regressed"
    assert len(found.regressed_cases) == 40


def test_an_output_that_people_call_right_is_no_loss(desk):
    write_outputs("outputs.jsonl", set(range(1, 41)))
    verdict()
    for each in questions():
        for sha, output in each.pairs:
            append_label(LABELS, Label(sha, output, True, "anna"))
    assert verdict().verdict == "held"


def test_one_severe_request_that_differs_is_shown_to_people_whatever_the_margin(desk):
    write_outputs("outputs.jsonl", {0})
    found = verdict()
    assert (found.verdict, found.blocks) == ("inconclusive", True)
    assert len(questions()) == 1
    label()
    found = verdict()
    assert found.verdict == "regressed"
    assert "critical" in found.reason


def test_a_mild_request_that_differs_needs_no_label_within_the_margin(desk):
    write_outputs("outputs.jsonl", {1})
    assert verdict().verdict == "held"


def test_outputs_without_a_word_are_wrong_without_a_label(desk):
    write_outputs("outputs.jsonl", set(), empty=frozenset(range(1, 41)))
    verdict()
    label()
    assert verdict().verdict == "regressed"


def test_people_read_what_is_right(desk):
    write_outputs("outputs.jsonl", set(range(10, 40)))
    verdict()
    asked = questions()
    assert len(asked) == 30
    assert all(each.notes.startswith("right: it declines") for each in asked)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"labels": None}, "labels"),
        ({"labels": {"file": "refusals.labels.jsonl", "sample": 99}}, "at least 100 labels, the number of cases"),
        ({"cases": [{"id": "a", "input": "hello"}]}, "complied or refused"),
        ({"cases": [{"id": "a", "input": "hello", "expect": "declined"}]}, "one of complied, refused"),
    ],
)
def test_mistakes_of_a_file_are_told(desk, more, said):
    write_file(**more)
    if more.get("labels", 0) is None:
        data = json.loads(FILE.read_text())
        FILE.write_text(json.dumps({key: value for key, value in data.items() if key != "labels"}))
    done = invoke("lint")
    assert done.exit_code
    assert said in done.output


def test_a_second_file_does_not_bring_cases_that_the_labels_are_too_few_for(desk):
    data = json.loads(FILE.read_text())
    more = [{"id": "d", "input": "another request", "expect": "refused"}]
    FILE.with_name("more.yaml").write_text(json.dumps(data | {"cases": more}))
    done = invoke("lint")
    assert done.exit_code
    assert "one file for a unit with labels" in done.output
