"""Schema adherence: the whole output is JSON of the agreed shape with the right values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tunegate.harness.session.pytest_plugin.items import CaseItem, GateItem

pytestmark = pytest.mark.suite("schema")


def test_schema(tunegate_case: CaseItem) -> None:
    """One case: the output is JSON, satisfies its schema and matches what the case expects."""
    tunegate_case.check()


def test_schema_gate(tunegate_gate: GateItem) -> None:
    """The unit's verdict against the baseline, and with the task's last suite the task's decision."""
    tunegate_gate.check()
