"""How many labels a guard by disagreement takes: exact chances that a margin is held."""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tunegate.harness.statistics.critical_values import critical, critical_value, largest_passing, tango_statistic
from tunegate.harness.statistics.disagreements import (
    ABOVE,
    FEWEST_LABELS,
    PER_LABEL,
    check_inputs,
    counted_inputs,
    disagreement_statistic,
    needs_no_labels,
)
from tunegate.harness.statistics.distributions import Floats, Integers, binom_at, binom_range, binom_to
from tunegate.harness.statistics.paired import LEVEL
from tunegate.harness.statistics.power import POWER

BINS = 24  # of a count in a sum over its chances: within half a point of all counts
EXACT = 4  # times the bins: so many numbers of decided labels are not grouped
TAIL = 1e-9  # of a count: the probability left out at either end


def labels_needed(
    share: float, margin: float, tied: float, inputs: int, level: float = LEVEL, power: float = POWER
) -> int | None:
    """Return the fewest labels that hold the margin with this power if nothing is lost.

    `share` of the inputs differ, and of these the share `tied` is equally right. 0 if the share that differs mostly
    suffices; otherwise at least 10. None if all labels do not suffice.
    """
    each = (1 - tied) / 2

    def chance(labels: int) -> float:
        return prob_held_by_labels(inputs, labels, margin, share, each, each, level)

    most = binom_range(inputs, share, TAIL).stop
    if chance(0) >= power:
        return 0
    if chance(most) < power:
        return None
    high = FEWEST_LABELS
    while high < most and chance(high) < power:
        high *= 2
    low = max(FEWEST_LABELS, high // 2)
    return bisect_left(range(high + 1), True, lo=low, hi=high, key=lambda labels: chance(labels) >= power)


def prob_held_by_labels(
    inputs: int, labels: int, margin: float, share: float, won: float, lost: float, level: float = LEVEL,
    bins: int = BINS,
) -> float:  # fmt: skip
    """Return P(held), where `share` of the inputs differ, and of these the shares `won` and `lost` are won and lost.

    It is a sum over all likely tables, each decided as `Disagreements.held` does; a count with more than so many likely
    values is grouped into `bins`.
    """
    check_inputs(inputs, 0, margin, level)
    free = most_without_labels(inputs, margin, level)
    found = float(binom_to(free, inputs, share))
    differing, chances = _differing(inputs, share, free + 1, bins)
    if not labels or not len(differing):
        return found
    among = won + lost
    labelled = np.minimum(differing, labels)
    decided, edges = _decided(int(labelled.min()), labels, among, bins)
    most = most_lost(inputs, tuple(differing.tolist()), labels, tuple(decided.tolist()), margin, level)
    weights = np.diff(binom_to(edges[None, :], labelled[:, None], among), axis=1)
    held = np.where(most < 0, 0.0, binom_to(most, decided[None, :], lost / among if among else 0.5))
    return found + float(chances @ (weights * held).sum(axis=1))


@lru_cache(maxsize=1024)
def most_without_labels(inputs: int, margin: float, level: float) -> int:
    """Return how many outputs may differ with the margin held without labels; -1 if none may."""
    differ = range(inputs + 1)
    return bisect_left(differ, True, key=lambda count: not needs_no_labels(inputs, count, margin, level)) - 1


@lru_cache(maxsize=64)
def most_lost(
    inputs: int, differing: tuple[float, ...], labels: int, decided: tuple[int, ...], margin: float, level: float
) -> Integers:
    """Return how many of the decided labels (columns) may be lost with the margin held, -1 if not even none.

    `differing` (rows) are numbers of outputs that differ, each too many to be held without labels.
    """
    rows, counts = np.array(differing)[:, None], np.array(decided)[None, :]
    labelled = np.minimum(rows, labels)
    full = rows <= labels
    least = critical(level) + ABOVE
    z = np.where(full, max(least, critical_value(inputs, margin, level)), least + PER_LABEL / labels)
    possible, n = np.minimum(counts, labelled), counted_inputs(inputs, margin)

    def held(lost: Integers) -> NDArray[np.bool_]:
        lost_ = np.minimum(lost, possible)
        won = possible - lost_
        found = disagreement_statistic(n, rows / inputs * n, labelled, won, lost_, margin)
        if full.any():
            found = np.where(full, tango_statistic(lost_, won, inputs, margin), found)
        return np.asarray(found > z)

    return largest_passing(np.broadcast_to(counts, (len(differing), len(decided))), held)


def _differing(n: int, p: float, least: int, bins: int) -> tuple[Floats, Floats]:
    """Return the likely counts of a Binomial(n, p) from `least` on, as the means of bins, and their chances."""
    counts = np.array([each for each in binom_range(n, p, TAIL) if each >= least], dtype=float)
    if not len(counts):
        return counts, counts
    grouped = [(each, binom_at(each, n, p)) for each in np.array_split(counts, min(bins, len(counts)))]
    return (
        np.array([np.average(each, weights=chance) for each, chance in grouped]),
        np.array([chance.sum() for _, chance in grouped]),
    )


def _decided(least: int, most: int, p: float, bins: int) -> tuple[Integers, Integers]:
    """Return the likely numbers of labels that are won or lost, one for each bin, and the ends of the bins."""
    first, last = 0, most
    if most > EXACT * bins:
        first, last = binom_range(least, p, TAIL).start, binom_range(most, p, TAIL).stop - 1
    groups = bins if most > EXACT * bins else last + 1
    grouped = np.array_split(np.arange(first, last + 1), min(groups, last + 1 - first))
    return np.array([each[len(each) // 2] for each in grouped]), np.array([first - 1, *(each[-1] for each in grouped)])
