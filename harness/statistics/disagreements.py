"""Guards by disagreement: pass/fail on unlabelled inputs, with labels only where the two outputs differ.

Of `inputs` drawn from future traffic, `differing` got different outputs. Of these a random sample was `labelled`: the
tuned output `won` (it is right, the base's is wrong), `lost`, or both are equally right. Margins and differences are
shares of all inputs, and a level is one-sided. Invalid input raises `ValueError` with the value found.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlogy

from tunegate.harness.statistics.clusters import cluster_statistic
from tunegate.harness.statistics.critical_values import (
    PROMISED,
    cluster_critical,
    critical,
    critical_value,
    tango_statistic,
    worst_error,
)
from tunegate.harness.statistics.distributions import Floats, binom_bound, root_between
from tunegate.harness.statistics.paired import LEVEL, TIE, Bounds, PValue
from tunegate.harness.statistics.sample_size import most_against, p_of_flips

FEWEST_LABELS = 10
# Labels are few, and T comes in steps: with only z(level) a margin is falsely held up to 9 % of the time at .04.
ABOVE, PER_LABEL = 0.05, 5.0
# The share that differs counts as if seen in at most so many inputs, of which at most so many would be lost at the
# margin: if it is known exactly, the few values that T takes err up to 8.6 % of the time; at 10,000 inputs and a margin
# of .1 still 6.0 % (10 to 20 labels, nearly all that differ lost), with 200 losses 3.9 % (benchmarks/disagreements.py).
MOST_INPUTS, MOST_LOST = 10_000, 200.0
FEWEST_TOPICS = 50  # effective ones; with fewer a verdict is about these topics, not about those of future traffic
SEARCHED = 10  # standard errors of that share, searched on either side
SECTIONS = 32  # of the golden section: c to 1e-5 standard errors
GOLDEN = (math.sqrt(5) - 1) / 2
PRECISION = 1e-9  # of a bound


class LabelTable(ABC):
    """A table of labels, and the rule that was fixed before the candidate was seen."""

    inputs: int
    differing: int
    margin: float
    level: float

    @property
    @abstractmethod
    def difference(self) -> float:
        """The estimated change, tuned minus base, as a share of all inputs."""

    @property
    @abstractmethod
    def critical(self) -> float:
        """The critical value of T at the level."""

    @property
    @abstractmethod
    def p_worse(self) -> PValue:
        """The p of a loss among all that differ, however small."""

    @property
    @abstractmethod
    def mirrored(self) -> LabelTable:
        """The table with won for lost."""

    @abstractmethod
    def statistic(self, margin: float) -> float:
        """Return T(margin), about standard normal if the true change is -margin; -1 < margin < 1."""

    @property
    def held(self) -> bool:
        """Whether a loss of the margin or more is excluded: without labels, or by T(margin) above `critical`."""
        return needs_no_labels(self.inputs, self.differing, self.margin, self.level) or self.surplus(self.margin) > 0

    @property
    def bounds(self) -> Bounds:
        """The interval of the change, each end at the level; its lower end is above -margin if, and only if, held."""
        return Bounds(-_largest_loss(self), _largest_loss(self.mirrored))

    def surplus(self, margin: float) -> float:
        """Return T(margin) - critical."""
        return self.statistic(margin) - self.critical


@dataclass(frozen=True)
class Disagreements(LabelTable):
    """Labels of a random sample of the inputs whose outputs differ.

    `labelled` is 0 before there are labels; otherwise at least 10, or all that differ.
    """

    inputs: int
    differing: int
    labelled: int
    won: int
    lost: int
    margin: float
    level: float = LEVEL

    def __post_init__(self) -> None:
        check_inputs(self.inputs, self.differing, self.margin, self.level)
        check_labels(self.differing, self.labelled, self.won, self.lost)
        if 0 < self.labelled < min(FEWEST_LABELS, self.differing):
            raise ValueError(f"expected {FEWEST_LABELS} labels or more, found {self.labelled}")

    @property
    def difference(self) -> float:
        """The estimated change, tuned minus base, as a share of all inputs."""
        return self.differing * (self.won - self.lost) / (self.inputs * max(self.labelled, 1))

    @cached_property
    def critical(self) -> float:
        """The critical value of T at the level: z + .05, and + 5 / labelled unless all that differ are labelled."""
        least = critical(self.level) + ABOVE
        if self.labelled == self.differing:
            return max(least, critical_value(self.inputs, self.margin, self.level))
        return least + PER_LABEL / max(self.labelled, 1)

    @property
    def p_worse(self) -> PValue:
        """The p of a loss among all that differ, of which the labelled ones are a sample."""
        decided = self.won + self.lost
        return PValue(*(p_of_labels(won, decided, self.labelled) for won in (self.won, 0)))

    @property
    def mirrored(self) -> Disagreements:
        """The table with won for lost."""
        return replace(self, won=self.lost, lost=self.won)

    def statistic(self, margin: float) -> float:
        """Return T(margin): Tango's of n paired cases if all that differ are labelled; -inf without labels."""
        if margin < 0:  # a gain of so much is a loss of the base
            return -self.mirrored.statistic(-margin)
        lost, won = np.array(self.lost), np.array(self.won)
        if self.labelled == self.differing:
            return float(tango_statistic(lost, won, self.inputs, margin))
        if not self.labelled:
            return -math.inf
        share, n = self.differing / self.inputs, counted_inputs(self.inputs, self.margin)
        return float(disagreement_statistic(n, share * n, self.labelled, won, lost, margin))


