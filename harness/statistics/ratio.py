"""The ratio of two paired means: of the costs, or times, of two models on the same cases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of means and its 95 % interval; `interval` is None if there are too few cases for a bounded one."""

    estimate: float
    interval: tuple[float, float] | None


def ratio(before: Sequence[float], after: Sequence[float], level: float = 0.05) -> Ratio | None:
    """Return mean(after) / mean(before) of n paired amounts from 0; None if `before` is all 0.

    The interval is Fieller's (Journal of the Royal Statistical Society B 16, 1954, 175-185): every r for which the
    paired t-test of after - r before does not exclude 0 at the two-sided `level`, t having n - 1 degrees of freedom.
    With means a and b of after and before, variances and covariance over n, and t the quantile, these are the r with

        (b^2 - t^2 var_b) r^2 - 2 (a b - t^2 cov) r + (a^2 - t^2 var_a) <= 0,

    an interval if the mean before differs from 0 at that level, that is if b^2 > t^2 var_b.
    """
    x, y = np.asarray(before, float), np.asarray(after, float)
    if x.shape != y.shape or x.ndim != 1 or not len(x):
        raise ValueError(f"before and after must be lists of one length from 1, found {x.shape}, {y.shape}")
    if not (np.isfinite(x) & np.isfinite(y) & (x >= 0) & (y >= 0)).all():
        raise ValueError("before and after must be finite amounts from 0")
    scale, n = float(x.mean()), len(x)
    if not scale:
        return None
    estimate = float(y.mean()) / scale
    if n == 1:
        return Ratio(estimate, None)
    (var_b, cov), (_, var_a) = np.cov(x / scale, y / scale).tolist()  # scaled, so that b is 1
    t2 = float(stdtrit(n - 1, 1 - level / 2)) ** 2 / n
    square, middle, rest = 1 - t2 * var_b, estimate - t2 * cov, estimate**2 - t2 * var_a
    if square <= 0:
        return Ratio(estimate, None)
    half = math.sqrt(max(0.0, middle**2 - square * rest))
    return Ratio(estimate, (max(0.0, (middle - half) / square), (middle + half) / square))
