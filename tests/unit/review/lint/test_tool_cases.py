"""What lint says of tools that no case calls, and of cases that all call."""

from __future__ import annotations

import json

import yaml

from tunegate.harness.review.lint.rules import lint_fixtures

TOOLS = [{"name": name, "parameters": {"type": "object", "properties": {}}} for name in ("cancel", "refund")]
CANCEL = {"calls": [{"name": "cancel", "arguments": {}}]}
REFUND = {"calls": [{"name": "refund", "arguments": {}}]}
NONE = {"calls": "none"}


def said(tmp_path, *expects):
    desk = tmp_path / "fixtures" / "desk"
    desk.mkdir(parents=True)
    cases = [
        {"id": f"c{at}", "input": f"A message about number {at}", "expect": each} for at, each in enumerate(expects)
    ]  # fmt: skip
    file = {"version": 1, "suite": "tools", "unit": "calls", "tools": TOOLS, "cases": cases}
    (desk / "calls.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(file))))
    warnings = [each.text for each in lint_fixtures(tmp_path / "fixtures").warnings]
    return [each for each in warnings if "calls: none" in each or "a call of" in each]


def test_a_unit_where_every_case_calls_is_named(tmp_path):
    assert said(tmp_path, CANCEL, REFUND) == [
        "desk/calls: no case has `calls: none`, so a model that always calls passes; add messages that no tool fits"
    ]


def test_tools_that_no_case_calls_are_named_where_others_are_called(tmp_path):
    assert said(tmp_path, CANCEL, NONE) == ["desk/calls: no case expects a call of refund"]


def test_a_unit_of_messages_that_no_tool_fits_needs_no_call(tmp_path):
    assert said(tmp_path, NONE, NONE) == []