@lru_cache(maxsize=1024)
def p_of_labels(won: int, decided: int, labelled: int) -> float:
    """Return the p of a loss, if so many decided labels are `won`, and the others of the labelled equally right.

    Without a loss, a label that is not equally right is won or lost by a fair coin. The p is the chance of a table as
    far off by McNemar's mid-p and the score test, at the worst share that is equally right, over `PROMISED`; mid-p by
    itself errs up to 5.9 % of the time at .04, if 15 labels are all decided.
    """
    if not labelled:
        return 1.0
    found = float(p_of_flips(np.array(won), np.array(decided)))
    most = most_against(np.arange(labelled + 1), found + TIE)
    return worst_error(labelled, 0.0, most) / PROMISED


def check_inputs(inputs: int, differing: int, margin: float, level: float) -> None:
    """Refuse counts of inputs, a margin outside (0, 1) and a level outside (0, .5)."""
    if inputs < 1 or not 0 <= differing <= inputs:
        raise ValueError(f"expected 0 <= differing <= inputs and one input or more, found {differing} of {inputs}")
    if not 0 < margin < 1:
        raise ValueError(f"the margin must lie between 0 and 1, found {margin}")
    critical(level)


def check_labels(differing: int, labelled: int, won: int, lost: int) -> None:
    """Refuse more labels than outputs that differ, and more won and lost ones than labels."""
    if min(won, lost) < 0 or not won + lost <= labelled <= differing:
        raise ValueError(
            f"expected won + lost <= labelled <= differing, found {won} + {lost}, {labelled} and {differing}"
        )


def effective_topics(sizes: ArrayLike) -> float:
    """Return how many topics of one size those with so many inputs are worth (Kish, Survey Sampling, 1965)."""
    counts = np.asarray(sizes, float)
    return float(counts.sum() ** 2 / (counts**2).sum())


def needs_no_labels(inputs: int, differing: int, margin: float, level: float = LEVEL) -> bool:
    """Return whether so few outputs differ that no label could matter (Clopper and Pearson, 1934)."""
    return binom_bound(differing, inputs, level) < margin


def counted_inputs(inputs: int, margin: float) -> float:
    """Return how many inputs the share that differs counts for, so that its error is not taken for too small."""
    return min(inputs, MOST_INPUTS, MOST_LOST / margin)


