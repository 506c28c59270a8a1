"""Which points have no point of another set near; the limits come from the points themselves.

If the references were drawn like the points, every one of a point's neighbours would be as likely a reference as any
other. So the number of points that are nearer than the nearest reference has a known distribution, and a long run of
them is evidence that references are missing here. This compares densities. A frequent topic with few references would
always be reported, so a point is far only if its nearest reference is also farther away than most references are from
one another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]  # a point per row, of length 1
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LEVEL = 0.05  # the expected share of false ones among what is reported
NEAR = 0.2  # near: at least as near as all but this share of the references are to another reference
ROWS = 512  # compared at a time


@dataclass(frozen=True)
class Nearness:
    """Where each of N points stands beside m references.

    Attributes:
        distance: the cosine distance to the nearest reference, from 0 to 2.
        p: the chance of so many points being nearer than that, if the references were drawn like the points.
        rank: the share of references that are at least as far from their nearest other one (conformal p-value).
        far: whether no reference is near.
    """

    distance: Floats
    p: Floats
    rank: Floats
    far: NDArray[np.bool_]


def nearness(points: Vectors, references: Vectors, groups: Integers | None = None) -> Nearness:
    """Compare N points with m references; two of each at least. No reference may be one of the points.

    p is that of a run without replacement (hypergeometric), and far points are those that Benjamini and Hochberg (1995)
    report at `LEVEL`, if their `rank` is at most `NEAR`. The rank is a leave-one-out conformal p-value (Bates and
    others, Annals of Statistics 51, 2023).

    Args:
        points: N unit vectors.
        references: m unit vectors.
        groups: the group of each reference. A group counts as one draw, and its members are not each other's
            neighbours.
    """
    from scipy.stats import false_discovery_control, hypergeom

    own = np.arange(len(references)) if groups is None else groups
    distance, before = _runs(points, references)
    drawn = len(np.unique(own))
    p: Floats = np.asarray(hypergeom.pmf(0, len(points) - 1 + drawn, drawn, before))
    usual = np.sort(_to_another_group(references, own))
    rank = (1 + len(usual) - np.searchsorted(usual, distance)) / (len(usual) + 1)
    far = (false_discovery_control(p) <= LEVEL) & (rank <= NEAR)
    return Nearness(distance, p, rank, far)


def _runs(points: Vectors, references: Vectors) -> tuple[Floats, Integers]:
    """The distance of each point to its nearest reference, and the number of other points that are nearer than it."""
    distance, before = [], []
    for start in range(0, len(points), ROWS):
        rows = points[start : start + ROWS]
        near, among = rows @ references.T, rows @ points.T
        among[np.arange(len(rows)), start + np.arange(len(rows))] = -np.inf
        best = near.max(axis=1)
        distance.append(1 - best.astype(np.float64))
        before.append((among > best[:, None]).sum(axis=1))
    return np.concatenate(distance), np.concatenate(before)


def _to_another_group(references: Vectors, groups: Integers) -> Floats:
    """The distance of each reference to the nearest one of another group."""
    found = []
    for start in range(0, len(references), ROWS):
        near = references[start : start + ROWS] @ references.T
        near[groups[start : start + ROWS, None] == groups[None]] = -np.inf
        found.append(1 - near.max(axis=1).astype(np.float64))
    return np.concatenate(found)


def smallest_share(references: int) -> float:
    """The share of the points from which on a topic without any reference is reported: (1 - s)^m = `LEVEL` s.

    A smaller topic is missed by chance too often for `references` random draws to show anything.
    """
    from scipy.optimize import brentq

    return float(brentq(lambda share: references * np.log1p(-share) - np.log(LEVEL * share), 1e-9, 1 - 1e-9))
