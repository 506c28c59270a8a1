"""The worlds of benchmarks/hold_out.py: what is drawn is what the sentence says."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import hold_out
from benchmarks.hold_out import Cell
from tunegate.harness.core.progress import quiet


def worlds(cell: Cell, draws: int = 300):
    random = np.random.default_rng(1)
    return [hold_out.drawn(cell, random) for _ in range(draws)]


@pytest.mark.parametrize("base", [0.3, 0.6])
def test_the_base_passes_and_flips_as_often_as_is_said(base):
    found = worlds(Cell("untouched", "any", 200, 0.1, base, 0.3))
    assert np.mean([before.mean() for before, *_ in found]) == pytest.approx(base, abs=0.01)
    assert np.mean([(before != after).mean() for before, after, _ in found]) == pytest.approx(0.1, abs=0.01)
    assert {near.sum() for *_, near in found} == {60}


def test_near_cases_are_those_that_are_named():
    for name, score in (("passed", 1), ("failed", 0)):
        assert all(
            (before[near] == score).all() for before, _, near in worlds(Cell("untouched", name, 100, 0.1, 0.5, 0.3))
        )
    assert all(
        (after < before)[near].all() for before, after, near in worlds(Cell("untouched", "lost", 100, 0.1, 0.5, 0.3))
    )


@pytest.mark.parametrize("kind", ["harmed", "hidden"])
def test_the_margin_is_lost(kind):
    found = worlds(Cell(kind, "any", 200, 0.02, 0.9, 0.3))
    lost = [(before - after) if kind == "harmed" else (before - after)[~near] for before, after, near in found]
    assert np.mean([each.mean() for each in lost]) == pytest.approx(hold_out.MARGIN, abs=0.01)


def test_what_is_put_together_is_the_shipped_gates_verdict():
    for graded in (False, True):
        for cell in (
            Cell("memorized", "failed", 100, 0.1, 0.5, 0.3, graded),
            Cell("hidden", "any", 60, 0.1, 0.5, 0.5, graded),
        ):
            for world in worlds(cell, 5):
                hold_out.check(*world, hold_out.shipped(*world))


def test_a_rule_that_ignores_near_cases_is_seen_to_err(monkeypatch):
    monkeypatch.setattr(hold_out, "SIZES", (100,))
    monkeypatch.setattr(hold_out, "FLIPS", (0.1,))
    monkeypatch.setattr(hold_out, "BASES", (0.5,))
    monkeypatch.setattr(hold_out, "SHARES", (0.3,))
    monkeypatch.setattr(hold_out, "WRONG", {"memorized": ("improved", "regressed")})
    rows = hold_out.measure(20, quiet())
    assert all(each.means["all cases"].improved == 1 for each in rows if each.near in ("any", "failed"))
    assert list(hold_out.broken(rows)) == []
    assert "Written down before measuring: at most 5.0 %" in hold_out.report(rows, "here")
