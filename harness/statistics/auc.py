"""The area under a ROC curve, and its interval."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

Z = 1.959964  # of a two-sided 95 % interval


def auc(on: Floats, off: Floats) -> float:
    """The chance that a random score of `on` exceeds a random one of `off`; a tie counts half."""
    above = on[:, None] - off[None, :]
    return float(((above > 0) + 0.5 * (above == 0)).mean())


def auc_interval(area: float, on: int, off: int) -> tuple[float, float]:
    """The 95 % interval of an AUC from `on` and `off` texts (Newcombe 2006, method 5), by bisection."""
    return _bound(area, 0.0, on, off), _bound(area, 1.0, on, off)


def _bound(area: float, end: float, on: int, off: int) -> float:
    inside, outside = area, end
    for _ in range(60):
        middle = (inside + outside) / 2
        if abs(middle - area) <= Z * math.sqrt(_variance(middle, on, off)):
            inside = middle
        else:
            outside = middle
    return inside


def _variance(area: float, on: int, off: int) -> float:
    rest = 1 - area
    pairs = (on + off) / 2 - 1
    return area * rest * (1 + pairs * (rest / (2 - area) + area / (1 + area))) / (on * off)
