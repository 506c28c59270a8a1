"""Clusters of inputs: which belong together, and what each is called."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from tunegate.harness.checks.text.topics import split_words
from tunegate.harness.labelling.coverage.near import Floats, Integers, Vectors

LEAST = 3  # inputs of a cluster; fewer are single inputs
WORDS = 3  # that name a cluster
IN_TWO = 2  # a word of a single input could be a person's name


def far_clusters(points: Vectors, distance: Floats) -> list[Integers]:
    """Group k points that have no reference near: the members of each cluster, most central first; largest first.

    Clusters are merged by the mean distance of their members (average linkage: Sokal and Michener, 1958) up to the
    median `distance` of the points to their nearest reference, so that members are nearer to each other than to
    references. Clusters of fewer than `LEAST` are left out.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    if len(points) < LEAST:
        return []
    tree = linkage(points.astype(np.float64), "average", metric="cosine")
    labels = fcluster(tree, float(np.median(distance)), "distance")
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    kept = sorted((each for each in members if len(each) >= LEAST), key=lambda each: (-len(each), each[0]))
    return [most_central(points, each) for each in kept]


def most_central(points: Vectors, members: Integers) -> Integers:
    """Sort `members`, numbers of points, by the mean cosine with all of them, highest first."""
    closeness = points[members] @ points[members].sum(axis=0)
    return members[np.argsort(-closeness, kind="stable")]


def distinctive_words(inside: Sequence[str], outside: Sequence[str]) -> tuple[str, ...]:
    """The words that distinguish the texts of a cluster from those outside, at most three, the most distinctive first.

    A word is weighed by the share of the texts with it times the logarithm of how many times that is the share outside
    (its part of the Kullback-Leibler divergence).
    """
    here, there = _texts_with(inside), _texts_with(outside)
    weights = {
        word: count / len(inside) * math.log((count / len(inside)) * (len(outside) + 1) / (there[word] + 0.5))
        for word, count in here.items() if count >= IN_TWO
    }  # fmt: skip
    found = sorted((word for word in weights if weights[word] > 0), key=lambda word: (-weights[word], word))
    return tuple(found[:WORDS])


def _texts_with(texts: Sequence[str]) -> Counter[str]:
    return Counter(word for text in texts for word in set(split_words(text)))
