"""What the cases of a unit with tools leave untested: a message that no tool fits, and tools that no case expects."""

from __future__ import annotations

from collections.abc import Iterator

from tunegate.harness.cases.model import Unit
from tunegate.harness.checks.base import HasTools
from tunegate.harness.core.errors import LintWarning
from tunegate.harness.core.formatting import listed


def unasked_tools(unit: Unit) -> Iterator[LintWarning]:
    """Yield a note for a unit of the suite `tools` without `calls: none`, and one for tools that no case expects."""
    cases = [case for case in unit.cases if case.expect and isinstance(case.check, HasTools)]
    if not cases:
        return
    first, calls = unit.cases[0], [case.expect.get("calls") for case in cases]
    if not any(each == "none" for each in calls):
        text = "no case has `calls: none`, so a model that always calls passes; add messages that no tool fits"
        yield LintWarning(first.path, 1, f"{unit.key}: {text}")
    expected = {call["name"] for each in calls if isinstance(each, list) for call in each}
    offered = dict.fromkeys(tool.name for case in unit.cases for tool in case.tools)
    unasked = [name for name in offered if name not in expected]
    if expected and unasked:  # a unit without a call guards that there is none
        yield LintWarning(first.path, 1, f"{unit.key}: no case expects a call of {listed(unasked)}")
