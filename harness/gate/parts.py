"""The parts of a unit's pass rule: each is a rate, paired with the reference's and gated by its own margin.

A part is a rate over the cases that ask for it (`evaluation.case_parts`), so it does not depend on the other record.
If a case expects no value of a field and an output has one, a separate rate counts it: of the cases that expect no
value, those whose output has none. The margin of the field applies to both rates.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from tunegate.harness.cases.model import Case
from tunegate.harness.cases.policy import UnitPolicy
from tunegate.harness.gate.pairing import PairedScores, PairKey, means
from tunegate.harness.models.evaluation.case_parts import asks_for
from tunegate.harness.models.evaluation.never_right import unmet_values, value_counts
from tunegate.harness.models.evaluation.record import Result
from tunegate.harness.models.evaluation.verdict import NeverRight, PartialRate, PartVerdict, ValueFall
from tunegate.harness.statistics import paired as stats

FieldValue = tuple[str, str]  # a field of a closed set, and the value as JSON
LOST = 3  # cases that lost a value
NONE_EXPECTED = " (none expected)"  # appended to a field's name: its rate among the cases that expect no value


@dataclass(frozen=True)
class PairedPart(PairedScores):
    """A part of a unit, with the `facts` of its verdict that no test decides, and the observations that ask for it."""

    facts: PartVerdict = field(kw_only=True)
    asked: tuple[Hashable, ...] = field(kw_only=True)

    @property
    def observed(self) -> list[Hashable]:
        """The group or the question of each observation, in order."""
        return list(self.asked)


def pair_parts(pair: PairedScores) -> list[PairedPart]:
    """Return each comparable part of a unit, on the cases that ask for it."""
    if pair.problem:
        return []
    sides = [[side[case.id] for case in pair.unit.cases] for side in (pair.old, pair.new)]
    parts = [[result.parts for result in side] for side in sides]
    fields = {name for side in sides for result in side for name in result.field_names}
    found = []
    for name in dict.fromkeys(name for side in parts for of_case in side for name in of_case):
        # A missing field counts as met: its case has an alternative without it. Any other missing part, such as those
        # of an output too long to parse, counts as not met.
        absent = float(name in fields)
        before, after = ([of_case.get(name, absent) for of_case in side] for side in parts)
        due = [asks_for(case, name, both) for case, both in zip(pair.unit.cases, zip(*sides, strict=True), strict=True)]
        if any(due):
            asked = [place for place, is_due in enumerate(due) if is_due]
            made = _paired(pair, name, name, asked, before, after)
            single = [_single(name, pair.unit.cases, results, of) for results, of in zip(sides, parts, strict=True)]
            # a custom check may not declare which cases ask for a part
            base, mean = (each if each and each[1] < made.facts.n else None for each in single)
            found.append(replace(made, facts=replace(made.facts, base_only=base, mean_only=mean)))
        others = [place for place, is_due in enumerate(due) if not is_due]
        if name in fields and any(name in side[place] for side in parts for place in others):
            found.append(_paired(pair, f"{name}{NONE_EXPECTED}", name, others, before, after))
    return found


def _paired(
    pair: PairedScores, part: str, named: str, places: Sequence[int], before: Sequence[float], after: Sequence[float]
) -> PairedPart:
    """Pair a part over the cases at `places`; `before` and `after` hold a number for each case of the unit."""
    observed = [pair.unit.cases[place].observation for place in places]
    sides = [[side[place] for place in places] for side in (before, after)]
    grouped = [means(observed, side) for side in sides]
    declared = pair.policy.parts.get(named)
    policy = UnitPolicy(margin=declared.margin, reason=declared.reason) if declared else UnitPolicy(margin=None)
    d = tuple(b - a for a, b in zip(*grouped, strict=True))
    label = pair.unit.check_kind.parts.get(named, named) + part.removeprefix(named)
    facts = PartVerdict(
        part, label, len(places), fmean(sides[0]), fmean(sides[1]), named=named, observations=len(d),
        difference=fmean(d), whole=(grouped[0], grouped[1]) == (pair.before, pair.after),
    )  # fmt: skip
    return PairedPart(
        pair.unit, pair.reference, policy, pair.level, pair.old, pair.new, before=grouped[0], after=grouped[1],
        d=d, margin=declared.margin if declared else 0.0, part=part, facts=facts, asked=tuple(dict.fromkeys(observed)),
    )  # fmt: skip


def _single(
    name: str, cases: Sequence[Case], results: Sequence[Result], parts: Sequence[Mapping[str, float]]
) -> PartialRate | None:
    """Return the rate of a part over the cases of one side only, and their number."""
    asked = [
        part for case, result, part in zip(cases, results, parts, strict=True) if asks_for(case, name, [result])
    ]  # fmt: skip
    return (fmean(part.get(name, 1.0) for part in asked), len(asked)) if asked else None


def fallen_values(
    pair: PairedScores, lost: Collection[FieldValue] = ()
) -> tuple[tuple[NeverRight, ...], tuple[ValueFall, ...]]:
    """Return the field values that the candidate never has right, and those that many cases lost.

    Of the first, enough cases expect them; of the second, at least half of those that the reference has right.
    """
    cases = pair.unit.cases
    before, after = (value_counts(cases, [side[case.id] for case in cases]) for side in (pair.old, pair.new))
    shown = {key: "" if pair.unit.sealed else key[1] for key in after}
    never = tuple(
        NeverRight(key[0], shown[key], n, before[key][1], key in lost) for key, (n, _) in unmet_values(after).items()
    )
    falls = tuple(
        ValueFall(key[0], shown[key], n, base, right) for key, (n, right) in after.items()
        if right and (base := before.get(key, (0, 0))[1]) - right >= max(LOST, base / 2)
    )  # fmt: skip
    return never, falls


def value_changes(pair: PairedScores) -> dict[FieldValue, tuple[float, ...]]:
    """Return what changed where each field value is expected: -1 if it was lost, 1 if gained, a group's mean."""
    changes: dict[FieldValue, dict[tuple[str | None, ...], list[int]]] = {}
    for case in pair.unit.cases:
        before, after = (value_counts([case], [side[case.id]]) for side in (pair.old, pair.new))
        for key in (key for key, (expected, _) in after.items() if expected):
            change = after[key][1] - before.get(key, (0, 0))[1]
            changes.setdefault(key, {}).setdefault(case.observation, []).append(change)
    return {key: tuple(fmean(each) for each in by.values()) for key, by in changes.items()}


def part_verdicts(
    parts: Sequence[PairedPart], worse: Mapping[PairKey, stats.PValue], is_worse: Collection[PairKey]
) -> Iterator[PartVerdict]:
    """Yield the verdict on each part; `worse` and `is_worse` come from the family that tests the gated parts."""
    for each in parts:
        found = each.facts
        if each.policy.margin is not None:
            bounds = stats.interval(each.d, 2 * each.level, each.margin)
            found = replace(
                found, margin=each.margin, interval=(bounds.lower, bounds.upper), p_worse=worse[each.key].p,
                declared=each.policy.reason,
                # as for slices: a loss within the margin is tolerated
                fell=each.key in is_worse and not stats.held(each.d, each.margin, each.level),
            )  # fmt: skip
        yield found
