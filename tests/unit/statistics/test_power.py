from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.statistics.critical_values import critical
from tunegate.harness.statistics.paired import WINSOR_MARGINS, held, score_statistic, winsorise_differences
from tunegate.harness.statistics.power import Continuous, Levels, fewest_cases

LEVELS = Levels(0.04 / 2, 0.04 / 10, 0.04 / 4)


def simulated(n: int, margin: float, change: float, sd: float) -> tuple[float, float, float]:
    """How often the gate's own statistics hold, regress and improve n normal changes, of 300 draws."""
    random, found = np.random.default_rng(7), []
    for _ in range(300):
        scores = random.normal(change, sd, n)
        d = winsorise_differences(np.zeros(n), scores, WINSOR_MARGINS * margin)
        holds = held(d.d, 1 / WINSOR_MARGINS, LEVELS.held)
        worse = score_statistic([-each for each in d.d], 0.0) > critical(LEVELS.worse)
        better = score_statistic(d.d, 0.0) > critical(LEVELS.better)
        found.append((holds, worse and not holds, better and holds))
    held_share, regressed, improved = np.mean(found, axis=0)
    return float(held_share), float(regressed), float(improved)


@pytest.mark.parametrize(("n", "sd"), [(40, 0.5), (40, 1.5), (80, 3.0), (160, 4.0)])
@pytest.mark.parametrize("change", [-1.2, 0.0, 0.8])
def test_the_chances_are_those_of_the_gate(n, sd, change):
    unit = Continuous(sd, LEVELS)

    found = (unit.prob_held(n, 1.0, change), unit.prob_regressed(n, 1.0, change), unit.prob_improved(n, 1.0, change))

    assert found == pytest.approx(simulated(n, 1.0, change, sd), abs=0.07)  # two or three standard errors


@given(sd=st.floats(0.01, 50), ratio=st.floats(0.02, 0.3), power=st.floats(0.55, 0.99))
def test_cases_to_hold_follow_the_formula_where_scores_move_far(sd, ratio, power):
    expected = ((critical(0.04) + critical(1 - power)) / ratio) ** 2

    assert Continuous(sd).cases_to_hold(ratio * sd, power) == pytest.approx(expected, abs=1)


@given(sd=st.floats(0.01, 50), n=st.integers(300, 5000))
def test_what_many_cases_can_see_follows_the_same_formula(sd, n):
    unit, se = Continuous(sd), sd / math.sqrt(n)
    z, four_in_five = critical(0.04), critical(0.2)

    assert unit.smallest_margin(n) == pytest.approx((z + four_in_five) * se, rel=0.004)
    assert unit.smallest_gain(n, 5 * se) == pytest.approx((z + four_in_five) * se, rel=0.004)
    assert unit.smallest_drop(n, se) == pytest.approx((z + four_in_five) * se, rel=0.004)
    assert unit.smallest_drop(n, 5 * se) == pytest.approx((5 - z + four_in_five) * se, rel=0.004)


def test_scores_that_hardly_move_still_take_as_many_cases_as_the_gate_asks_for():
    least = fewest_cases(1 / WINSOR_MARGINS)

    assert least <= Continuous(0.01).cases_to_hold(1.0) <= least + 1
    assert held([0.0] * least, 1 / WINSOR_MARGINS)
    assert not held([0.0] * (least - 1), 1 / WINSOR_MARGINS)
    assert Continuous(0.01).smallest_margin(least - 1) is None


def test_a_gain_takes_as_many_cases_as_a_margin_of_its_size():
    assert Continuous(9.0).cases_to_improve(margin=1.0, gain=0.9) == Continuous(9.0).cases_to_hold(margin=0.9)


def test_a_spread_that_is_none_is_named():
    for sd in [0.0, -1.0, math.nan, math.inf]:
        with pytest.raises(ValueError, match="standard deviation"):
            Continuous(sd)
