"""Guards by disagreement: pass/fail on unlabelled inputs, with labels only where the two outputs differ.

Of `inputs` drawn from future traffic, `differing` got different outputs. Of these a random sample was `labelled`: the
tuned output `won` (it is right, the base's is wrong), `lost`, or both are equally right. Margins and differences are
shares of all inputs, and a level is one-sided. Invalid input raises `ValueError` with the value found.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from tunegate.harness.statistics.critical_values import critical, critical_value, tango_statistic
from tunegate.harness.statistics.distributions import binom_bound
from tunegate.harness.statistics.paired import LEVEL, Bounds, PValue
from tunegate.harness.statistics.sample_size import p_of_flips

Floats = NDArray[np.float64]

FEWEST_LABELS = 10
# Labels are few, and T comes in steps: with z(level) alone a margin is falsely held up to 9 % of the time at .04.
ABOVE, PER_LABEL = 0.05, 5.0
# The share that differs counts as if seen in at most so many inputs: from a million it is known exactly, and the few
# values that T then takes err up to 8.6 % of the time.
MOST_INPUTS = 10_000
REACH = 10  # standard errors of that share, searched on either side
SECTIONS = 32  # of the golden section: c to 1e-5 standard errors
GOLDEN = (math.sqrt(5) - 1) / 2
PRECISION = 1e-9  # of a bound


@dataclass(frozen=True)
class Disagreements:
    """A table of labels, and the rule that was fixed before the candidate was seen.

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

    @property
    def held(self) -> bool:
        """Whether a loss of the margin or more is excluded: without labels, or by T(margin) above `critical`.

        Where all that differ are labelled, the table is that of n paired cases, and T is Tango's statistic.
        """
        return needs_no_labels(self.inputs, self.differing, self.margin, self.level) or self.surplus(self.margin) > 0

    @cached_property
    def critical(self) -> float:
        """The critical value of T at the level: z + .05 + 5 / labelled."""
        least = critical(self.level) + ABOVE
        if self.labelled == self.differing:
            return max(least, critical_value(self.inputs, self.margin, self.level))
        return least + PER_LABEL / max(self.labelled, 1)

    @property
    def p_worse(self) -> PValue:
        """The p of a loss among all that differ, however small: McNemar's mid-p and the score test, as `p_of_flips`.

        It is valid for a sample: each labelled one that is not equally right is won or lost with the same chance.
        """
        decided = self.won + self.lost
        return PValue(*(float(p_of_flips(np.array(won), np.array(decided))) for won in (self.won, 0)))

    @property
    def bounds(self) -> Bounds:
        """The interval of the change, each end at the level; its lower end is above -margin if, and only if, held."""
        return bounds_by(self, replace(self, won=self.lost, lost=self.won))

    def surplus(self, margin: float) -> float:
        """Return T(margin) - critical, for -1 < margin < 1."""
        return self.statistic(margin) - self.critical

    def statistic(self, margin: float) -> float:
        """Return T(margin), about standard normal if the true change is -margin; -inf without the labels it takes."""
        if margin < 0:  # a gain of so much is a loss of the base
            return -replace(self, won=self.lost, lost=self.won).statistic(-margin)
        lost, won = np.array(self.lost), np.array(self.won)
        if self.labelled == self.differing:
            return float(tango_statistic(lost, won, self.inputs, margin))
        if not self.labelled:
            return -math.inf
        return float(disagreement_statistic(self.inputs, self.differing, self.labelled, won, lost, margin))


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


def needs_no_labels(inputs: int, differing: int, margin: float, level: float = LEVEL) -> bool:
    """Return whether so few outputs differ that no label could matter (Clopper and Pearson, 1934)."""
    return binom_bound(differing, inputs, level) < margin


def disagreement_statistic(
    inputs: int, differing: ArrayLike, labelled: ArrayLike, won: ArrayLike, lost: ArrayLike, margin: float
) -> Floats:
    """Return T(margin) of tables, arrays of one shape, with fewer labels than outputs that differ; 0 <= margin < 1.

    The share that differs, c, and the chances of the labels are those of the largest likelihood under a loss of
    exactly the margin. Given c, a loss M = margin / c among those that differ gives the chance to win, q, in closed
    form (Tango, Statistics in Medicine 17, 1998, 891-908); c is found by golden section.
    """
    given = np.broadcast_arrays(*(np.asarray(each, float) for each in (differing, labelled, won, lost)))
    n = float(min(inputs, MOST_INPUTS))
    k, won_, lost_ = given[1:]
    seen = given[0] / inputs
    tied = k - won_ - lost_

    def likelihood(c: Floats) -> Floats:
        loss = margin / c
        q = _chance_to_win(k, won_, lost_, loss)
        labels = xlogy(won_, q) + xlogy(lost_, q + loss) + xlogy(tied, np.maximum(1 - 2 * q - loss, 0))
        return np.asarray(n * (xlogy(seen, c) + xlogy(1 - seen, 1 - c)) + labels)

    reach = REACH * np.sqrt(seen * (1 - seen) / n)
    low = np.clip(seen - reach, margin, 1)
    c = _golden_section(likelihood, low, np.maximum(np.minimum(seen + reach, 1), low))
    loss = margin / c
    q = _chance_to_win(k, won_, lost_, loss)
    variance = c**2 * (2 * q + loss - loss**2) / k + c * (1 - c) * loss**2 / n
    excess = seen * (won_ - lost_) / k + margin
    # no variance: no margin, and nothing won or lost
    return np.divide(excess, np.sqrt(variance), out=np.zeros_like(excess), where=variance > 0)


def bounds_by(table: _Table, mirrored: _Table) -> Bounds:
    """Return the interval of the change, each end at the level, by a table and by the one with won for lost."""
    return Bounds(-_largest_loss(table), _largest_loss(mirrored))


class _Table(Protocol):
    """What an interval asks of a table."""

    @property
    def inputs(self) -> int: ...
    @property
    def differing(self) -> int: ...
    @property
    def level(self) -> float: ...
    @property
    def difference(self) -> float: ...
    def surplus(self, margin: float) -> float: ...


def _largest_loss(table: _Table) -> float:
    """Return the largest loss that is not excluded: at most the upper bound of the share that differs."""
    most = min(binom_bound(table.differing, table.inputs, table.level), 1 - PRECISION)
    least = -table.difference
    if least >= most or table.surplus(most) <= 0:
        return most
    while most - least > PRECISION:
        middle = (least + most) / 2
        least, most = (least, middle) if table.surplus(middle) > 0 else (middle, most)
    return most


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
