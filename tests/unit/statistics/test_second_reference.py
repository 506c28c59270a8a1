"""A candidate beside two references: held against drawn models, and against the sums for one reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tunegate.harness.statistics import second_reference
from tunegate.harness.statistics.joint import Sample, prob_not_regressed, prob_passed, prob_passed_together
from tunegate.harness.statistics.power import Levels
from tunegate.harness.statistics.sample_size import PassFail
from tunegate.harness.statistics.second_reference import prob_both

DRAWS = 20_000
LEVELS = Levels(worse=0.04 / 10)


def power(flip_rate: float, beside: str = "") -> PassFail:
    return PassFail(flip_rate, 0.8, LEVELS, beside)  # type: ignore[arg-type]


def drawn(n: int, flip_rate: float, change: float = 0.0, rate: float = 0.8):
    """Numbers of regressed and fixed cases beside both references, a row a draw; some cases any model has by chance."""
    random = np.random.default_rng([n, round(1000 * flip_rate)])
    steady, by_chance = random.random((DRAWS, n)) < rate, random.random((DRAWS, n)) < 2 * flip_rate
    first, second, candidate = (np.where(by_chance, random.random(steady.shape) < 0.5, steady) for _ in range(3))
    passing = rate * (1 - 2 * flip_rate) + flip_rate
    candidate &= random.random(steady.shape) >= -change / passing
    return [((each & ~candidate).sum(1), (~each & candidate).sum(1)) for each in (first, second)]


@pytest.mark.parametrize(("n", "margin", "flip_rate", "change"), [
    (60, 0.1, 0.1, 0.0), (60, 0.13, 0.04, 0.0), (100, 0.1, 0.1, -0.05), (200, 0.05, 0.04, 0.0),
    (200, 0.05, 0.04, -0.05),
])  # fmt: skip
def test_the_chance_is_that_of_drawn_models(n, margin, flip_rate, change):
    rule = power(flip_rate)
    held = [rule.is_held(*counts, n, margin) for counts in drawn(n, flip_rate, change)]
    fine = [rule.is_not_regressed(*counts, n, margin) for counts in drawn(n, flip_rate, change)]

    assert power(flip_rate, "held").prob_held(n, margin, change) == pytest.approx((held[0] & held[1]).mean(), abs=0.012)
    not_worse = power(flip_rate, "not worse")
    assert not_worse.prob_held(n, margin, change) == pytest.approx((held[0] & fine[1]).mean(), abs=0.012)
    assert not_worse.prob_regressed(n, margin, change) == pytest.approx(1 - (fine[0] & fine[1]).mean(), abs=0.012)


def test_cases_that_mostly_pass_are_not_held_more_often():
    high = [power(0.04).is_held(*counts, 200, 0.05) for counts in drawn(200, 0.04, rate=0.97)]
    plan = PassFail(0.04, 0.95, LEVELS, "held")

    assert plan.prob_held(200, 0.05) == pytest.approx((high[0] & high[1]).mean(), abs=0.012)


@pytest.mark.parametrize(("n", "flip_rate", "margin"), [(200, 0.1, 0.08), (100, 0.2, 0.15)])
def test_many_flips_are_near_the_exact_sum(n, flip_rate, margin, monkeypatch):
    exact = [power(flip_rate, beside).prob_held(n, margin) for beside in ("held", "not worse")]
    monkeypatch.setattr(second_reference, "MOST_OWN", 0.0)

    assert [power(flip_rate, beside).prob_held(n, margin) for beside in ("held", "not worse")] == pytest.approx(
        exact, abs=0.02
    )


def test_two_references_are_harder_than_one_and_easier_than_two_candidates():
    one, both = power(0.04).prob_held(200, 0.05), power(0.04, "held").prob_held(200, 0.05)

    assert one**2 < both < one
    assert both < power(0.04, "not worse").prob_held(200, 0.05) < one
    assert prob_both(one, one, shared=0.0) == pytest.approx(one**2)
    assert prob_both(one, one, shared=1.0) == one
    assert prob_both(0.0, one) == 0.0


def test_without_a_flip_both_references_say_the_same():
    assert power(0.0, "held").prob_held(100, 0.05) == pytest.approx(1.0)
    assert power(0.0, "held").prob_held(20, 0.05) == 0.0


def test_a_sealed_unit_must_not_be_worse_though_held():
    whole = Sample(200, power(0.1, "held"), 0.2, change=-0.03)
    sealed = replace(whole, strict=True)

    assert prob_passed(sealed) < prob_passed(whole)
    assert prob_not_regressed(sealed) < prob_not_regressed(whole)


def test_guards_together_beside_two_references():
    alone, both, service = (
        prob_passed_together([Sample(60, power(0.04, beside), 0.05)] * 3, 0.055, 0.04)
        for beside in ("", "held", "not worse")
    )
    assert both < service < alone


def test_more_cases_and_wider_margins_are_needed():
    one, both = power(0.04), power(0.04, "held")

    assert both.cases_to_hold(0.05) > one.cases_to_hold(0.05)
    assert (both.smallest_margin(100) or 0) > (one.smallest_margin(100) or 0)
