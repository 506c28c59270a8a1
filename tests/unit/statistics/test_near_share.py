"""The power that a share of near cases costs, held against simulations of the gate's two tests."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.statistics.balanced import balanced, score_strata
from tunegate.harness.statistics.joint import Sample, prob_passed, prob_passed_together
from tunegate.harness.statistics.near_share import evidence_left, prob_also_without_near, usually_left
from tunegate.harness.statistics.power import Continuous
from tunegate.harness.statistics.sample_size import PassFail


# 10,000 draws of `held` and `p_better` on all cases and on the `balanced` ones: a standard error of half a point
@pytest.mark.parametrize(
    ("n", "flip_rate", "rate", "near", "margin", "gain", "held", "improved"),
    [
        (60, 0.04, 0.6, 0.2, 0.09, 0.127, 0.658, 0.656),
        (100, 0.1, 0.9, 0.1, 0.1, 0.08, 0.83, 0.644),
        (100, 0.04, 0.6, 0.4, 0.07, 0.107, 0.583, 0.647),
        (200, 0.1, 0.3, 0.4, 0.065, 0.088, 0.618, 0.665),
        (200, 0.04, 0.9, 0.2, 0.047, 0.054, 0.787, 0.651),
        (400, 0.1, 0.6, 0.1, 0.05, 0.045, 0.877, 0.661),
    ],
)
def test_chances_are_those_of_the_gate_where_rows_come_near_any_cases(
    n, flip_rate, rate, near, margin, gain, held, improved
):
    power = PassFail(flip_rate, rate, near=near)

    assert power.prob_held(n, margin) == pytest.approx(held, abs=0.02)
    assert power.prob_improved(n, margin, gain) == pytest.approx(improved, abs=0.02)


# 1,500 draws, with three equal models of 100 and 200 cases that each flip cases of their own
@pytest.mark.parametrize(
    ("beside", "n", "flip_rate", "near", "margin", "held"),
    [
        ("held", 100, 0.1, 0.4, 0.102, 0.541),
        ("not worse", 100, 0.04, 0.4, 0.078, 0.688),
        ("held", 200, 0.04, 0.2, 0.051, 0.775),
        ("not worse", 200, 0.1, 0.2, 0.072, 0.803),
    ],
)
def test_beside_a_second_reference(beside, n, flip_rate, near, margin, held):
    power = PassFail(flip_rate, 0.6, beside=beside, near=near)

    assert power.prob_held(n, margin) == pytest.approx(held, abs=0.03)


# 1,500 draws of three guards with a margin of six points together
@pytest.mark.parametrize(
    ("n", "rate", "near", "passed"), [(40, 0.6, 0.2, 0.616), (60, 0.9, 0.4, 0.629), (100, 0.6, 0.4, 0.825)]
)
def test_guards_together(n, rate, near, passed):
    parts = [Sample(n, PassFail(0.06, rate, near=near), 0.06)] * 3

    assert prob_passed_together(parts, 0.06, 0.04) == pytest.approx(passed, abs=0.04)


@given(
    n=st.integers(1, 120),
    flip_rate=st.sampled_from([0.0, 0.04, 0.1, 0.3]),
    rate=st.none() | st.floats(0, 1),
    margin=st.sampled_from([0.05, 0.1, 0.2]),
    change=st.floats(-0.2, 0.3),
    tenths=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    beside=st.sampled_from(["", "held", "not worse"]),
)
def test_a_larger_share_never_makes_a_chance_larger(n, flip_rate, rate, margin, change, tenths, beside):
    few, many = (
        PassFail(flip_rate, rate, beside=beside if n < 30 else "", near=tenth / 10) for tenth in sorted(tenths)
    )
    change = min(change, few.widest_gain)
    part = Sample(n, few, margin, change)

    assert many.prob_held(n, margin, change) <= few.prob_held(n, margin, change) + 1e-3
    assert many.prob_improved(n, margin, change) <= few.prob_improved(n, margin, change) + 1e-3
    assert prob_passed(replace(part, power=many)) <= prob_passed(part) + 1e-3
    assert many.prob_regressed(n, margin, change) == few.prob_regressed(n, margin, change)
    assert many.fewest(margin) >= few.fewest(margin)


def test_without_near_cases_nothing_changes():
    assert evidence_left(60, 0.0, 0.6, of_gain=True).keys() == {usually_left(60, 0.0, 0.6)}
    assert usually_left(60, 0.0, 0.6).size == 60
    assert prob_also_without_near(0.7, 0.1, 0.0) == 0.7


@pytest.mark.parametrize("of_gain", [True, False])
@pytest.mark.parametrize(("n", "rate", "near"), [(100, 0.6, 0.2), (100, 0.9, 0.4), (60, 0.05, 0.4)])
def test_as_much_is_left_as_balancing_leaves(n, rate, near, of_gain):
    random, passed = np.random.default_rng(1), round(n * rate)
    before = [1.0] * passed + [0.0] * (n - passed)
    worst = [-each for each in before]
    sizes = [
        len(balanced(score_strata(before), [0.0] * n, worst, list(random.random(n) < near), of_gain=of_gain).d)
        for _ in range(2000)
    ]
    found = evidence_left(n, near, rate, of_gain=of_gain)

    assert sum(found.values()) == pytest.approx(1)
    assert math.fsum(left.size * chance for left, chance in found.items()) == pytest.approx(
        np.mean(sizes), abs=0.01 * n
    )


def test_a_few_cases_that_are_nearly_all_near_prove_nothing():
    power = PassFail(0.04, 0.6, near=0.99)

    assert power.prob_held(3, 0.9) < 0.5
    assert power.prob_improved(3, 0.9, 0.4) == 0


def test_continuous_scores_rest_on_the_clean_cases_too():
    whole, half = Continuous(1.0), Continuous(1.0, near=0.5)

    assert half.prob_held(300, 0.2) < whole.prob_held(150, 0.2) < whole.prob_held(300, 0.2)
    assert half.prob_improved(300, 0.2, 0.2) < whole.prob_improved(150, 0.2, 0.2)
    assert half.prob_regressed(300, 0.2, -0.3) == whole.prob_regressed(300, 0.2, -0.3)
    assert half.fewest(0.2) == 2 * whole.fewest(0.2)
    assert half.prob_few_collapse(300, 0.2) == whole.prob_few_collapse(300, 0.2)
