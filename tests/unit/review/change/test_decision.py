"""What passes the gate."""

from __future__ import annotations

from tests.support.records import record
from tunegate.harness.review.change.decision import Decision, RulesVerdict


def test_nothing_passes_without_an_evaluation():
    assert not Decision().passes
    assert Decision((RulesVerdict("", record([], {}), ()),)).passes
