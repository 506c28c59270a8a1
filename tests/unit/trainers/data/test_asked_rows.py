"""Rows as what the suites would ask, and what their answers then score."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.units import write_unit
from tests.unit.trainers.data.test_duplicates import row
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.models.api import Completion
from tunegate.trainers.data.asked_rows import asked_rows, why_not_scored


@pytest.fixture
def task(tmp_path):
    write_unit(tmp_path / "fixtures", ["a", "b"], generate={"max_new_tokens": 40})
    [task] = load_tasks(tmp_path / "fixtures")
    return task


def asked(task, output: str, unit: str | None = "triage"):
    [found] = asked_rows([row("It drips.", 1, unit=unit, output=output)], task)
    return found


def answered(text: str) -> Completion:
    return Completion("rows.jsonl:1", text, finish="stop")


def test_a_row_asks_its_own_messages_as_its_unit_decodes(task):
    found = asked(task, '{"product": "boiler"}')

    assert found.request.messages == row("It drips.", 1).messages
    assert found.request.decoding.max_new_tokens == 40
    assert found.request.key == "rows.jsonl:1"


def test_an_answer_is_held_against_the_row_s_own(task):
    found = asked(task, '{"product": "boiler"}')

    assert found.score(answered('{"product": "boiler"}')) == 1.0
    assert found.score(answered('{"product": "radiator"}')) == 0.0
    assert found.score(answered("A boiler.")) == 0.0


def test_of_the_fixtures_a_row_holds_the_check_alone(task):
    found = asked(task, '{"product": "boiler"}')

    assert all(
        case.input not in repr((found.request, found.case.input, found.case.expect)) for case in task.units[0].cases
    )


def test_rows_of_messages_are_asked_and_not_scored(task):
    found = asked(task, "Yes.", unit=None)

    assert (found.case, found.score(answered("Yes."))) == (None, None)
    assert why_not_scored([found, found]) == {"rows of messages name no unit": 2}


def test_a_unit_of_several_checks_cannot_score_a_row(tmp_path):
    schema = {"schema": {"type": "object", "required": ["product"]}}
    cases = [
        {"id": "a", "input": "It leaks."},
        {"id": "b", "input": "It hums.", "check": {"schema": {"type": "array"}}},
    ]
    write_unit(tmp_path / "fixtures", [], cases=cases, check=schema)
    [task] = load_tasks(tmp_path / "fixtures")

    assert why_not_scored([asked(task, "{}")]) == {"triage: its cases have 2 different checks": 1}


def test_a_row_whose_output_is_not_liked_is_asked_and_not_scored(task):
    [found] = asked_rows([replace(row("It drips.", 1, unit="triage", output="{}"), liked=False)], task)

    assert (found.case, found.unit, found.reason) == (None, "triage", "its output is not liked")
