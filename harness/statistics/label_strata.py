"""Strata for the labels of a guard by disagreement, by the verdict of a judge model or a cheap first label.

A verdict is -1 (the tuned output is worse), 0 or +1. It is never believed: labels are drawn from each verdict's inputs,
and only labels count. Where verdicts tell something, labels vary less within them, and fewer are enough.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from tunegate.harness.statistics.critical_values import critical
from tunegate.harness.statistics.disagreements import (
    ABOVE,
    PER_LABEL,
    LabelTable,
    check_inputs,
    check_labels,
    counted_inputs,
    ratio_or_zero,
)
from tunegate.harness.statistics.distributions import Floats, binom_bound, norm_above
from tunegate.harness.statistics.paired import LEVEL, PValue

FEWEST_STRATIFIED = 20  # labels
FEWEST_OF_A_STRATUM = 3
ABOVE_STRATIFIED, PER_LABEL_STRATIFIED = 0.08, 6.5  # with 5 per label, 20 labels falsely hold up to 4.3 %
SHARE_LEVEL = 1 / 8  # of the level: that of the upper bound of the share that differs
HALVINGS = 60
TINY = 1e-100  # in place of a 0 that divides a 0


@dataclass(frozen=True)
class Stratum:
    """The inputs that got one verdict, `differing` of them, and the labels of a random sample of these."""

    differing: int
    labelled: int
    won: int
    lost: int

    def __post_init__(self) -> None:
        check_labels(self.differing, self.labelled, self.won, self.lost)
        if self.labelled < min(FEWEST_OF_A_STRATUM, self.differing):
            raise ValueError(f"expected {FEWEST_OF_A_STRATUM} labels or more in each stratum, found {self}")


@dataclass(frozen=True)
class StratifiedDisagreements(LabelTable):
    """Labels of random samples of the strata of the inputs whose outputs differ.

    `differing` may exceed the inputs in the strata, if only a random sample of them got a verdict.
    """

    inputs: int
    differing: int
    strata: tuple[Stratum, ...]
    margin: float
    level: float = LEVEL

    def __post_init__(self) -> None:
        check_inputs(self.inputs, self.differing, self.margin, self.level)
        inside = sum(each.differing for each in self.strata)
        if not 0 < inside <= self.differing:
            raise ValueError(f"expected 1 to {self.differing} inputs in the strata, found {inside}")
        if self.labelled < min(FEWEST_STRATIFIED, inside):
            raise ValueError(f"expected {FEWEST_STRATIFIED} labels or more, found {self.labelled}")

    @property
    def labelled(self) -> int:
        """The number of labels."""
        return sum(each.labelled for each in self.strata)

    @property
    def difference(self) -> float:
        """The estimated change, tuned minus base, as a share of all inputs."""
        shares, labels = self._arrays
        return self.differing / self.inputs * float(shares @ ((labels[:, 0] - labels[:, 1]) / labels.sum(axis=1)))

    @property
    def critical(self) -> float:
        """The critical value of T at the level: z + .08 + 6.5 / labelled."""
        return critical(self.level) + ABOVE_STRATIFIED + PER_LABEL_STRATIFIED / self.labelled

    @property
    def p_worse(self) -> PValue:
        """The p of a loss among all that differ, however small, by T(0) as far as it exceeds what `critical` adds."""
        decided = tuple(replace(each, won=0, lost=each.won + each.lost) for each in self.strata)
        above = self.critical - critical(self.level)
        p = (float(norm_above(-each.statistic(0.0) - above)) for each in (self, replace(self, strata=decided)))
        return PValue(*p)

    def statistic(self, margin: float) -> float:
        """Return T(margin), about standard normal if the true change is -margin."""
        if margin < 0:  # a gain of so much is a loss of the base
            return -self.mirrored.statistic(-margin)
        loss = self.loss(margin)
        if loss >= 1:
            return math.inf
        shares, labels = self._arrays
        inside = sum(each.differing for each in self.strata)
        return float(stratified_statistic(shares, labels[None], loss, inside)[0])

    def loss(self, margin: float) -> float:
        """Return a loss of the margin as a share of those that differ, by the upper bound of their number."""
        return margin / binom_bound(self.differing, self.inputs, SHARE_LEVEL * self.level)

    @property
    def mirrored(self) -> StratifiedDisagreements:
        """The table with won for lost."""
        return replace(self, strata=tuple(replace(each, won=each.lost, lost=each.won) for each in self.strata))

    @cached_property
    def _arrays(self) -> tuple[Floats, Floats]:
        """The share of each stratum among all, and its labels: won, lost, equally right."""
        filled = [each for each in self.strata if each.differing]
        sizes = np.array([each.differing for each in filled], dtype=float)
        labels = [(each.won, each.lost, each.labelled - each.won - each.lost) for each in filled]
        return sizes / sizes.sum(), np.array(labels, dtype=float)


def stratified_statistic(shares: Floats, labels: Floats, loss: ArrayLike, inside: ArrayLike) -> Floats:
    """Return T of tables (tables x strata x won, lost, equally right) against a `loss` among the inputs that differ.

    `shares` (strata, or tables x strata) are those of the inputs `inside` the strata. The chances in the strata are
    those of the largest likelihood under which the mean change is -loss.
    """
    counts = np.maximum(labels.sum(axis=2), 1)  # a stratum without inputs has no share
    won, lost = _constrained(shares, labels, loss)
    means = won - lost
    between = (shares * means**2).sum(axis=1) - (shares * means).sum(axis=1) ** 2
    variance = (shares**2 * (won + lost - means**2) / counts).sum(axis=1) + np.maximum(between, 0) / inside
    excess = (shares * (labels[:, :, 0] - labels[:, :, 1]) / counts).sum(axis=1) + loss
    return ratio_or_zero(excess, np.sqrt(variance))


def allocate_labels(sizes: Sequence[int], labels: int) -> tuple[int, ...]:
    """Return how many of the inputs of each stratum to label: in proportion, at least 3, or all of them if fewer.

    The parts add up to `labels`, or to all inputs if these are fewer.

    Raises:
        ValueError: fewer than 20 labels.
    """
    if labels < FEWEST_STRATIFIED:
        raise ValueError(f"expected {FEWEST_STRATIFIED} labels or more, found {labels}")
    total = sum(sizes)
    found = [min(size, FEWEST_OF_A_STRATUM) for size in sizes]
    for _ in range(min(labels, total) - sum(found)):
        # the stratum that is furthest below its part
        short = [
            labels * size / total - got if got < size else -math.inf for size, got in zip(sizes, found, strict=True)
        ]
        found[short.index(max(short))] += 1
    return tuple(found)


def labels_saved(
    inputs: int, differing: int, labels: int, margin: float, tied: float, explained: float, level: float = LEVEL
) -> float:
    """Return how many labels strata save beside a plain sample with the same power; below 0 if they cost some.

    `tied` is the share of labels that are equally right, `explained` the share of the variance of labels that lies
    between strata (the squared correlation of labels and verdicts). By the normal approximation, without a loss.
    """
    check_inputs(inputs, differing, margin, level)
    share, spread, n = differing / inputs, 1 - tied, counted_inputs(inputs, margin)
    loss = margin / binom_bound(differing, inputs, SHARE_LEVEL * level)
    within = math.sqrt(spread * ((1 - explained) / labels + explained / differing))
    reached = loss / max(within, 1e-12) - ABOVE_STRATIFIED - PER_LABEL_STRATIFIED / labels

    def plain(k: float) -> float:
        variance = share**2 * spread / k + (1 - share) * margin**2 / (share * n)
        return margin / math.sqrt(variance) - ABOVE - PER_LABEL / k

    low, high = 1.0, float(differing)
    if plain(high) <= reached:
        return high - labels
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if plain(middle) < reached else (low, middle)
    return high - labels


def _constrained(shares: Floats, labels: Floats, loss: ArrayLike) -> tuple[Floats, Floats]:
    """Return the chances to win and to lose (tables x strata) under the constraint.

    With the constraint's multiplier t > 0, a chance is count / (kappa + t share sign), and kappa makes a stratum's
    chances add up to 1. The mean change falls as t rises, so t is found by halving.
    """
    low, least = np.zeros(len(labels)), -np.asarray(loss, float)
    high = np.full(len(labels), 2.0)
    while (short := _weighted_mean(shares, labels, high) > least).any():
        high = np.where(short, 2 * high, high)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = _weighted_mean(shares, labels, middle) > least
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return _chances(shares, labels, high)


def _weighted_mean(shares: Floats, labels: Floats, t: Floats) -> Floats:
    won, lost = _chances(shares, labels, t)
    return np.asarray((shares * (won - lost)).sum(axis=1))


def _chances(shares: Floats, labels: Floats, t: Floats) -> tuple[Floats, Floats]:
    """Return each stratum's chances to win and to lose for multipliers t."""
    won, lost, tied = np.moveaxis(labels, 2, 0)
    pull = t[:, None] * shares
    kappa = _largest_root(won, lost, tied, pull)
    to_win: Floats = won / np.maximum(kappa + pull, TINY)
    to_tie = tied / np.maximum(kappa, TINY)
    return to_win, np.maximum(1 - to_win - to_tie, 0)


def _largest_root(won: Floats, lost: Floats, tied: Floats, pull: Floats) -> Floats:
    """Return the largest root kappa >= pull of won / (kappa + pull) + tied / kappa + lost / (kappa - pull) = 1.

    It is that of a cubic with three real roots, by cosines. Without a lost label the cubic's root kappa = pull leaves
    the rest of the chance to losing, as the largest likelihood does.
    """
    counts = won + lost + tied
    first = pull * (won - lost) - pull**2
    width = np.sqrt(np.maximum(counts**2 - 3 * first, 0))
    # of kappa^3 - counts kappa^2 + first kappa + tied pull^2
    turn = (2 * counts**3 - 9 * counts * first - 27 * tied * pull**2) / 2
    angle = np.arccos(np.clip(turn / np.maximum(width, TINY) ** 3, -1, 1))
    return np.asarray(np.maximum((counts + 2 * width * np.cos(angle / 3)) / 3, pull))
