"""Changes that differ between the topics of cases: n cases then count as fewer independent ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from tunegate.harness.cases.model import Case, Unit
from tunegate.harness.gate.families import SEED
from tunegate.harness.gate.pairing import PairedScores
from tunegate.harness.statistics import paired as stats
from tunegate.harness.statistics.clusters import spread
from tunegate.harness.statistics.paired import Effective
from tunegate.harness.text.topics import Topics, topics

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


def score_bound(pair: PairedScores) -> float | None:
    """Return the lower bound of the score if it has a target score.

    If scores differ between topics, the bound uses the effective number of cases, as for a change.
    """
    target = pair.policy.target_score
    if target is None or not pair.after:
        return None
    short, found = [score - 1 for score in pair.after], topics_of(pair.unit)
    effective = effective_cases(short, found.labels, 1 - target) if found and target < 1 else None
    return stats.rate_lower_bound(pair.after, target, pair.level, effective)


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
