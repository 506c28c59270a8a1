"""Two references: the chance that a pass/fail candidate passes beside both, all three models having flips of their own.

Each model flips a few cases by itself, half of them in each direction whatever share passes: those that flip are the
ones that any model has right as often as not. So two equal models differ in the flip rate, and the candidate's flips
count beside both references. Were most flips losses where most cases pass, a task of five units would seem to pass 7
points more often.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tunegate.harness.statistics.distributions import Floats, Integers, binom_at, binom_range, norm_below, norm_exceeded

#: What the gate asks of a candidate beside an equal second reference; nothing where there is none.
Beside = Literal["", "held", "not worse"]
#: Whether a candidate passes beside a reference, from its numbers of regressed and fixed cases.
Test = Callable[[Integers, Integers], NDArray[np.bool_]]

TAIL = 1e-7  # of a number of flips: the probability left out at either end
STEADY = 0.5  # of the cases that may flip, the share that pass
MOST_OWN = 20.0  # own flips in each direction, on average: more take seconds, and a normal approximation is near
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(40)


def prob_beside_both(n: int, flip_rate: float, change: float, first: Test, second: Test) -> float:
    """Return the chance to pass both tests beside two equal references, at a true change from either.

    Exact where a model flips up to 20 cases in each direction; otherwise the two outcomes are those of two normal
    variables, within two points of the exact chance.
    """
    own = own_flips(flip_rate)
    down, up = own * STEADY + max(-change, 0.0), own * (1 - STEADY) + max(change, 0.0)
    if n * max(down, up) > MOST_OWN:
        shared = (flip_rate / 2 + abs(change)) / max(flip_rate + abs(change), 1e-12)
        each = [_prob_beside_one(n, own, STEADY, (down, up), test) for test in (first, second)]
        return prob_both(each[0], each[1], shared)
    lost, won = (binom_range(n, chance, tail=TAIL) for chance in (down, up))
    chance = _candidates(n, lost, won, down, up)
    kept = max(STEADY - down, 0.0) / max(1 - down - up, 1e-12)  # of the cases that the candidate did not move
    flips = own * (1 - kept), own * kept
    found = [_passes(n, flips, lost, won, test) for test in dict.fromkeys((first, second))]
    return float((chance * found[0] * found[-1]).sum())


def own_flips(flip_rate: float) -> float:
    """Return the share of cases that a model flips by itself, so that two models differ in the flip rate."""
    return (1 - math.sqrt(1 - 2 * min(flip_rate, 0.5))) / 2


def prob_both(first: float, second: float, shared: float = 0.5) -> float:
    """Return the chance that two normal variables stay in ranges of these chances; `shared` is their correlation."""
    if min(first, second) <= 0 or shared >= 1:
        return min(first, second)
    bounds = [norm_exceeded(1 - min(each, 1 - 1e-12)) for each in (first, second)]
    below = [norm_below((bound - math.sqrt(shared) * NODES) / math.sqrt(1 - shared)) for bound in bounds]
    return float(WEIGHTS @ (below[0] * below[1]) / WEIGHTS.sum())


def _candidates(n: int, lost: range, won: range, down: float, up: float) -> Floats:
    """Return the chance of each number of cases that the candidate lost (rows) and won (columns)."""
    rows, columns = np.array(lost)[:, None], np.array(won)[None, :]
    rest = np.maximum(n - rows, 0)
    share = up / (1 - down) if down < 1 else 0.0
    return np.asarray(binom_at(rows, n, down) * binom_at(np.minimum(columns, rest), rest, share) * (columns <= rest))


def _passes(n: int, flips: tuple[float, float], lost: range, won: range, test: Test) -> Floats:
    """Return the chance to pass beside one reference, by the cases that the candidate lost (rows) and won.

    `flips` are the chances that the reference flips a case that the candidate did not move: to passing, to failing.
    """
    own, size = sum(flips), binom_range(n, max(flips), tail=TAIL).stop
    rows, columns = np.indices((lost.stop + size, won.stop + size), dtype=np.int64)
    mask = (test(rows, columns) & (rows + columns <= n)).astype(float)
    # a case that the reference flips as the candidate does has not changed
    by_lost = np.stack([_smoothed(mask, count, own, 0)[:size] for count in lost])
    out = np.empty((len(lost), len(won)))
    for place, count in enumerate(won):
        both = _smoothed(by_lost, count, own, 2)[:, :, :size]
        for row, gone in enumerate(lost):
            out[row, place] = float((both[row] * _reference_flips(n - gone - count, flips, size)).sum())
    return out


def _smoothed(values: Floats, count: int, own: float, axis: int) -> Floats:
    """Return the mean of values further on along an axis, by as many cases as did not flip in the reference too."""
    steps = np.arange(count + 1)
    weights = np.atleast_1d(np.asarray(binom_at(steps, count, 1 - own)))
    length = np.size(values, axis) - count
    moved = (np.take(values, range(step, step + length), axis) for step in steps)
    return np.asarray(sum(weight * each for weight, each in zip(weights, moved, strict=True)))


@lru_cache(maxsize=4096)
def _reference_flips(rest: int, flips: tuple[float, float], size: int) -> Floats:
    """Return the chance of each number of cases that only the reference flipped: to passing (rows) and to failing."""
    up, down = np.indices((size, size))
    left, own = max(rest, 0), sum(flips)
    counts = np.minimum(up + down, left)
    chance = binom_at(counts, left, own) * binom_at(np.minimum(up, counts), counts, flips[0] / own if own else 0.5)
    return np.where(up + down <= left, chance, 0.0)


def _prob_beside_one(n: int, own: float, steady: float, moved: tuple[float, float], test: Test) -> float:
    """Return the chance to pass beside one reference; `moved` are the chances that the candidate loses and wins."""
    worse = moved[0] * (1 - own) + max(1 - steady - moved[1], 0.0) * own
    better = moved[1] * (1 - own) + max(steady - moved[0], 0.0) * own
    lost, won = (binom_range(n, chance, tail=TAIL) for chance in (worse, better))
    passes = test(np.array(lost)[:, None], np.array(won)[None, :])
    return float((_candidates(n, lost, won, worse, better) * passes).sum())
