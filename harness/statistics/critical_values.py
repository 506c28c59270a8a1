"""Critical values of the score statistic: the normal quantile, raised where enumeration shows more errors."""

import math
from functools import lru_cache

import numpy as np
from scipy.special import gammaln, stdtrit

from tunegate.harness.statistics.distributions import Floats, Integers, norm_exceeded

ENUMERATED_TO = 200  # cases; beyond, the error of the normal quantile at .04 is at most 4.6 %
ALLOWED = 1.25  # times the level: a level of .04 guarantees an error of at most 5 %
_NEAR = np.geomspace(2e-3, 0.5, 40)
NUISANCE = np.concatenate([[0.0], _NEAR, 1 - _NEAR[-2::-1], [1.0]])  # chances of a fix, as shares of the possible range
TIE = 1e-9  # the two ways to compute the statistic differ by up to this


def critical(level: float) -> float:
    """Return the standard normal quantile exceeded with chance `level`, 0 < level < .5: 1.7507 at .04."""
    if not 0 < level < 0.5:
        raise ValueError(f"a level must lie between 0 and .5, found {level}")
    return norm_exceeded(level)


def cluster_critical(level: float, clusters: int) -> float:
    """Return the critical value for so many clusters: the t quantile with clusters - 1 degrees of freedom."""
    if clusters < 2 or not 0 < level < 0.5:
        raise ValueError(f"expected two clusters or more and a level between 0 and .5, found {clusters} and {level}")
    return -float(stdtrit(clusters - 1, level))


@lru_cache(maxsize=4096)
def critical_value(n: int, margin: float, level: float) -> float:
    """Return the critical value of T(margin) for n pass/fail cases with an error of at most 1.25 times the level.

    It is the normal quantile if that suffices or n is above 200; otherwise the least value that does, by the sum over
    all tables of regressed and fixed cases, at the worst chance of a fix (an unconditional exact test: Suissa and
    Shuster, Biometrics 47, 1991); inf if none does. With the normal quantile 10 cases falsely hold a margin of .15
    7.6 % of the time.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, found {n}")
    normal = critical(level)
    if n > ENUMERATED_TO:
        return normal
    regressed, fixed = np.nonzero(np.tri(n + 1, dtype=bool)[::-1])
    values = tango_statistic(regressed, fixed, n, margin)
    order = np.argsort(-values)[: int((values > normal).sum())]
    errors = np.cumsum(_chances(regressed[order], fixed[order], n, margin), axis=0).max(axis=1)
    if not len(order) or errors[-1] <= ALLOWED * level:
        return normal
    falling = values[order]
    first = int(np.searchsorted(errors, ALLOWED * level, side="right"))  # the first table too many
    above = falling[:first][falling[:first] > falling[first] + TIE]  # ties are kept or dropped together
    return float((above[-1] + falling[first]) / 2) if len(above) else math.inf


def tango_statistic(regressed: Integers, fixed: Integers, n: int, margin: float) -> Floats:
    """Return Tango's statistic in closed form; q, the chance of a fix under the null, solves 2nq^2 + bq + c = 0."""
    b = (2 * n - regressed + fixed) * margin - regressed - fixed
    c = -fixed * margin * (1 - margin)
    q = (np.sqrt(np.maximum(b * b - 8 * n * c, 0)) - b) / (4 * n)
    variance = n * (2 * q + margin * (1 - margin))
    excess = n * margin - regressed + fixed
    # no variance: no flip and no margin
    statistic: Floats = np.divide(excess, np.sqrt(variance), out=np.zeros(np.shape(excess)), where=variance > 0)
    return statistic


def _chances(regressed: Integers, fixed: Integers, n: int, margin: float) -> Floats:
    """Return the chance of each table (rows) at a true loss of the margin, for each nuisance value (columns)."""
    fix = NUISANCE * (1 - margin) / 2
    still = n - regressed - fixed
    ways = gammaln(n + 1) - gammaln(regressed + 1) - gammaln(fixed + 1) - gammaln(still + 1)
    # the log of 0 is replaced: multiplied by 0 cases it gives 0, by more cases a chance of 0
    logs = np.log(np.maximum([fix + margin, fix, 1 - margin - 2 * fix], np.finfo(float).tiny))
    chances: Floats = np.exp(ways[:, None] + np.stack([regressed, fixed, still], axis=1) @ logs)
    return chances
