"""Calls of tools: each can be run, and together they are those that the case expects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tunegate.harness.session.pytest_plugin.items import CaseItem, GateItem

pytestmark = pytest.mark.suite("tools")


def test_tools(tunegate_case: CaseItem) -> None:
    """One case: every call fits its tool, and the calls are the expected ones, or there are none."""
    tunegate_case.check()


def test_tools_gate(tunegate_gate: GateItem) -> None:
    """The unit's verdict against the baseline, and with the task's last suite the task's decision."""
    tunegate_gate.check()
