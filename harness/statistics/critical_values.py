"""Critical values of the score statistic: enumerated for pass/fail cases, the normal quantile for other scores."""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, stdtrit

from tunegate.harness.statistics.distributions import (
    Floats,
    Integers,
    binom_at,
    binom_to,
    norm_exceeded,
)

PROMISED = 1.25  # times the level, of every error: 5 % at .04; enumerated errors go up to it, all others stay near .04
ENUMERATED_TO = 10_000  # cases; there the error of the normal quantile at .04 is at most 4.4 %
NUISANCES = 40  # chances of a fix, from none to half of the range, and so many beyond
STEP = 0.05  # of a critical value that is looked for
TIE = 1e-9  # the two ways to compute the statistic differ by up to this
SPREADS = 7  # standard deviations, and as many flips more, beyond which a number of flips is too unlikely to count


def critical(level: float) -> float:
    """Return the standard normal quantile exceeded with chance `level`, 0 < level < .5: 1.7507 at .04."""
    if not 0 < level < 0.5:
        raise ValueError(f"a level must lie between 0 and .5, found {level}")
    return norm_exceeded(level)


def cluster_critical(level: float, clusters: int) -> float:
    """Return the critical value for so many clusters: the t quantile with clusters - 1 degrees of freedom."""
    if clusters < 2 or not 0 < level < 0.5:
        raise ValueError(f"expected two clusters or more and a level between 0 and .5, found {clusters} and {level}")
    return -float(stdtrit(clusters - 1, level))


