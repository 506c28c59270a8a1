"""The worlds of benchmarks/hold_out.py: what is drawn is what the sentence says."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import hold_out
from tunegate.harness.core.progress import quiet


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_near_cases_are_right_and_the_others_as_good_as_before(share):
    random = np.random.default_rng(1)
    moved = []
    for _ in range(200):
        world, near = hold_out._drawn(0.2, share, "hard", random)
        [unit] = world.units
        assert near.sum() == round(share * hold_out.CASES)
        assert unit.after[near].all()
        moved.append((unit.after - unit.before)[~near].mean())
    assert abs(np.mean(moved)) < 0.03


def test_named_near_cases_are_no_gain(monkeypatch):
    monkeypatch.setattr(hold_out, "SHARES", (0.5,))
    monkeypatch.setattr(hold_out, "FLIP_RATES", (0.04,))
    cells = hold_out.measure(20, quiet())
    assert [each.improved_unnamed for each in cells] == [1.0] * 3
    assert all(each.improved <= 0.2 for each in cells)
    assert list(hold_out.broken(cells)) == []
    assert "Written down before measuring: at most 5.0 % are improved" in hold_out.report(cells, "here")
