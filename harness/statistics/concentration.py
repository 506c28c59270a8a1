"""Whether the falls of a unit are concentrated in one stratum of its cases: an exact test, given how many fell."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaln

from tunegate.harness.statistics.distributions import Floats
from tunegate.harness.statistics.paired import PValue


class Counts(NamedTuple):
    """What could fall, what of it fell, and what rose, among the observations of a stratum or of all."""

    could: int
    fell: int
    rose: int


def p_concentrated(stratum: Counts, every: Counts) -> PValue:
    """Return the p of as many falls in a stratum, if each that could fall was equally likely to.

    Given what could fall and what fell (Fisher, 1935). The rises of the stratum are set against its falls: where
    outputs flip often, both happen, and a loss elsewhere would else be said to be there.
    """
    most, least = min(stratum.could, every.fell), max(0, every.fell - (every.could - stratum.could))
    found = stratum.fell - stratum.rose
    counts = np.arange(least, most + 1)
    chances = np.exp(_ways(stratum.could, counts) + _ways(every.could - stratum.could, every.fell - counts)
                     - _ways(every.could, every.fell))  # fmt: skip

    def beyond(count: int) -> float:
        return min(1.0, float(chances[counts >= count].sum()))

    return PValue(beyond(found), beyond(most - stratum.rose))


def _ways(n: int, k: ArrayLike) -> Floats:
    """Return the logarithm of the binomial coefficient."""
    chosen = np.asarray(k, float)
    return np.asarray(-betaln(n - chosen + 1, chosen + 1) - np.log1p(n))
