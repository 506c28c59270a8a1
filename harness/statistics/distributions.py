"""The normal and the binomial distribution, from scipy.special: importing scipy.stats takes as long as a lint."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, betaincc, betaincinv, betaln, ndtr, ndtri, xlog1py, xlogy

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def root_between(function: Callable[[float], float], low: float, high: float, xtol: float) -> float:
    """Return where a function of opposite signs at both ends is 0, to `xtol` (Brent, 1973)."""
    from scipy.optimize import brentq  # takes a tenth of a second to import, and lint needs none of it

    return float(brentq(function, low, high, xtol=xtol))


def norm_below(z: ArrayLike) -> Floats:
    """Return P(Z < z) of a standard normal Z."""
    return np.asarray(ndtr(np.asarray(z, float)))


def norm_above(z: ArrayLike) -> Floats:
    """Return P(Z > z) of a standard normal Z, precise also in the far tail."""
    # not 1 - ndtr(z), which is 0 from about z = 8.3 on
    return np.asarray(ndtr(-np.asarray(z, float)))


def norm_exceeded(level: float) -> float:
    """Return the z that a standard normal exceeds with chance `level`."""
    return -float(ndtri(level))


def binom_at(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> Floats:
    """Return P(K = k) of K ~ Binomial(n, p), for 0 <= k <= n; elementwise."""
    hits, trials, share = np.asarray(k, float), np.asarray(n, float), np.asarray(p, float)
    # the binomial coefficient by its logarithm: as a float it overflows from n = 1,030 on
    ways = -betaln(trials - hits + 1, hits + 1) - np.log1p(trials)
    return np.asarray(np.exp(ways + xlogy(hits, share) + xlog1py(trials - hits, -share)))


def binom_to(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> Floats:
    """Return P(K <= k) of K ~ Binomial(n, p); k may lie outside 0 .. n."""
    return _tail(betaincc, k, n, p, below=0.0, above=1.0)


def binom_beyond(k: ArrayLike, n: ArrayLike, p: float) -> Floats:
    """Return P(K > k) of K ~ Binomial(n, p), precise also in the far tail; k may lie outside 0 .. n."""
    return _tail(betainc, k, n, p, below=1.0, above=0.0)


def binom_bound(k: int, n: int, level: float) -> float:
    """Return the one-sided upper bound at `level` of a share seen k times in n (Clopper and Pearson, 1934)."""
    return float(betaincinv(k + 1, n - k, 1 - level)) if k < n else 1.0


def binom_range(n: int, p: float, tail: float) -> range:
    """Return the counts of a Binomial(n, p) without its tails, each of at most `tail`."""
    counts = range(n + 1)
    first = bisect_left(counts, True, key=lambda k: bool(binom_to(k, n, p) >= tail))
    last = bisect_left(counts, True, key=lambda k: bool(binom_beyond(k, n, p) <= tail))
    return range(first, last + 1)


def _tail(of: Callable[..., Floats], k: ArrayLike, n: ArrayLike, p: ArrayLike, *, below: float, above: float) -> Floats:
    """Return one tail, by the incomplete beta function where it is defined: for 0 <= k < n."""
    hits, trials = np.floor(np.asarray(k, float)), np.asarray(n, float)
    # elsewhere betainc silently returns NaN or a wrong value: pass 1.0 and discard the result
    inside = (hits >= 0) & (hits < trials)
    found = of(np.where(inside, hits + 1, 1.0), np.where(inside, trials - hits, 1.0), p)
    return np.where(inside, found, np.where(hits < 0, below, above))
