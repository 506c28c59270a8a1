"""Clustered cases: a test for differences of the change between clusters, and the effective number of cases.

`d` is a list of n differences in [-1, 1] as in paired.py, `labels` the n numbers of their clusters. If the clusters are
themselves a sample, n cases carry as much information as `effective` independent ones. `score_statistic` times
sqrt(effective / n) must then exceed `cluster_critical` as well as its critical value without clusters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tunegate.harness.statistics.distributions import Floats, Integers, root_between
from tunegate.harness.statistics.paired import ROUNDING, differences, score_statistic

PERMUTATIONS = 999
# p of a spread that counts as real: at .1 an equal model is held up to 3 points less often, at .05 up to 1.8, while the
# rate of false held differs by half a point (benchmarks/gate_topics.py)
REAL = 0.05
CELLS = 1_000_000  # labels held in memory at once
TIE = 1e-10  # as a share of the sum of squares: sums that differ by float noise are a tie


@dataclass(frozen=True)
class Spread:
    """The differences of the change between `clusters` clusters, and the `effective` number of the n cases.

    `p` is that of the permutation test; the spread is `real` if it is at most `REAL`, otherwise all n cases count.
    """

    clusters: int
    p: float
    real: bool
    effective: float


def spread(d: ArrayLike, labels: ArrayLike, margin: float, *, seed: int, level: float = REAL) -> Spread:
    """Return the spread of `d` (n numbers) over the clusters given by `labels` (n integers), in any order.

    It is real if `p` is at most `level`. The design effect (Kish, Survey Sampling, 1965) is the variance of the mean by
    clusters over that by cases, both at a true loss of the margin, as in `score_statistic`.

    Raises:
        ValueError: d and labels differ in length, d leaves [-1, 1], or the margin leaves (-1, 1).
    """
    values = differences(d)
    clusters, sizes = _clusters(labels, len(values))
    sums: Floats = np.bincount(clusters, values).astype(float)
    p = _permutation_p(values, sizes, float((sums**2 / sizes).sum()), seed)
    effect = _design_effect(values, sums, sizes, margin) if p <= level and len(sizes) > 1 else 1.0
    return Spread(len(sizes), p, p <= level, len(values) / effect)


def cluster_statistic(sums: ArrayLike, sizes: ArrayLike, margin: float) -> float:
    """Return (mean + margin) / (its standard error between clusters under the null); -inf if the mean is not above.

    `sums` are the changes of each cluster in all, which may be estimates, and `sizes` its numbers of cases.
    """
    changes, counts = np.asarray(sums, float), np.asarray(sizes, float)
    if changes.ndim != 1 or not changes.size == counts.size >= 2 or not (counts > 0).all():
        raise ValueError(f"expected sums and sizes of two clusters or more, found {changes.size} and {counts.size}")
    excess = changes + margin * counts
    total, variance = float(excess.sum()), _variance_of_sum(excess)
    if total <= TIE:
        return -math.inf
    return total / math.sqrt(variance) if variance > 0 else math.inf


def _clusters(labels: ArrayLike, n: int) -> tuple[Integers, Integers]:
    """Return the cluster of each case, numbered from 0, and the size of each cluster."""
    given = np.asarray(labels)
    if given.ndim != 1 or len(given) != n:
        raise ValueError(f"d and labels must be lists of one length, found {n} differences and {given.size} labels")
    _, clusters, sizes = np.unique(given, return_inverse=True, return_counts=True)
    return clusters, sizes


def _permutation_p(values: Floats, sizes: Integers, found: float, seed: int) -> float:
    """Return the share of permutations whose sum of squares between clusters is at least the one `found`.

    It is (1 + count) / (permutations + 1), from a seed: the observed assignment is one of the permutations.
    """
    moved = np.sort(values[values != 0])  # sorted, as the sizes are, so that p does not depend on the order of cases
    if len(sizes) < 2 or not len(moved) or sizes.max() == 1:
        return 1.0
    tie = TIE * float((moved**2).sum())
    count = sum(int((each >= found - tie).sum()) for each in _dealt(moved, np.sort(sizes), len(values), seed))
    return (1 + count) / (PERMUTATIONS + 1)


def _dealt(moved: Floats, sizes: Integers, n: int, seed: int) -> Iterator[Floats]:
    """Yield the sums of squares between clusters of random permutations, in batches."""
    random, clusters = np.random.default_rng(seed), len(sizes)
    cases = np.repeat(np.arange(clusters, dtype=np.int32), sizes)
    rows = max(1, min(PERMUTATIONS, CELLS // n))
    for done in range(0, PERMUTATIONS, rows):
        count = min(rows, PERMUTATIONS - done)
        # cases that did not move add nothing to a sum
        dealt = random.permuted(np.tile(cases, (count, 1)), axis=1)[:, : len(moved)]
        cells = (dealt + clusters * np.arange(count)[:, None]).ravel()
        sums = np.bincount(cells, np.tile(moved, count), minlength=count * clusters).reshape(count, clusters)
        yield (sums**2 / sizes).sum(axis=1)


def _design_effect(values: Floats, sums: Floats, sizes: Integers, margin: float) -> float:
    """Return the variance of the sum by clusters over that by cases, at least 1."""
    excess = sums + margin * sizes  # of each cluster, above a loss of exactly the margin
    by_clusters = _variance_of_sum(excess)
    statistic, n = score_statistic(values, margin), len(values)
    # a loss not below the margin has no statistic and is not held: use the variance of the sample
    by_cases = (excess.sum() / statistic) ** 2 if 0 < statistic < np.inf else n * float(values.var())
    return max(1.0, by_clusters / by_cases) if by_cases > 0 else 1.0


def _variance_of_sum(excess: Floats) -> float:
    """Return the variance of the sum of the excess of two clusters or more, under the null."""
    weights, clusters = _null_weights(excess), len(excess)
    return clusters**2 / (clusters - 1) * float(weights @ (excess - float(weights @ excess)) ** 2)


def _null_weights(excess: Floats) -> Floats:
    """Weigh the clusters so that their excess averages 0, by empirical likelihood; equally if none is below 0.

    If few clusters bear a loss, fewer may have been sampled: with equal weights 20 clusters falsely hold it 11 % of the
    time, with these weights 7 % (Owen, Empirical Likelihood, 2001).
    """
    clusters, least = len(excess), float(excess.min())
    if least > -ROUNDING or excess.sum() <= 0:
        return np.full(clusters, 1 / clusters)

    def mean(t: float) -> float:
        return float((excess / (1 - t * excess / least)).sum())

    # beyond the upper end a single cluster would weigh more than 1
    t = root_between(mean, 0.0, 1 - 1 / (clusters + 1), xtol=1e-14)
    weights: Floats = 1 / (clusters * (1 - t * excess / least))
    return weights
