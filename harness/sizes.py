"""Sizes and power: how many cases a unit needs, and what the ones it has can see.

All of it is exact for pass/fail cases: churn is the share of cases that flip between two models, in either direction.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom

from harness.stats import LEVEL, critical, differences, wilson

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def churn_seen(d: ArrayLike) -> float:
    """Return mean d^2: the share of cases that flipped, or the pass/fail churn that has the same variance."""
    return float((differences(d) ** 2).mean())


def churn_upper(flips: float, n: int, level: float = 0.05) -> float:
    """Return Wilson's upper bound of the churn after `flips` of n cases flipped (or n x `churn_seen`)."""
    return wilson(flips, n, level).upper


def prob_held(n: int, margin: float, churn: float, level: float = LEVEL) -> float:
    """Return P(held | no change): n pass/fail cases, each broken or fixed with chance churn / 2; to 1e-11.

    The number of flips is Binomial(n, churn), the broken among them Binomial(flips, 1/2); a table counts if
    Tango's statistic exceeds the critical value.
    """
    _check_design(margin, churn)
    if n < 1:
        raise ValueError(f"n must be at least 1, found {n}")
    flips = np.arange(max(int(binom.ppf(1e-12, n, churn)), 0), int(binom.isf(1e-12, n, churn)) + 1)
    allowed = _most_broken(flips, n, margin, level)
    return float(binom.pmf(flips, n, churn) @ binom.cdf(allowed, flips, 0.5))


def fewest_cases(margin: float, level: float = LEVEL) -> int:
    """Return the smallest n that can hold `margin` at all, without a flip: n > z^2 (1 - m) / m."""
    _check_design(margin, churn=0.0)
    return math.floor(critical(level) ** 2 * (1 - margin) / margin) + 1


def cases_to_settle(churn: float, margin: float, level: float = LEVEL, power: float = 0.8) -> int:
    """Return the smallest n at which `prob_held` reaches `power`; for a family of s units, power ** (1 / s).

    P(held) climbs in teeth about 1 / margin cases wide: bisection finds a crossing, then the four teeth
    before it are searched. A unit that has this many cases and is still inconclusive is so by its own drop.
    """
    _check_design(margin, churn)
    if not 0 < power < 1:
        raise ValueError(f"power must lie between 0 and 1, found {power}")
    low = high = first = fewest_cases(margin, level)
    while prob_held(high, margin, churn, level) < power:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        enough = prob_held(middle, margin, churn, level) >= power
        low, high = (low, middle) if enough else (middle + 1, high)
    earlier = range(max(first, high - math.ceil(4 / margin)), high)
    return next((n for n in earlier if prob_held(n, margin, churn, level) >= power), high)


def _check_design(margin: float, churn: float) -> None:
    if not (0 < margin < 1 and 0 <= churn <= 1):
        raise ValueError(f"expected a margin in (0, 1) and a churn in [0, 1], found {margin} and {churn}")


def _most_broken(flips: Integers, n: int, margin: float, level: float) -> Integers:
    """Return, for each number of flips, how many may be broken with the margin still held (-1: none)."""
    z, low, high = critical(level), np.full_like(flips, -1), flips.copy()
    while (low < high).any():
        middle = (low + high + 1) // 2
        fine = _tango(middle, flips - middle, n, margin) > z
        low, high = np.where(fine, middle, low), np.where(fine, high, middle - 1)
    return low


def _tango(broken: Integers, fixed: Integers, n: int, margin: float) -> Floats:
    """Return Tango's statistic in closed form; q, the null's chance of a fix, solves 2nq^2 + bq + c = 0."""
    b = (2 * n - broken + fixed) * margin - broken - fixed
    c = -fixed * margin * (1 - margin)
    q = (np.sqrt(np.maximum(b * b - 8 * n * c, 0)) - b) / (4 * n)
    statistic: Floats = (n * margin - broken + fixed) / np.sqrt(n * (2 * q + margin * (1 - margin)))
    return statistic
