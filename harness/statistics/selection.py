"""The selection bias of the best of several candidates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunegate.harness.statistics.distributions import norm_exceeded


def excess_of_best(scores: Sequence[Sequence[float]]) -> float:
    """Return how far the best mean of k equally good candidates lies above their true one, in the score's own unit.

    `scores` are k rows, one per candidate, of n observations each, all of the same cases; k and n are at least 2. The
    largest of k standard normal draws is expected at about the quantile (k - .375) / (k + .25) (Blom, Statistical
    Estimates and Transformed Beta-Variables, 1958). Variation common to all candidates does not count.
    """
    rows = np.asarray(scores, float)
    k, n = (len(rows), len(rows[0])) if rows.ndim == 2 and len(rows) else (0, 0)
    if min(k, n) < 2:
        raise ValueError(f"expected at least 2 candidates of at least 2 observations, found {k} of {n}")
    error = float(np.sqrt(rows.var(axis=0, ddof=1).sum())) / n
    return float(norm_exceeded(1 - (k - 0.375) / (k + 0.25)) * error)
