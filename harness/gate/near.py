"""Cases that training rows come near: how they score, and what is shown without their gains."""

from __future__ import annotations

from collections.abc import Collection
from statistics import fmean

from tunegate.harness.gate.pairing import PairedScores
from tunegate.harness.models.evaluation.verdict import NearScores, Proof
from tunegate.harness.statistics import paired as stats
from tunegate.harness.statistics.balanced import Balanced


def near_scores(pair: PairedScores) -> NearScores | None:
    """Return the scores of the near cases of a pair, beside the others; None if there are none."""
    gain, hold = pair.evidence_of_gain, pair.evidence_of_hold
    if gain is None or hold is None:
        return None
    beside = {key for key, is_near in zip(pair.observed, pair.near, strict=True) if is_near}
    number = sum(case.observation in beside for case in pair.unit.cases)
    near, others = ([place for place, flag in enumerate(pair.near) if flag == of] for of in (True, False))
    return NearScores(
        number, len(pair.unit.cases) - number, _means(pair, near), _means(pair, others),
        _proof(pair, gain), _proof(pair, hold),
    )  # fmt: skip


def _means(pair: PairedScores, places: Collection[int]) -> tuple[float, float] | None:
    """Return the means before and now of the observations at some places; None without any."""
    if not places:
        return None
    return fmean(pair.before[place] for place in places), fmean(pair.after[place] for place in places)


def _proof(pair: PairedScores, found: Balanced) -> Proof:
    bounds = stats.interval(found.d, 2 * pair.level, pair.margin, pair.effective_of(found))
    return Proof(len(found.d), pair.span * fmean(found.d), pair.span * bounds.lower)
