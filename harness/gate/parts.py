"""The parts of a unit's pass rule: each is a rate, paired with the reference's and gated by a margin of its own.

A part is a rate of the cases that ask for it (`evaluation.case_parts`), so it is the same beside any other record.
Where a case expects no value of a field and an answer has one, that counts in a rate of its own: of the cases that
expect none, those that rightly lack it. A margin of the field holds both.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tunegate.harness.cases.model import Case
from tunegate.harness.cases.policy import UnitPolicy
from tunegate.harness.evaluation.case_parts import asks_for
from tunegate.harness.evaluation.never_right import unmet_values, value_counts
from tunegate.harness.evaluation.record import Result
from tunegate.harness.gate.pairing import PairedScores, PairKey, means
from tunegate.harness.gate.verdict import NeverRight, PartialRate, PartVerdict
from tunegate.harness.statistics import paired as stats

NONE_EXPECTED = " (none expected)"  # behind the name of a field: its rate among the cases that expect none


@dataclass(frozen=True)
class PairedPart(PairedScores):
    """A part of a unit: `base` and `mean` are of its `n` cases, and `before`, `after` and `d` of their observations.

    `named` is what task.yaml calls it. `base_only` and `mean_only` are what each record says by itself, where that
    is of fewer cases: only a check of your own does not say which cases ask for a part.
    """

    named: str = ""
    n: int = 0
    base: float = 0.0
    mean: float = 0.0
    whole: bool = False
    base_only: PartialRate | None = None
    mean_only: PartialRate | None = None


def pair_parts(pair: PairedScores) -> list[PairedPart]:
    """Each part of a unit that can be compared, on the cases that ask for it; `part` names it."""
    if pair.problem:
        return []
    sides = [[side[case.id] for case in pair.unit.cases] for side in (pair.old, pair.new)]
    parts = [[result.parts for result in side] for side in sides]
    fields = {name for side in sides for result in side for name in result.field_names}
    found = []
    for name in dict.fromkeys(name for side in parts for of_case in side for name in of_case):
        # a field that an answer lacks though its case asks for it was not needed: an alternative without it is right;
        # any other part that is unmet_values, such as those of an answer too long to be read, is not met
        absent = float(name in fields)
        before, after = ([of_case.get(name, absent) for of_case in side] for side in parts)
        due = [asks_for(case, name, both) for case, both in zip(pair.unit.cases, zip(*sides, strict=True), strict=True)]
        if any(due):
            asked = [place for place, is_due in enumerate(due) if is_due]
            made = _paired(pair, name, name, asked, before, after)
            alone = [_alone(name, pair.unit.cases, results, of) for results, of in zip(sides, parts, strict=True)]
            base, mean = (each if each and each[1] < made.n else None for each in alone)
            found.append(replace(made, base_only=base, mean_only=mean))
        others = [place for place, is_due in enumerate(due) if not is_due]
        if name in fields and any(name in side[place] for side in parts for place in others):
            found.append(_paired(pair, f"{name}{NONE_EXPECTED}", name, others, before, after))
    return found


def _paired(
    pair: PairedScores, part: str, named: str, places: Sequence[int], before: Sequence[float], after: Sequence[float]
) -> PairedPart:
    """A part of the cases at `places`; `before` and `after` hold a number for each case of the unit."""
    observed = [pair.unit.cases[place].observation for place in places]
    sides = [[side[place] for place in places] for side in (before, after)]
    grouped = [means(observed, side) for side in sides]
    declared = pair.policy.parts.get(named)
    policy = UnitPolicy(margin=declared.margin, reason=declared.reason) if declared else UnitPolicy(margin=None)
    return PairedPart(
        pair.unit, pair.reference, policy, pair.level, pair.old, pair.new, before=grouped[0], after=grouped[1],
        d=tuple(b - a for a, b in zip(*grouped, strict=True)), margin=declared.margin if declared else 0.0, part=part,
        named=named, n=len(places), base=math.fsum(sides[0]) / len(places), mean=math.fsum(sides[1]) / len(places),
        whole=(grouped[0], grouped[1]) == (pair.before, pair.after),
    )  # fmt: skip


def _alone(
    name: str, cases: Sequence[Case], results: Sequence[Result], parts: Sequence[Mapping[str, float]]
) -> PartialRate | None:
    """What one side says of a part by itself, where the other side alone brings some of its cases in."""
    asked = [
        part for case, result, part in zip(cases, results, parts, strict=True) if asks_for(case, name, [result])
    ]  # fmt: skip
    return (math.fsum(part.get(name, 1.0) for part in asked) / len(asked), len(asked)) if asked else None


def values_never_right(pair: PairedScores) -> tuple[NeverRight, ...]:
    """The values of fields that enough cases expect and no answer of the candidate has right."""
    cases = pair.unit.cases
    before, after = (value_counts(cases, [side[case.id] for case in cases]) for side in (pair.old, pair.new))
    return tuple(
        NeverRight(field, "" if pair.unit.sealed else value, n, before[field, value][1])
        for (field, value), (n, _) in unmet_values(after).items()
    )


def gated_parts(parts: Sequence[PairedPart]) -> list[PairedPart]:
    """Those with a margin of their own."""
    return [each for each in parts if each.policy.margin is not None]


def part_verdicts(
    parts: Sequence[PairedPart],
    worse: Mapping[PairKey, stats.PValue],
    is_worse: Collection[PairKey],
) -> Iterator[PartVerdict]:
    """What is to be said of each part; `worse` and `is_worse` are of the family in which the gated ones were tested."""
    for each in parts:
        labels = each.unit.check_kind.parts
        label = labels.get(each.named, each.named) + each.part.removeprefix(each.named)
        found = PartVerdict(
            each.part, label, each.n, each.base, each.mean, named=each.named, observations=len(each.d),
            difference=math.fsum(each.d) / len(each.d), whole=each.whole, base_only=each.base_only,
            mean_only=each.mean_only,
        )  # fmt: skip
        if each.policy.margin is not None:
            bounds = stats.interval(each.d, 2 * each.level, each.margin)
            found = replace(
                found, margin=each.margin, interval=(bounds.lower, bounds.upper), p_worse=worse[each.key].p,
                declared=each.policy.reason,
                # as of a slice: a loss within its margin is one that task.yaml declares tolerable
                fell=each.key in is_worse and not stats.held(each.d, each.margin, each.level),
            )  # fmt: skip
        yield found
