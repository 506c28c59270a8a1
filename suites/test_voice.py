"""Brand voice: the output sounds like the house, keeps its rules, and has the required content."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tunegate.harness.session.pytest_plugin.items import CaseItem, GateItem

pytestmark = pytest.mark.suite("voice")


def test_voice(tunegate_case: CaseItem) -> None:
    """One case: the output passes the style metric, the house rules and the content check."""
    tunegate_case.check()


def test_voice_gate(tunegate_gate: GateItem) -> None:
    """The unit's verdict against the baseline, and with the task's last suite the task's decision."""
    tunegate_gate.check()
