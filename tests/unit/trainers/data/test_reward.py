"""A unit's check as a reward for loops of others: a row brings what is expected, and no case is read."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.paths import ROOT
from tests.support.units import SCHEMA, write_unit
from tunegate import Refused, load_tasks, reward
from tunegate.harness.core.progress import quiet
from tunegate.harness.rows.examples import Example
from tunegate.trainers.data.validation import grade

BOILER, RADIATOR = '{"product": "boiler"}', '{"product": "radiator"}'
NO_INPUT = "input: expected a text, or turns that end with the user's"


@pytest.fixture
def task(tmp_path):
    """A task whose cases all expect a boiler."""
    write_unit(tmp_path, ["a", "b"])
    return load_tasks(tmp_path)[0]


def test_an_output_is_scored_by_the_check_and_its_findings_say_why(task):
    score = reward(task, "triage")

    assert score({"input": "It drips."}, BOILER).score == 1.0
    failed = score({"input": "It drips."}, "A boiler, I think.")
    assert (failed.score, [each.rule for each in failed.findings]) == (0.0, ["json.syntax"])


def test_a_row_brings_what_is_expected_and_no_case_is_asked(task):
    score, case = reward(task, "triage"), task.units[0].cases[0]

    assert score({"input": "It drips.", "output": RADIATOR}, RADIATOR).score == 1.0
    wrong = score({"input": "It drips.", "output": RADIATOR}, BOILER)
    assert wrong.score == 0.0
    assert "radiator" in str(wrong.findings[0])
    assert score({"input": case.input}, RADIATOR).score == 1.0  # though the case expects a boiler


@pytest.mark.parametrize("expected", ["boiler", f"```json\n{BOILER}\n```", "{'product': 'boiler'}", ""])
def test_an_expected_output_that_the_check_cannot_read_is_refused(task, expected):
    with pytest.raises(Refused, match="desk/triage: output: expected one that the check can read, found"):
        reward(task, "triage")({"input": "It drips.", "output": expected}, RADIATOR)


def test_an_expected_output_without_a_term_requires_none():
    score = reward(load_tasks(ROOT / "fixtures")[0], "wording")

    assert score({"input": "Hello?", "output": "We come on Tuesday."}, "On Monday.").score == 1.0


def test_a_conversation_is_an_input(task):
    turns = [{"user": "Hello."}, {"assistant": "Yes?"}, {"user": "It drips."}]
    assert reward(task, "triage")({"input": turns}, BOILER).score == 1.0


def test_what_arrow_adds_to_a_conversation_is_dropped(task):
    turns = [{"user": "Hello.", "assistant": None}, {"user": None, "assistant": "Yes?"}, {"user": "It drips."}]
    assert reward(task, "triage")({"input": turns, "output": None}, BOILER).score == 1.0


@pytest.mark.parametrize(("row", "why"), [
    ({"messages": [{"role": "user", "content": "x"}]}, f"{NO_INPUT}, found nothing"),
    ({"input": 3}, f"{NO_INPUT}, found 3"),
    ({"input": ["x"]}, f"{NO_INPUT}, found ["),
    ({"input": [{"user": "x"}, {"assistant": "y"}]}, f"{NO_INPUT}, found ["),
    ({"input": "x", "output": {"product": "boiler"}}, "output: expected a text, found {"),
    ({"input": "x", "output": [BOILER]}, "output: expected a text, found ["),
    (None, "expected a row with `input`, found nothing"),
    ([BOILER], "expected a row with `input`, found ["),
])  # fmt: skip
def test_what_is_no_row_with_an_input_is_refused(task, row, why):
    with pytest.raises(Refused, match=re.escape(f"desk/triage: {why}")):
        reward(task, "triage")(row, BOILER)


@pytest.mark.parametrize("unit", ["triage", "orders", "wording", "questions"])
@pytest.mark.parametrize("output", [BOILER, "A technician will come.", "Well, " * 41, ""])
def test_rows_are_scored_as_those_of_a_training(unit, output):
    [task] = load_tasks(ROOT / "fixtures")
    row = Example((("user", "Hello?"),), "Hello?", output, "rows.jsonl", 1, unit)
    [graded] = grade([row], task, quiet())

    found = reward(task, unit)({"input": "Hello?"}, output)
    assert (found.score < 1.0) == bool(graded.failures)
    assert [each.findings for each in graded.failures] in ([], [found.findings])


def test_what_cannot_reward_is_refused(task, tmp_path):
    with pytest.raises(Refused, match=r"desk: expected a unit of the task \(triage\), found 'orders'"):
        reward(task, "orders")
    with pytest.raises(Refused, match="desk/triage: expected the output to reward as a text, found list"):
        reward(task, "triage")({"input": "It drips."}, [{"role": "assistant", "content": BOILER}])
    cases = [
        {"id": name, "input": name, "check": {"schema": SCHEMA | {"title": name}}, "expect": {}} for name in ("a", "b")
    ]
    write_unit(tmp_path, [], cases=cases)
    with pytest.raises(
        Refused, match="expected a check that can reward an output, found none: the unit's cases have 2"
    ):
        reward(load_tasks(tmp_path)[0], "triage")
    [demo] = load_tasks(ROOT / "fixtures")
    with pytest.raises(Refused, match="cannot score without a case's expect"):
        reward(demo, "word-choice")


def test_what_it_returns_holds_no_case(task):
    held = [each.cell_contents for each in reward(task, "triage").__closure__]

    assert not any(case.input in json.dumps(held, default=repr) for case in task.units[0].cases)
