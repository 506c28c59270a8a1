"""Whether two samples of points differ, and where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunegate.harness.checks.text.topics import spherical_clusters, topic_count
from tunegate.harness.labelling.coverage.near import LEVEL, Floats, Integers, Vectors

PERMUTATIONS = 999
AT_ONCE = 111
SEED = 20_261_130


@dataclass(frozen=True)
class Moved:
    """A cluster that grew or fell: the numbers of its points in both samples, and its share of each."""

    members: Integers
    before: float
    after: float


def drift_p(before: Vectors, after: Vectors) -> float:
    """The p of the hypothesis that both samples come from one distribution.

    It is that of the energy test (Szekely and Rizzo, InterStat 5, 2004) with Euclidean distances, over 999 random
    permutations, the observed one included.
    """
    both = np.concatenate([before, after])
    distances = np.sqrt(np.maximum(2 - 2 * (both @ both.T), 0))
    np.fill_diagonal(distances, 0)
    is_before = np.arange(len(both)) < len(before)
    found = energy_distances(distances, is_before[:, None])[0]
    random, count = np.random.default_rng(SEED), 0
    for _ in range(0, PERMUTATIONS, AT_ONCE):
        dealt = random.permuted(np.tile(is_before[:, None], AT_ONCE), axis=0)
        count += int((energy_distances(distances, dealt) >= found * (1 - 1e-9)).sum())
    return (1 + count) / (PERMUTATIONS + 1)


def energy_distances(distances: NDArray[np.floating], is_before: NDArray[np.bool_]) -> Floats:
    """The energy distance of n points, 2 E|X - Y| - E|X - X'| - E|Y - Y'|, for each way to divide them.

    Args:
        distances: n by n.
        is_before: n by ways; whether a point belongs to the first sample.
    """
    first = is_before.astype(distances.dtype)
    sums = distances @ first
    within = (first * sums).sum(axis=0, dtype=np.float64)
    across = sums.sum(axis=0, dtype=np.float64) - within
    rest = distances.sum(dtype=np.float64) - within - 2 * across
    n = is_before.sum(axis=0)
    m = len(distances) - n
    found: Floats = 2 * across / (n * m) - within / n**2 - rest / m**2
    return found


def moved_clusters(before: Vectors, after: Vectors) -> list[Moved]:
    """The clusters of both samples together whose share differs, the largest difference first.

    The clusters know nothing of the samples. Each is tested by Fisher's exact test, and those are returned that
    Benjamini and Hochberg (1995) report at `LEVEL`. Members are numbered through both samples.
    """
    from scipy.stats import false_discovery_control, fisher_exact

    both = np.concatenate([before, after])
    labels = spherical_clusters(both.astype(np.float64), topic_count(len(both)))
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    counts = [(int((each < len(before)).sum()), int((each >= len(before)).sum())) for each in members]
    tables = (np.array([[old, len(before) - old], [new, len(after) - new]]) for old, new in counts)
    p = [fisher_exact(each).pvalue for each in tables]
    found = [
        Moved(each, old / len(before), new / len(after))
        for each, (old, new), level in zip(members, counts, false_discovery_control(p), strict=True)
        if level <= LEVEL
    ]
    return sorted(found, key=lambda each: -abs(each.after - each.before))
