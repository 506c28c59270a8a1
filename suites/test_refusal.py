"""Refusals: an output declines a request, or does what it asks, as people label it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tunegate.harness.session.pytest_plugin.items import CaseItem, GateItem

pytestmark = pytest.mark.suite("refusal")


def test_refusal(tunegate_case: CaseItem) -> None:
    """One case: the output holds a word; what is right of it, labels decide."""
    tunegate_case.check()


def test_refusal_gate(tunegate_gate: GateItem) -> None:
    """The unit's verdict against the baseline, and with the task's last suite the task's decision."""
    tunegate_gate.check()
