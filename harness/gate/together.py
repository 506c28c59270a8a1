"""Groups of guards: guards too small to hold a margin each show that their mean loss is within a common margin."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np

from tunegate.harness.cases.model import Case, Task
from tunegate.harness.cases.policy import Together
from tunegate.harness.gate.pairing import PairedScores, PairKey
from tunegate.harness.gate.topic_spread import effective_cases, topics_of_cases
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.statistics import paired as stats
from tunegate.harness.statistics.power import Levels
from tunegate.harness.statistics.sample_size import PassFail, cases_to_settle, flip_rate_seen


@dataclass(frozen=True)
class GroupLoss:
    """The weighted mean change of guards against one reference, in shares of a score, and its interval at the `level`.

    `missing` names a unit that cannot be compared or was not run; nothing is held then. About `needed` cases instead
    of `cases` would settle a group that is not held; None if hardly any number would.
    """

    units: tuple[str, ...]
    margin: float
    level: float
    difference: float = 0.0
    interval: tuple[float, float] = (-1.0, 1.0)
    held: bool = False
    missing: str = ""
    even: bool = True
    cases: int = 0
    needed: int | None = None


def group_losses(tasks: Sequence[Task], pairs: Sequence[PairedScores], candidate: Record) -> dict[PairKey, GroupLoss]:
    """Return the loss of its group for each grouped guard, by the pair's key.

    Open guards form one group and sealed ones another, with the same weights. A guard missing from a later reference
    is newer than that reference and is left out there. A single guard has to hold its own margin.
    """
    found: dict[PairKey, GroupLoss] = {}
    for task in tasks:
        if task.policy.together is None:
            continue
        names = dict.fromkeys(each.reference for each in pairs)
        for name, sealed in product(names, (False, True)):
            members = list(_members(task, pairs, name, sealed))
            undone = (one.unit.key for one, _ in members if not one.d)
            missing = _missing(task, candidate, sealed) or next(undone, "")
            if len(members) > 1 or (members and missing):
                loss = _loss(task.policy.together, members, missing)
                found |= {one.key: loss for one, _ in members}
    return found


def _members(
    task: Task, pairs: Sequence[PairedScores], reference: str, sealed: bool
) -> Iterator[tuple[PairedScores, float]]:
    """Yield the guards of the task's group against one reference, each with its weight."""
    for each in pairs:
        if each.reference == reference and each.unit.task == task.name and each.unit.sealed == sealed:
            weight = task.policy.weight(each.unit.name)
            if weight is not None:
                yield each, weight


def _missing(task: Task, candidate: Record, sealed: bool) -> str:
    """Return a member that a partial run left out, whose loss is unknown; empty if there is none."""
    mine = [each.key for each in task.units if each.sealed == sealed and task.policy.weight(each.name) is not None]
    return next((key for key in mine if candidate.partial and key not in candidate.units), "")


def _loss(together: Together, members: Sequence[tuple[PairedScores, float]], missing: str) -> GroupLoss:
    level = min(one.level for one, _ in members)  # sealed members may have been evaluated a different number of times
    units = tuple(one.unit.key for one, _ in members)
    if missing:
        return GroupLoss(units, together.margin, level, missing=missing)
    d, span = pooled([(one.observed, one.d, weight) for one, weight in members])
    effective = _effective([one for one, _ in members], d, together.margin / span)
    bounds = stats.interval(d, 2 * level, together.margin / span, effective)
    least = min(span * bounds.lower, _least_without_near(members, level, together.margin, effective, len(d)))
    held = least > -together.margin
    return GroupLoss(
        units, together.margin, level,
        difference=span * sum(d) / len(d),
        interval=(least, span * bounds.upper),
        held=held,
        even=len({weight for _, weight in members}) == 1,
        cases=len(d),
        needed=None if held else cases_to_settle(d, together.margin / span, level),
    )  # fmt: skip


def _least_without_near(
    members: Sequence[tuple[PairedScores, float]],
    level: float,
    margin: float,
    effective: stats.Effective | None,
    n: int,
) -> float:
    """Return the lower bound of the group's change without the gains of near cases; infinite if rows come near none."""
    if not any(any(one.near) for one, _ in members):
        return math.inf
    d, span = pooled([(*_evidence(one), weight) for one, weight in members])
    part = replace(effective, cases=effective.cases * len(d) / n) if effective else None
    return span * stats.interval(d, 2 * level, margin / span, part).lower


def _evidence(pair: PairedScores) -> tuple[Sequence[Hashable], Sequence[float]]:
    """Return the keys and changes of the observations that can exclude a loss."""
    found, observed = pair.evidence_of_hold, pair.observed
    return ([observed[place] for place in found.places], found.d) if found else (observed, pair.d)


def _effective(pairs: Sequence[PairedScores], d: Sequence[float], margin: float) -> stats.Effective | None:
    """Return the effective number of pooled observations; None if their change does not differ between topics.

    Units may share topics. Units are not topics, as they were not sampled: their means are subtracted first.
    """
    firsts: dict[Hashable, tuple[int, Case]] = {}
    for place, each in enumerate(pairs):
        for case in each.unit.cases:
            firsts.setdefault(case.observation, (place, case))
    found = topics_of_cases([case for _, case in firsts.values()])
    if found is None:
        return None
    values, units = np.array(d), np.array([place for place, _ in firsts.values()])
    for place in range(len(pairs)):
        values[units == place] -= values[units == place].mean() if (units == place).any() else 0.0
    return effective_cases(np.clip(values + np.mean(d), -1, 1).tolist(), found.labels, margin)


def drop_found(pair: PairedScores, tests: int) -> float | None:
    """Return the smallest true drop that this guard on its own detects four times in five, corrected for `tests` tests.

    It is a share of the score, computed from the observed flips; None if no drop is detected that often.
    """
    flips = flip_rate_seen(pair.d) - abs(pair.difference)
    return _drop_found(len(pair.d), pair.margin, round(max(flips, 0.0), 3), tests)


@lru_cache(maxsize=1024)
def _drop_found(n: int, margin: float, flip_rate: float, tests: int) -> float | None:
    return PassFail(flip_rate, levels=Levels(worse=stats.LEVEL / tests)).smallest_drop(n, margin)


def pooled(members: Sequence[tuple[Sequence[Hashable], Sequence[float], float]]) -> tuple[list[float], float]:
    """Return one change in [-1, 1] for each observation, and the span C: C times their mean is the weighted mean.

    Args:
        members: for each unit the keys of its observations, their changes in [-1, 1], and its weight. Units that share
            a question share an observation, as one output is not independent evidence for both.
    """
    whole = sum(weight for *_, weight in members)
    changes: dict[Hashable, float] = {}
    most: dict[Hashable, float] = {}
    for observed, d, weight in members:
        share = weight / whole / len(d)
        for key, change in zip(observed, d, strict=True):
            changes[key] = changes.get(key, 0.0) + share * change
            most[key] = most.get(key, 0.0) + share
    span = len(changes) * max(most.values())
    return [max(-1.0, min(1.0, len(changes) * each / span)) for each in changes.values()], span