@lru_cache(maxsize=4096)
def critical_value(n: int, margin: float, level: float) -> float:
    """Return the least critical value of T(margin) for n pass/fail cases whose error is at most the promised one.

    The error is the sum over all tables of regressed and fixed cases, at the worst chance of a fix (an unconditional
    exact test: Suissa and Shuster, Biometrics 47, 1991); inf if no table may be held. With the normal quantile 10 cases
    falsely hold a margin of .15 7.6 % of the time, and 100 cases hold one of .05 less often than they may: at a flip
    rate of .04 59.6 instead of 62.9 %. Beyond 10,000 cases, where the sums become dear, it is that quantile.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, found {n}")
    normal = critical(level)
    return normal if n > ENUMERATED_TO else _least(n, margin, PROMISED * level)


def graded_critical_value(n: int, margin: float, level: float) -> float:
    """Return the critical value for scores between pass and fail, whose laws cannot be enumerated.

    It is the normal quantile, or the critical value of pass/fail cases where that is larger, as they may be among them.
    """
    return max(critical(level), critical_value(n, margin, level))


@lru_cache(maxsize=4096)
def rate_critical_value(n: int, rate: float, level: float) -> float:
    """Return the least critical value of the score test of "more than `rate`" of n cases, with the promised error.

    Halfway between the statistics of the fewest cases that show it and of one case fewer; inf if none do.
    """
    failed = np.arange(n + 1)
    most = int((binom_to(failed, n, 1 - rate) <= PROMISED * level).sum()) - 1
    statistic = (n * (1 - rate) - most - 0.5) / math.sqrt(n * rate * (1 - rate))
    return statistic if most >= 0 else math.inf


def worst_error(n: int, margin: float, most: Integers) -> float:
    """Return the largest chance, over all chances of a fix, of a table that is held at a true loss of the margin.

    Of k flips in n cases, k = 0 to n, at most `most[k]` may be regressed; none if that is -1.
    """
    return float(_Null(n, margin, _nuisances(n)).errors(most).max())


def _least(n: int, margin: float, error: float) -> float:
    """Return the middle between the last statistic that may be held and the first that would be one too many."""
    null, high = _Null(n, margin, _nuisances(n)), norm_exceeded(min(error, 0.4)) + 2 * STEP
    while (errors := null.errors(most := _most_held(n, margin, high))).max() > error:
        high *= 2
    last = _smallest(n, margin, most)
    # downwards step by step, as the sums over all tables above are the dear part
    while high > 0:
        high -= STEP
        more = _most_held(n, margin, high)
        regressed, fixed = _between(most, more)
        values = tango_statistic(regressed, fixed, n, margin)
        order = np.argsort(-values)
        sums = np.concatenate([errors[None], errors + np.cumsum(null.chances(regressed[order], fixed[order]), axis=0)])
        held = int(np.searchsorted(sums.max(axis=1), error, side="right")) - 1
        if held < len(order):
            one_too_many = float(values[order[held]])
            # ties are kept or dropped together
            return (float(values[values > one_too_many + TIE].min(initial=last)) + one_too_many) / 2
        most, errors, last = more, sums[-1], float(values.min(initial=last))
    return 0.0


def _smallest(n: int, margin: float, most: Integers) -> float:
    """Return the smallest statistic of the tables of k flips with up to `most[k]` regressed; inf if there is none."""
    flips = np.flatnonzero(most >= 0)
    return float(tango_statistic(most[flips], flips - most[flips], n, margin).min(initial=math.inf))


def _between(most: Integers, more: Integers) -> tuple[Integers, Integers]:
    """Return the regressed and fixed cases of each table of k flips with above `most[k]` and up to `more[k]` lost."""
    sizes = more - most
    flips = np.repeat(np.arange(len(most)), sizes)
    regressed = np.arange(len(flips)) - np.repeat(np.cumsum(sizes) - sizes - most - 1, sizes)
    return regressed, flips - regressed


class _Null:
    """A true loss of the margin in n cases, with each of several chances of a fix (as shares of the possible range)."""

    def __init__(self, n: int, margin: float, shares: Floats) -> None:
        fixed = shares * (1 - margin) / 2
        either = np.minimum(2 * fixed + margin, 1.0)
        lost = np.divide(fixed + margin, either, out=np.full_like(either, 0.5), where=either > 0)
        first, last = (np.clip(edge, 0, n).astype(np.int64) for edge in _likely(n, either))
        sizes = last - first + 1
        self._starts = np.cumsum(sizes) - sizes
        self._flips = np.arange(sizes.sum()) - np.repeat(self._starts - first, sizes)
        self._chances = binom_at(self._flips, n, np.repeat(either, sizes))
        self._lost = np.repeat(lost, sizes)
        # the log of 0 is replaced: multiplied by 0 cases it gives 0, by more cases a chance of 0
        self._logs = np.log(np.maximum([fixed + margin, fixed, 1 - either], np.finfo(float).tiny))
        self._n = n

    def errors(self, most: Integers) -> Floats:
        """Return the chance to be held with each chance of a fix, if of k flips at most `most[k]` may be regressed."""
        held = self._chances * binom_to(most[self._flips], self._flips, self._lost)
        return np.asarray(np.add.reduceat(held, self._starts))

    def chances(self, regressed: Integers, fixed: Integers) -> Floats:
        """Return the chance of each table (rows) with each chance of a fix (columns)."""
        n, still = self._n, self._n - regressed - fixed
        ways = gammaln(n + 1) - gammaln(regressed + 1) - gammaln(fixed + 1) - gammaln(still + 1)
        return np.asarray(np.exp(ways[:, None] + np.stack([regressed, fixed, still], axis=1) @ self._logs))


def _likely(n: int, chances: Floats) -> tuple[Floats, Floats]:
    """Return bounds of the counts of binomials without tails of 1e-12 or less."""
    middle, half = n * chances, SPREADS * np.sqrt(n * chances * (1 - chances)) + SPREADS
    return middle - half, middle + half + 1


@lru_cache(maxsize=256)
def _nuisances(n: int) -> Floats:
    """Return the chances of a fix to look at, closest where few or nearly all cases flip: on an arcsine scale.

    There an estimate from n cases has a standard error of 1 / (2 sqrt n); the first step is a quarter of that.
    """
    angles = np.geomspace(1 / (8 * math.sqrt(n)), math.pi / 4, NUISANCES)
    shares = np.sin(angles) ** 2
    return np.concatenate([[0.0], shares, 1 - shares[-2::-1], [1.0]])


def _most_held(n: int, margin: float, z: float) -> Integers:
    """Return for each number of flips, 0 to n, how many may be regressed with T(margin) above z; -1 if none may."""
    flips = np.arange(n + 1)
    return largest_passing(flips, lambda lost: tango_statistic(lost, flips - lost, n, margin) > z)


def largest_passing(counts: Integers, fine: Callable[[Integers], NDArray[np.bool_]]) -> Integers:
    """Return the largest k in 0 .. count that is fine, or -1, for all counts at once; `fine` must be monotone."""
    low, high = np.full_like(counts, -1), counts.copy()
    while (low < high).any():
        middle = (low + high + 1) // 2
        good = fine(middle)
        low, high = np.where(good, middle, low), np.where(good, high, middle - 1)
    return low


def tango_statistic(regressed: Integers, fixed: Integers, n: int, margin: float) -> Floats:
    """Return Tango's statistic in closed form; q, the chance of a fix under the null, solves 2nq^2 + bq + c = 0."""
    b = (2 * n - regressed + fixed) * margin - regressed - fixed
    c = -fixed * margin * (1 - margin)
    q = (np.sqrt(np.maximum(b * b - 8 * n * c, 0)) - b) / (4 * n)
    variance = n * (2 * q + margin * (1 - margin))
    excess = n * margin - regressed + fixed
    # no variance: no flip and no margin
    statistic: Floats = np.divide(excess, np.sqrt(variance), out=np.zeros(np.shape(excess)), where=variance > 0)
    return statistic
