"""Changes that differ between the topics of cases: n cases then count as fewer independent ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from tunegate.harness.cases.model import Case, Unit
from tunegate.harness.checks.text.topics import Topics, topics
from tunegate.harness.gate.families import SEED
from tunegate.harness.gate.pairing import PairedScores
from tunegate.harness.statistics import paired as stats
from tunegate.harness.statistics.clusters import spread
from tunegate.harness.statistics.paired import Effective

Tags = tuple[tuple[str, str], ...]


def with_topics(pair: PairedScores) -> PairedScores:
    """Return the pair with its effective number of cases, or unchanged if there are no topics or no differences."""
    # equal changes cannot differ between topics, and reading thousands of texts takes seconds
    found = topics_of(pair.unit) if len(set(pair.d)) > 1 else None
    if found is None:
        return pair
    return replace(pair, topics=found.source, effective=effective_cases(pair.d, found.labels, pair.margin))


def effective_cases(d: Sequence[float], labels: Sequence[int], margin: float) -> Effective | None:
    """Return the effective number of observations; None if the change does not differ between their topics."""
    found = spread(d, labels, margin, seed=SEED)
    return Effective(found.effective, found.clusters) if found.real else None


def target_bound(pair: PairedScores) -> float | None:
    """Return the lower bound of the score if it has a target score.

    If scores differ between topics, the bound uses the effective number of cases, as for a change. If training rows
    come near cases, it is the smaller one of all cases and of those that can show a gain.
    """
    target, found = pair.policy.target_score, pair.evidence_of_gain
    if target is None or not pair.after:
        return None
    every = _bound(pair, range(len(pair.after)), pair.after, target)
    if found is None:
        return every
    after = [pair.before[place] + pair.span * d for place, d in zip(found.places, found.d, strict=True)]
    return min(every, _bound(pair, found.places, after, target))


def _bound(pair: PairedScores, places: Sequence[int], after: Sequence[float], target: float) -> float:
    short, found = [score - 1 for score in after], topics_of(pair.unit)
    labels = [found.labels[place] for place in places] if found else []
    effective = effective_cases(short, labels, 1 - target) if labels and target < 1 else None
    return stats.rate_lower_bound(after, target, pair.level, effective)


def topics_of(unit: Unit) -> Topics | None:
    """Return the topic of each observation, from the inputs and tags only; None if they do not suffice."""
    firsts = {case.observation: case for case in reversed(unit.cases)}
    return topics_of_cases([firsts[each] for each in dict.fromkeys(case.observation for case in unit.cases)])


def topics_of_cases(cases: Sequence[Case]) -> Topics | None:
    """Return the topics of cases, one case per observation."""
    return _topics(tuple(case.text for case in cases), tuple(tuple(sorted(case.tags.items())) for case in cases))


@lru_cache(maxsize=64)
def _topics(texts: tuple[str, ...], tags: tuple[Tags, ...]) -> Topics | None:
    return topics(texts, [dict(each) for each in tags])  # called once per reference
