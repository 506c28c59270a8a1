"""What near cases leave as evidence, if training rows come near a given share of the cases by chance.

Sizes are those of `balanced`, for cases that pass or fail. How many of the passed and of the failed cases are clean is
chance, and the smaller share of the two decides; so chances are means over likely numbers of both.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import astuple, dataclass
from functools import lru_cache

import numpy as np

from tunegate.harness.statistics.balanced import FAILED, PASSED, evidence_sizes
from tunegate.harness.statistics.distributions import binom_at, binom_to
from tunegate.harness.statistics.second_reference import STEADY, prob_both

STEPS = 9  # likely numbers of clean cases, of the passed and of the failed ones


@dataclass(frozen=True)
class Left:
    """Evidence of `size` cases, in which a share of the fixes is `unseen`, and a share of the cases counts as `lost`.

    Both are near cases that fill up the failed and the passed ones.
    """

    size: int
    unseen: float
    lost: float


@lru_cache(maxsize=4096)
def evidence_left(n: int, near: float, rate: float | None, *, of_gain: bool) -> dict[Left, float]:
    """Return what n cases may leave as evidence, each with its chance.

    The reference passes a `rate` of them, half if that is unknown. Evidence of a gain, or otherwise of no loss.
    """
    passed = round(n * (STEADY if rate is None else rate))
    sizes = {FAILED: n - passed, PASSED: passed}
    found: dict[Left, float] = {}
    for some, chance in _likely(sizes[FAILED], 1 - near).items():
        for others, other in _likely(passed, 1 - near).items():
            left = _left(sizes, {FAILED: some, PASSED: others}, of_gain=of_gain)
            found[left] = found.get(left, 0.0) + chance * other
    return found


def usually_left(n: int, near: float, rate: float | None) -> Left:
    """Return what n cases leave on average to exclude a loss, at least one case."""
    found = evidence_left(n, near, rate, of_gain=False)
    size, unseen, lost = np.average([astuple(left) for left in found], axis=0, weights=list(found.values()))
    return Left(max(1, round(size)), float(unseen), float(lost))


def prob_also_without_near(whole: float, without: float, near: float) -> float:
    """Return the chance to pass on all cases and on those left, as two normal means of which one is that of a part."""
    if not near:
        return whole
    # the sum of `prob_both` is coarse where the two hardly differ
    return min(whole, without, prob_both(whole, without, math.sqrt(1 - near)))


def _left(sizes: dict[int, int], clean: dict[int, int], *, of_gain: bool) -> Left:
    numbers = evidence_sizes(sizes, clean, of_gain=of_gain)
    size = sum(numbers.values())
    unseen, lost = (max(0, numbers[each] - clean[each]) / max(size, 1) for each in (FAILED, PASSED))
    return Left(size, unseen * sum(sizes.values()) / max(sizes[FAILED], 1), lost)


def _likely(n: int, chance: float) -> dict[int, float]:
    """Return the counts of a binomial with their chances; of a large one the middles of `STEPS` equal stretches."""
    counts = np.arange(n + 1)
    if n <= 2 * STEPS:
        return dict(zip(counts.tolist(), np.atleast_1d(binom_at(counts, n, chance)).tolist(), strict=True))
    middles = np.searchsorted(binom_to(counts, n, chance), (np.arange(STEPS) + 0.5) / STEPS)
    return {count: times / STEPS for count, times in Counter(middles.tolist()).items()}
