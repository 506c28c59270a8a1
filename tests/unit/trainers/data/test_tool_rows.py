"""Rows with tool calls: scored by the suite or by their own tools, searched for secrets, told apart by their tools."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.support.tools import TOOLS, call, output, ticket, tool_set
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.progress import quiet
from tunegate.harness.rows.examples import Example
from tunegate.harness.rows.texts import eval_texts, example_texts
from tunegate.trainers.data.asked_rows import asked_rows
from tunegate.trainers.data.duplicates import find_duplicates
from tunegate.trainers.data.labels import render_lost_labels
from tunegate.trainers.data.private_data import find_private_data
from tunegate.trainers.data.reward import reward
from tunegate.trainers.data.validation import grade

GIVEN = tool_set().tools
LEAKED = {"title": "Lamp by the third window", "priority": "high", "due": "2026-12-03", "rooms": [{"floor": 2}]}


@pytest.fixture
def task(tmp_path):
    """A unit of the suite tools, one of whose cases offers fewer of its tools."""
    folder = tmp_path / "desk"
    folder.mkdir()
    cases = [
        {"id": "a", "input": "Thanks!", "expect": {"calls": "none"}, "tools": ["cancel_order"]},
        {"id": "b", "input": "It is dark up there.",
         "expect": {"calls": [{"name": "create_ticket", "arguments": LEAKED}]}},
    ]  # fmt: skip
    unit = {"version": 1, "suite": "tools", "unit": "calls", "tools": TOOLS, "cases": cases}
    (folder / "calls.yaml").write_text(json.dumps(unit))
    (found,) = load_tasks(tmp_path)
    return found


def row(said: str, unit: str | None = "calls", asked: str = "It is dark.", tools=GIVEN, line: int = 1) -> Example:
    return Example((("user", asked),), asked, said, "rows.jsonl", line, unit, tools=tools)


RIGHT, LACKS = output(ticket()), output(call("create_ticket", {"title": "Light"}))
OTHER = output(call("open_door", {}))


def test_rows_are_scored_by_their_unit_with_the_tools_that_they_offer(task):
    rows = [row(RIGHT), row(LACKS), row(OTHER), row(RIGHT, tools=GIVEN[1:])]

    (found,) = grade(rows, task, quiet())

    assert [str(each).partition(": ")[2].partition(": ")[0] for each in found.failures] == [
        "call.lacks at tool_calls[0].arguments.priority",
        "call.not-offered at tool_calls[0]",
        "call.not-offered at tool_calls[0]",
    ]
    assert (found.rows, found.graded, found.not_scored) == (4, True, "which calls are right")


def test_rows_without_a_unit_are_held_to_their_own_tools(task):
    found = grade([row(RIGHT, None), row(OTHER, None), row("Hi", None, tools=())], task, quiet())

    assert [(each.rows, len(each.failures), each.graded) for each in found] == [(2, 1, True), (1, 0, False)]


def test_an_asked_row_offers_its_tools_and_expects_its_calls(task):
    (asked,) = asked_rows([row(RIGHT)], task)

    assert asked.request.tools == GIVEN
    assert asked.case.expect == {
        "calls": [{"name": "create_ticket", "arguments": {"title": "Light", "priority": "high"}}]
    }
    assert asked.reason == ""


def test_a_reward_reads_messages_and_narrows_the_tools(task):
    rewarded = reward(task, "calls")
    message = {"role": "assistant", "content": None, "tool_calls": [ticket()]}

    assert rewarded({"input": "It is dark.", "output": RIGHT}, message).score == 1.0
    assert rewarded({"input": "It is dark.", "output": message}, RIGHT).score == 1.0
    assert rewarded({"input": "It is dark."}, LACKS).score == 0.0
    assert rewarded({"input": "It is dark.", "output": RIGHT}, "I will.").score == 0.0
    assert rewarded({"input": "It is dark.", "tools": ["cancel_order"]}, RIGHT).score == 0.0


def test_secrets_in_arguments_and_in_tools_are_found():
    said = output(ticket(title="see\nsk-ant-REDACTED"))
    keyed = [replace(GIVEN[0], description="Ask with sk-ant-REDACTED")]
    rows = [row(said.replace("REDACTED", "0123456789abcdefghijklm")), row(RIGHT)]
    rows.append(row(RIGHT, None, tools=(replace(keyed[0], description="key sk-ant-0123456789abcdefghijklm"),)))

    assert [each.row for each in find_private_data(rows, quiet())] == [rows[0], rows[2]]


def test_the_same_words_with_other_tools_are_another_question():
    rows = [row(RIGHT), row(output(content="No tool fits."), tools=GIVEN[1:], line=2)]
    assert find_duplicates(rows) == []

    turned = output(call("create_ticket", {"priority": "high", "title": "Light"}))
    (pair,) = find_duplicates([row(RIGHT), row(turned, line=2)])
    assert pair.agrees


def test_tools_are_labels_of_which_many_rows_may_be_lost():
    rows = [row(RIGHT, line=line) for line in range(8)] + [row(output(content="Hi"), line=line) for line in range(8)]

    (warning,) = render_lost_labels(rows, rows[:11])

    assert "tool = none falls from 8 to 3 rows" in warning


def test_the_calls_of_rows_and_cases_are_texts_that_are_compared(task):
    said = "2026-12-03, high, 2, Lamp by the third window"

    assert said in [each.text for each in eval_texts([task])]
    assert said in [each.text for each in example_texts(row(output(call("create_ticket", LEAKED))), [])]
