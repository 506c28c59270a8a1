"""How a change differs between the topics of cases: where it does, n cases are worth fewer."""

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
    """The pair with what its cases are worth; as it is where no topics are found, or the change is alike in all."""
    # where all changed alike nothing can differ, and thousands of texts take seconds to read
    found = topics_of(pair.unit) if len(set(pair.d)) > 1 else None
    if found is None:
        return pair
    return replace(pair, topics=found.source, effective=effective_cases(pair.d, found.labels, pair.margin))


def effective_cases(d: Sequence[float], labels: Sequence[int], margin: float) -> Effective | None:
    """What the observations are worth where the change differs between their topics; None where it does not."""
    found = spread(d, labels, margin, seed=SEED)
    return Effective(found.effective, found.clusters) if found.real else None


def score_bound(pair: PairedScores) -> float | None:
    """The least score that the level does not exclude, where it has to reach a target; Wilson's bound for pass/fail.

    Where scores differ between topics it is of fewer cases, as a change is.
    """
    target = pair.policy.target_score
    if target is None or not pair.after:
        return None
    short, found = [score - 1 for score in pair.after], topics_of(pair.unit)
    effective = effective_cases(short, found.labels, 1 - target) if found and target < 1 else None
    return 1 + stats.lower_bound(short, pair.level, effective=effective)


def topics_of(unit: Unit) -> Topics | None:
    """The topic of each observation, fixed by the inputs and tags alone; None where they say too little."""
    firsts = {case.observation: case for case in reversed(unit.cases)}
    return topics_of_cases([firsts[each] for each in dict.fromkeys(case.observation for case in unit.cases)])


def topics_of_cases(cases: Sequence[Case]) -> Topics | None:
    """The same of cases, one for each observation."""
    return _topics(tuple(case.text for case in cases), tuple(tuple(sorted(case.tags.items())) for case in cases))


@lru_cache(maxsize=64)
def _topics(texts: tuple[str, ...], tags: tuple[Tags, ...]) -> Topics | None:
    return topics(texts, [dict(each) for each in tags])  # asked once for each reference
