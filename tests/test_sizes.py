"""Sizes and power: exact sums over all tables of flips, and the numbers that the decision rule was found with."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom

from harness.sizes import cases_to_settle, churn_seen, churn_upper, fewest_cases, prob_held
from harness.stats import held, wilson
from tests.test_stats import cases, tango


def test_churn_is_read_off_the_differences() -> None:
    assert churn_seen(cases(3, 1, 100)) == pytest.approx(0.04)
    assert churn_seen([0.5, -0.5, 0.0, 0.0]) == pytest.approx(0.125)
    assert churn_upper(4, 100) == wilson(4, 100).upper > 0.04
    assert churn_upper(0, 100) > 0
    assert churn_seen([(0.1 + 0.2) - 0.3, 0.0]) == 0


@pytest.mark.parametrize(("n", "margin", "churn"), [(30, 0.1, 0.1), (45, 0.15, 0.3), (12, 0.4, 1.0)])
def test_prob_held_is_a_sum_over_all_tables(n: int, margin: float, churn: float) -> None:
    expected = sum(
        math.comb(n, b) * math.comb(n - b, f) * (churn / 2) ** (b + f) * (1 - churn) ** (n - b - f)
        for b in range(n + 1)
        for f in range(n + 1 - b)
        if held(cases(b, f, n), margin)
    )
    assert prob_held(n, margin, churn) == pytest.approx(expected, abs=1e-10)


def chance_held(n: int, margin: float, churn: float, drop: float) -> float:
    """P(held) where `drop` more break than are fixed, and max(churn, drop) flip: the table's columns."""
    flip = max(churn, drop)
    flips = np.arange(int(binom.isf(1e-12, n, flip)) + 1)
    return sum(
        float(binom.pmf(t, n, flip) * binom.pmf(b, t, (1 + drop / flip) / 2))
        for t in flips
        for b in range(t + 1)
        if b - (t - b) < n * margin and tango(b, int(t) - b, n, margin) > 1.75069
    )


@pytest.mark.parametrize(
    ("n", "margin", "churn", "percent"),
    [
        (50, 0.05, 0.04, (26, 6, 0)),
        (100, 0.05, 0.02, (78, 28, 4)),
        (100, 0.05, 0.04, (60, 19, 4)),
        (200, 0.05, 0.02, (98, 43, 3)),
        (200, 0.05, 0.04, (91, 37, 3)),
    ],
)
def test_simulation_table_held(n: int, margin: float, churn: float, percent: tuple[int, int, int]) -> None:
    exact = [100 * chance_held(n, margin, churn, drop) for drop in (0, margin / 2, margin)]
    assert exact == pytest.approx(percent, abs=1.0)
    assert exact[0] == pytest.approx(100 * prob_held(n, margin, churn), abs=1e-6)


@pytest.mark.parametrize(
    ("n", "margin", "churn", "percent"),
    [(400, 0.05, 0.04, 100), (400, 0.05, 0.10, 91), (400, 0.02, 0.04, 55)],
)
def test_simulation_table_held_without_change(n: int, margin: float, churn: float, percent: int) -> None:
    assert 100 * prob_held(n, margin, churn) == pytest.approx(percent, abs=1.0)


@pytest.mark.parametrize(
    ("n", "margin", "churn"), [(60, 0.1, 0.1), (80, 0.1, 0.25), (150, 0.05, 0.05), (150, 0.05, 0.2)]
)
def test_a_drop_of_the_margin_is_seldom_held(n: int, margin: float, churn: float) -> None:
    assert chance_held(n, margin, churn, margin) <= 0.05


@pytest.mark.parametrize(
    ("churn", "one", "five"), [(0.02, 109, 167), (0.04, 151, 248), (0.10, 289, 512)], ids=["2", "4", "10"]
)
def test_cases_for_five_points(churn: float, one: int, five: int) -> None:
    # This table, found by simulation, lies one to ten cases above the smallest n of the exact enumeration.
    assert one - 2 <= cases_to_settle(churn, 0.05) <= one
    assert five - 10 <= cases_to_settle(churn, 0.05, power=0.8 ** (1 / 5)) <= five


@pytest.mark.parametrize(("churn", "margin"), [(0.0, 0.05), (0.02, 0.05), (0.1, 0.05), (0.3, 0.1)])
@pytest.mark.parametrize("power", [0.8, 0.95])
def test_cases_to_settle_is_the_first_n(churn: float, margin: float, power: float) -> None:
    found = cases_to_settle(churn, margin, power=power)
    assert prob_held(found, margin, churn) >= power
    assert all(prob_held(n, margin, churn) < power for n in range(1, found))


def test_margin_a_suite_can_hold() -> None:
    for n, points in [(50, 13), (100, 9), (200, 6), (400, 4), (800, 2.6)]:
        assert prob_held(n, points / 100, 0.04) ** 5 == pytest.approx(0.8, abs=0.08)


def test_fewest_cases() -> None:
    assert fewest_cases(0.05) == 59
    assert held([0.0] * 59, 0.05)
    assert not held([0.0] * 58, 0.05)
    assert fewest_cases(0.05, 0.04 / 24) == 164


def test_a_stricter_level_or_more_churn_is_harder_to_hold() -> None:
    assert prob_held(300, 0.05, 0.04, 0.02) < prob_held(300, 0.05, 0.04, 0.04)
    assert prob_held(300, 0.05, 0.08) < prob_held(300, 0.05, 0.04)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: churn_upper(0, 0), "0 of 0"),
        (lambda: prob_held(0, 0.05, 0.1), "n must"),
        (lambda: prob_held(9, 0.0, 0.1), "margin"),
        (lambda: cases_to_settle(0.1, 0.05, power=1.0), "power"),
    ],
)
def test_bad_input_is_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
