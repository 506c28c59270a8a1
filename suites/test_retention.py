"""Retention: the model still models general language and general knowledge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tunegate.harness.session.pytest_plugin.items import CaseItem, GateItem

pytestmark = pytest.mark.suite("retention")


def test_retention(tunegate_case: CaseItem) -> None:
    """One case: a passage has a likelihood, or the output to a question is an accepted one."""
    tunegate_case.check()


def test_retention_gate(tunegate_gate: GateItem) -> None:
    """The unit's verdict against the baseline, and with the task's last suite the task's decision."""
    tunegate_gate.check()
