"""Domain vocabulary: the trade's terms, none of their banned variants, regulated wording verbatim."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tunegate.harness.session.pytest_plugin.items import CaseItem, GateItem

pytestmark = pytest.mark.suite("vocabulary")


def test_vocabulary(tunegate_case: CaseItem) -> None:
    """One case: the output uses the required terms and wording."""
    tunegate_case.check()


def test_vocabulary_gate(tunegate_gate: GateItem) -> None:
    """The unit's verdict against the baseline, and with the task's last suite the task's decision."""
    tunegate_gate.check()
