"""Scores of another tool: a case passes as its runner says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tunegate.harness.session.pytest_plugin.items import CaseItem, GateItem

pytestmark = pytest.mark.suite("scored")


def test_scored(tunegate_case: CaseItem) -> None:
    """One case: its runner says that it passes."""
    tunegate_case.check()


def test_scored_gate(tunegate_gate: GateItem) -> None:
    """The unit's verdict against the baseline, and with the task's last suite the task's decision."""
    tunegate_gate.check()