def disagreement_statistic(
    inputs: float, differing: ArrayLike, labelled: ArrayLike, won: ArrayLike, lost: ArrayLike, margin: float
) -> Floats:
    """Return T(margin) of tables, arrays of one shape, with fewer labels than outputs that differ; 0 <= margin < 1.

    It is -inf without labels.

    The share that differs, c, and the chances of the labels are those of the largest likelihood under a loss of
    exactly the margin. Given c, a loss M = margin / c among those that differ gives the chance to win, q, in closed
    form (Tango, Statistics in Medicine 17, 1998, 891-908); c is found by golden section.
    """
    given = np.broadcast_arrays(*(np.asarray(each, float) for each in (differing, labelled, won, lost)))
    _, labels_, won_, lost_ = given
    n, seen = float(inputs), given[0] / inputs
    k = np.maximum(labels_, 1)
    tied = k - won_ - lost_

    def likelihood(c: Floats) -> Floats:
        loss = margin / c
        q = _chance_to_win(k, won_, lost_, loss)
        labels = xlogy(won_, q) + xlogy(lost_, q + loss) + xlogy(tied, np.maximum(1 - 2 * q - loss, 0))
        return np.asarray(n * (xlogy(seen, c) + xlogy(1 - seen, 1 - c)) + labels)

    width = SEARCHED * np.sqrt(seen * (1 - seen) / n)
    low = np.clip(seen - width, margin, 1)
    c = _golden_section(likelihood, low, np.maximum(np.minimum(seen + width, 1), low))
    loss = margin / c
    q = _chance_to_win(k, won_, lost_, loss)
    variance = c**2 * (2 * q + loss - loss**2) / k + c * (1 - c) * loss**2 / n
    excess = seen * (won_ - lost_) / k + margin
    # no variance: no margin, and nothing won or lost
    return np.where(labels_ > 0, ratio_or_zero(excess, np.sqrt(variance)), -np.inf)


def ratio_or_zero(above: Floats, below: Floats) -> Floats:
    """Return above / below, elementwise, and 0 where `below` is 0."""
    return np.asarray(np.divide(above, below, out=np.zeros_like(above), where=below > 0))


def held_between_topics(table: LabelTable, sums: ArrayLike, sizes: ArrayLike) -> bool:
    """Return whether the loss also lies below the margin by its standard error between topics.

    Asked beside `held`: a loss that some topics bear is otherwise held up to 31 % of the time. `sizes` are the inputs
    of each topic, and `sums` their estimated changes: won - lost labels, each times the inputs that it stands for
    (differing / labelled; in strata, those of its stratum).
    """
    return cluster_statistic(sums, sizes, table.margin) > _topics_critical(table, sizes)


def largest_loss_between_topics(table: LabelTable, sums: ArrayLike, sizes: ArrayLike) -> float:
    """Return the largest loss that is not excluded between topics: below the margin if `held_between_topics`, up to 1.

    Below 0 it is a gain. `sums` and `sizes` are those of `held_between_topics`.
    """
    z = _topics_critical(table, sizes)

    def excluded(loss: float) -> bool:
        return cluster_statistic(sums, sizes, loss) > z

    low, high = (-1.0, table.margin) if excluded(table.margin) else (table.margin, 1.0)
    if not excluded(high):
        return 1.0
    while high - low > PRECISION:
        middle = (low + high) / 2
        low, high = (low, middle) if excluded(middle) else (middle, high)
    return low


def _topics_critical(table: LabelTable, sizes: ArrayLike) -> float:
    above = table.critical - critical(table.level)
    return cluster_critical(table.level, np.size(np.asarray(sizes))) + above


def _largest_loss(table: LabelTable) -> float:
    """Return the largest loss that is not excluded: at most the upper bound of the share that differs."""
    bound = binom_bound(table.differing, table.inputs, table.level)
    most, least = min(bound, 1 - PRECISION), -table.difference
    if least >= most or table.surplus(most) <= 0:
        return bound
    return root_between(table.surplus, least, most, xtol=PRECISION)


def _chance_to_win(labelled: Floats, won: Floats, lost: Floats, loss: Floats) -> Floats:
    """Return the q of the largest likelihood of chances q to win and q + loss to lose."""
    tied = labelled - won - lost
    b = won * (1 - 3 * loss) + lost * (1 - loss) - 2 * tied * loss
    return np.asarray((b + np.sqrt(b * b + 8 * labelled * won * loss * (1 - loss))) / (4 * labelled))


def _golden_section(function: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """Return where a function with one peak is largest between low and high, elementwise (Kiefer, 1953)."""
    inner = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)]
    values = [function(each) for each in inner]
    for _ in range(SECTIONS):
        up = values[0] < values[1]
        low, high = np.where(up, inner[0], low), np.where(up, high, inner[1])
        new = np.where(up, low + GOLDEN * (high - low), high - GOLDEN * (high - low))
        found = function(new)
        inner = [np.where(up, inner[1], new), np.where(up, new, inner[0])]
        values = [np.where(up, values[1], found), np.where(up, found, values[0])]
    return (low + high) / 2
