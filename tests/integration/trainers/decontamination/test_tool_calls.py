"""A row with the calls of a case repeats it, whatever it asks."""

from __future__ import annotations

import json

from tests.support.tools import TOOLS, call, output, tool_set
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.progress import quiet
from tunegate.harness.rows.examples import Example
from tunegate.harness.rows.search import search

LEAKED = {"title": "Lamp by the third window", "priority": "high", "due": "2026-12-03", "rooms": [{"floor": 2}]}
OTHER = {"title": "Tap in the long corridor drips", "priority": "low", "due": "2027-01-01", "rooms": [{"floor": 1}]}


def row(asked, line, **arguments):
    said = output(call("create_ticket", arguments))
    return Example((("user", asked),), asked, said, "rows.jsonl", line, "calls", tools=tool_set().tools)


def test_a_row_with_the_calls_of_a_case_is_similar_to_it(tmp_path):
    folder = tmp_path / "desk"
    folder.mkdir()
    case = {"id": "b", "input": "It is dark.", "expect": {"calls": [{"name": "create_ticket", "arguments": LEAKED}]}}
    unit = {"version": 1, "suite": "tools", "unit": "calls", "tools": TOOLS, "cases": [case]}
    (folder / "calls.yaml").write_text(json.dumps(unit))

    rows = [row("Somebody should look at that again.", 1, **LEAKED), row("The corridor is wet.", 2, **OTHER)]
    found = search(rows, load_tasks(tmp_path), quiet())

    assert {near.pair for near in found.pairs} == {("rows.jsonl", 1, "desk/calls/b")}
