"""The desk of eight tools: right outputs pass and planted mistakes fail; the lenient reader sees calls in texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from benchmarks.tool_desk import DAMAGED, DATA, DESK, NO_TOOL, SEALED, called, write_project
from benchmarks.tool_desk_calls import lenient
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Case
from tunegate.harness.checks.outputs.message import Message, read_message, read_output

NAMES = ("book", "price")
PRICE = {"name": "price", "arguments": {"bike": "city"}}
BARE = json.dumps(PRICE)
CASES = {unit.key: unit.cases for task in load_tasks(DATA / "fixtures") for unit in task.units if unit.suite == "tools"}


def right(case: Case) -> list[dict[str, Any]]:
    """The calls that a case expects, with the first of several right values."""
    expected = case.expect["calls"]
    if expected == "none":
        return []
    return [{"name": each["name"], "arguments": _first(each.get("arguments", {}))} for each in expected]


def _first(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _first(value["any_of"][0]) if "any_of" in value else {key: _first(each) for key, each in value.items()}
    return [_first(each) for each in value] if isinstance(value, list) else value


def passes(case: Case, calls: list[dict[str, Any]], content: str = "") -> bool:
    message = read_message({"content": content or ("" if calls else "Gladly."), "tool_calls": calls})
    return bool(case.check(message.write(), case.expect, "").passed)


def _dropped(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return calls[1:]


def _doubled(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*calls, calls[0]]


def _renamed(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**calls[0], "name": "cancel" if calls[0]["name"] == "hours" else "hours"}, *calls[1:]]


def _wrong_number(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [_changed(calls[0], lambda value: value + 1 if isinstance(value, int) else value), *calls[1:]]


def _wrong_text(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [_changed(calls[0], lambda value: f"{value} x" if isinstance(value, str) else value), *calls[1:]]


def _as_text(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [_changed(calls[0], lambda value: str(value) if isinstance(value, int | float) else value), *calls[1:]]


def _lacks(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    first = next(iter(calls[0]["arguments"]))
    kept = {key: value for key, value in calls[0]["arguments"].items() if key != first}
    return [{**calls[0], "arguments": kept}, *calls[1:]]


def _with_more(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**calls[0], "arguments": calls[0]["arguments"] | {"colour": "red"}}, *calls[1:]]


def _changed(call: dict[str, Any], by: Callable[[Any], Any]) -> dict[str, Any]:
    return {**call, "arguments": {key: by(value) for key, value in call["arguments"].items()}}


def test_the_desk_has_the_cases_that_its_page_tells_of():
    assert {key: len(cases) for key, cases in CASES.items()} == {DESK: 150, SEALED: 100, NO_TOOL: 60}
    assert {case.expect["calls"] for case in CASES[NO_TOOL]} == {"none"}


@pytest.mark.parametrize("unit", [DESK, SEALED, NO_TOOL])
def test_right_outputs_pass(unit):
    assert [case.id for case in CASES[unit] if not passes(case, right(case))] == []


@pytest.mark.parametrize(
    "plant", [_dropped, _doubled, _renamed, _wrong_number, _wrong_text, _as_text, _lacks, _with_more]
)
def test_planted_mistakes_fail(plant):
    planted = [(case, plant(right(case))) for unit in (DESK, SEALED) for case in CASES[unit] if right(case)]
    touched = [(case, calls) for case, calls in planted if calls != right(case)]
    assert len(touched) > 40
    assert [case.id for case, calls in touched if passes(case, calls)] == []


def test_a_call_where_none_fits_and_a_call_in_a_text_fail():
    assert not any(passes(case, [PRICE]) for case in CASES[NO_TOOL])
    fenced = f"```json\n{BARE}\n```"
    assert not any(passes(case, [], fenced) for cases in CASES.values() for case in cases)


@pytest.mark.parametrize(
    "text",
    [
        BARE,
        f"```json\n{BARE}\n```",
        f"Here it is:\n```\n{BARE}\n```\nAnything else?",
        f"<tool_call>\n{BARE}",
        f"[{BARE}]",
        BARE.replace("arguments", "parameters"),
        json.dumps({"type": "function", "function": PRICE}),
        json.dumps({"tool_calls": [PRICE]}),
        f"{{broken {BARE}",
    ],
)
def test_a_call_in_a_text_is_read_leniently(text):
    assert [each.as_dict() for each in lenient(Message(text), NAMES).calls] == [PRICE]


@pytest.mark.parametrize(
    "text", ["", "Gladly.", '{"name": "sell", "arguments": {}}', '{"bike": "city"}', BARE[:-5], "[" * 100_000, "{" * 9]
)
def test_other_texts_stay_texts(text):
    assert lenient(Message(text), NAMES).calls == ()


def test_a_message_with_calls_is_left_as_it_is():
    message = read_output(read_message({"content": BARE, "tool_calls": [PRICE]}).write())
    assert lenient(message, NAMES) is message


def test_the_damaged_adapters_lack_their_rows(tmp_path):
    write_project(tmp_path / "desk", quick=False)
    rows = {name: _rows(tmp_path / "desk", name) for name in ("desk", *DAMAGED)}
    assert len(rows["desk"]) >= 300
    assert all(called(row) for row in rows["always-calls"])
    assert not any("refund" in called(row) for row in rows["no-refund"])
    assert min(len(each) for each in rows.values()) >= 300


def _rows(folder, name):
    return [json.loads(line) for line in (folder / "recipes/rows" / f"{name}.jsonl").read_text("utf-8").splitlines()]
