"""What near cases leave as evidence, if training rows come near a given share of the cases by chance.

Sizes are those of `balanced`, for cases that pass or fail. How many of the passed and of the failed cases are clean is
chance, and the smaller share of the two decides; so chances are means over likely numbers of both.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tunegate.harness.statistics.balanced import FAILED, PASSED, evidence_sizes
from tunegate.harness.statistics.distributions import binom_to
from tunegate.harness.statistics.second_reference import STEADY, prob_both

STEPS = 9  # equally likely numbers of clean cases, of the passed and of the failed ones: with five, up to 2 points off


@dataclass(frozen=True)
class Left:
    """Evidence of `size` cases: `unfixed` of them are near and gain nothing, `lost` are near and count as lost."""

    size: int
    unfixed: int
    lost: int


@lru_cache(maxsize=4096)
def evidence_left(n: int, near: float, rate: float | None, *, of_gain: bool) -> dict[Left, float]:
    """Return what n cases, of which the reference passes `rate`, half if unknown, may leave, each with its chance."""
    passed = passed_of(n, rate)
    sizes = {FAILED: n - passed, PASSED: passed}
    found: Counter[Left] = Counter()
    for failed in _likely(sizes[FAILED], 1 - near):
        for kept in _likely(sizes[PASSED], 1 - near):
            numbers = evidence_sizes(sizes, {FAILED: failed, PASSED: kept}, of_gain=of_gain)
            unfixed, lost = max(0, numbers[FAILED] - failed), max(0, numbers[PASSED] - kept)
            found[Left(sum(numbers.values()), unfixed, lost)] += 1
    return {left: count / STEPS**2 for left, count in found.items()}


def usual_size(n: int, near: float, rate: float | None) -> int:
    """Return how many cases are usually left to exclude a loss, at least one."""
    likely = evidence_left(n, near, rate, of_gain=False).items()
    return max(1, round(math.fsum(left.size * chance for left, chance in likely)))


def passed_of(n: int, rate: float | None) -> int:
    """Return how many of n cases the reference passes: half of them if its rate is unknown."""
    return round(n * (STEADY if rate is None else rate))


def prob_also_without_near(whole: float, without: float, near: float) -> float:
    """Return the chance to pass on all cases and on those left: two means, of which one is that of a part."""
    return prob_both(whole, without, math.sqrt(1 - near)) if near else whole


def _likely(n: int, chance: float) -> list[int]:
    """Return `STEPS` equally likely counts of a binomial: the middles of as many stretches."""
    to = binom_to(np.arange(n), n, chance)
    return [int(np.searchsorted(to, (step + 0.5) / STEPS)) for step in range(STEPS)]
