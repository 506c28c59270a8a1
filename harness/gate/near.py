"""Cases that training rows come near: how they score, and how much more they gain than the others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, variance

from scipy.special import stdtrit

from tunegate.harness.gate.pairing import PairedScores, observations
from tunegate.harness.gate.verdict import NearScores

LEVEL = 0.05  # two-sided, of the interval


def near_scores(pair: PairedScores) -> NearScores | None:
    """Return the scores of the near cases of a pair, and their excess gain; None if there are none."""
    if pair.with_near is None:
        return None
    cases = [case for case in pair.with_near.unit.cases if case.id not in pair.new]
    before, after = (observations(cases, side) for side in (pair.with_near.old, pair.with_near.new))
    base, mean = fmean(before), fmean(after)
    gains = [b - a for a, b in zip(before, after, strict=True)]
    clean = [b - a for a, b in zip(pair.before, pair.after, strict=True)]
    if not clean:
        return NearScores(len(cases), 0, base, mean)
    excess = fmean(gains) - fmean(clean)
    interval = _interval(gains, clean, excess)
    return NearScores(len(cases), len(pair.unit.cases), base, mean, excess, interval)


def _interval(near: Sequence[float], clean: Sequence[float], excess: float) -> tuple[float, float] | None:
    """Return Welch's interval of a difference of means (Biometrika 34, 1947); None with fewer than two on a side."""
    if min(len(near), len(clean)) < 2:
        return None
    parts = [variance(side) / len(side) for side in (near, clean)]
    if not sum(parts):
        return None
    freedom = sum(parts) ** 2 / sum(part**2 / (len(side) - 1) for part, side in zip(parts, (near, clean), strict=True))
    half = float(stdtrit(freedom, 1 - LEVEL / 2)) * math.sqrt(sum(parts))
    return excess - half, excess + half
