"""Cost: the cost of each output of another unit, at the prices of task.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tunegate.harness.session.pytest_plugin.items import CaseItem, GateItem

pytestmark = pytest.mark.suite("cost")


def test_cost(tunegate_case: CaseItem) -> None:
    """One case: its output has token counts, and therefore a price."""
    tunegate_case.check()


def test_cost_gate(tunegate_gate: GateItem) -> None:
    """The unit's verdict against the baseline, and with the task's last suite the task's decision."""
    tunegate_gate.check()
