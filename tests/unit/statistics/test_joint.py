"""Units that are decided together: exact sums, held against the statistics themselves and against known figures."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.gate.together import pooled
from tunegate.harness.statistics.joint import (
    Sample,
    prob_improved,
    prob_not_regressed,
    prob_passed,
    prob_passed_together,
)
from tunegate.harness.statistics.paired import held, p_worse
from tunegate.harness.statistics.power import Levels
from tunegate.harness.statistics.sample_size import PassFail, expected_flips


def guard(n: int, flip_rate: float = 0.04, margin: float = 0.05, tests: int = 4, **more) -> Sample:
    """A guard of n cases in a family of so many tests."""
    return Sample(n, PassFail(flip_rate, levels=Levels(worse=0.04 / tests)), margin, **more)


def tables(part: Sample):
    """Every table of a unit: its changes, its chance, and whether it is regressed, by the statistics themselves."""
    flips = expected_flips(part.change, part.power.flip_rate)
    for lost in range(part.n + 1):
        for fixed in range(part.n + 1 - lost):
            d = [-1.0] * lost + [1.0] * fixed + [0.0] * (part.n - lost - fixed)
            ways = math.comb(part.n, lost) * math.comb(part.n - lost, fixed)
            still = (1 - flips.either) ** (part.n - lost - fixed)
            chance = ways * flips.regressed**lost * flips.fixed**fixed * still
            is_worse = p_worse(d, seed=1).p <= part.power.levels.worse
            stands = held(d, part.margin, part.power.levels.held) and not part.strict
            yield d, chance, is_worse and not stands


@pytest.mark.parametrize("strict", [False, True])
def test_every_table_of_two_small_guards(strict):
    parts = [
        Sample(7, PassFail(0.3, levels=Levels(worse=0.1)), 0.3, change=-0.1, strict=strict),
        Sample(7, PassFail(0.1, levels=Levels(worse=0.1)), 0.2, strict=strict),
    ]
    together = sum(
        first * second
        for (d, first, down), (e, second, too) in itertools.product(*map(list, map(tables, parts)))
        if not (down or too) and held([*d, *e], 0.25, 0.04)
    )
    alone = sum(chance for d, chance, down in tables(parts[0]) if not down and held(d, 0.3, 0.04))

    assert prob_passed_together(parts, 0.25, 0.04) == pytest.approx(together, abs=1e-9)
    assert prob_passed(parts[0]) == pytest.approx(alone, abs=1e-9)
    up = sum(chance for _, chance, down in tables(parts[1]) if not down)
    assert prob_not_regressed(parts[1]) == pytest.approx(up, abs=1e-9)


def test_known_figures():
    three = [guard(60)] * 3

    assert prob_passed(guard(60)) ** 3 == pytest.approx(0.078, abs=0.001)  # singly
    assert prob_passed_together(three, 0.05, 0.04) == pytest.approx(0.876, abs=0.001)
    assert prob_improved(guard(60, change=0.15)) == pytest.approx(0.88, abs=0.001)
    for loss, found in ((0.1, 0.36), (0.15, 0.66), (0.2, 0.87)):  # shown in one of four guards, by itself
        assert 1 - prob_not_regressed(guard(60, change=-loss)) == pytest.approx(found, abs=0.006)


def test_one_guard_alone_is_as_the_power_says():
    part = guard(90, 0.1)

    assert prob_passed(part) == pytest.approx(part.power.prob_held(90, 0.05), abs=1e-9)
    assert prob_not_regressed(part) == pytest.approx(1 - part.power.prob_regressed(90, 0.05, 0.0), abs=1e-9)
    assert prob_passed_together([part], 0.05, 0.04) == pytest.approx(prob_passed(part), abs=1e-9)


@pytest.mark.parametrize("flip_rate", [0.04, 0.1, 0.2])
@pytest.mark.parametrize(("guards", "margin"), [(2, 0.1), (3, 0.05), (4, 0.05), (6, 0.03)])
def test_guards_that_all_lose_the_margin_hardly_ever_pass(guards, margin, flip_rate):
    parts = [guard(60, flip_rate, margin, guards + 1, change=-margin)] * guards

    assert prob_passed_together(parts, margin, 0.04) <= 0.05


def test_sealed_guards_pass_less_often():
    part = guard(400, 0.04, 0.1, change=-0.05)

    assert prob_not_regressed(replace(part, strict=True)) < prob_not_regressed(part) - 0.3


@given(
    n=st.sampled_from([30, 60, 100, 250]),
    flip_rate=st.floats(0, 0.3),
    guards=st.integers(1, 5),
    margins=st.lists(st.integers(2, 30), min_size=2, max_size=2).map(sorted),
)
def test_a_wider_margin_never_lowers_the_chance(n, flip_rate, guards, margins):
    narrow, wide = (share / 100 for share in margins)
    parts = [guard(n, flip_rate)] * guards

    assert prob_passed_together(parts, narrow, 0.04) <= prob_passed_together(parts, wide, 0.04) + 1e-9


@given(n=st.integers(20, 120), flip_rate=st.floats(0, 0.2), losses=st.lists(st.floats(0, 0.5), min_size=2, max_size=2))
def test_a_larger_loss_of_one_guard_never_passes_more_often(n, flip_rate, losses):
    small, large = (
        prob_passed_together([guard(n, flip_rate), guard(n, flip_rate, change=-loss)], 0.06, 0.04)
        for loss in sorted(losses)
    )

    assert large <= small + 1e-9


def test_guards_of_unequal_sizes_are_about_as_drawn():
    parts = [guard(n, 0.08, 0.05, 5, weight=1.0) for n in (40, 60, 60, 120)]
    random, drawn = np.random.default_rng(3), 1_500
    passed = 0
    for _ in range(drawn):
        ds = [random.choice([-1.0, 1.0, 0.0], part.n, p=[0.04, 0.04, 0.92]) for part in parts]
        d, most = pooled([([(place, case) for case in range(len(one))], one, 1.0) for place, one in enumerate(ds)])
        fine = all(p_worse(one, seed=1).p > part.power.levels.worse for part, one in zip(parts, ds, strict=True))
        passed += fine and held(d, 0.045 / most, 0.04)

    assert -0.08 <= prob_passed_together(parts, 0.045, 0.04) - passed / drawn <= 0.05
