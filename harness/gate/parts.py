"""The parts of a unit's pass rule: each is a rate, paired with the reference's and gated by a margin of its own."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from tunegate.harness.fixtures.policy import UnitPolicy
from tunegate.harness.gate.pairing import PairedScores, PairKey, means
from tunegate.harness.gate.verdict import PartVerdict
from tunegate.harness.statistics import paired as stats


def pair_parts(pair: PairedScores) -> list[PairedScores]:
    """Each part of a unit that can be compared, on the cases that have it on either side; `part` names it."""
    if pair.problem:
        return []
    numbers: dict[tuple[str | None, ...], int] = {}
    observed = [numbers.setdefault(case.observation, len(numbers)) for case in pair.unit.cases]
    sides = [[side[case.id].parts for case in pair.unit.cases] for side in (pair.old, pair.new)]
    names = dict.fromkeys(name for side in sides for of_case in side for name in of_case)
    fields = {name for side in (pair.old, pair.new) for each in side.values() for name in each.field_names}
    # Where one side alone has a part: a field that neither was expected nor answered is right, and any other part, such
    # as those of an answer too long to be read, is not met.
    return [_pair_part(pair, name, observed, sides, absent=float(name in fields)) for name in names]


def _pair_part(
    pair: PairedScores, name: str, observed: Sequence[int], sides: Sequence[Sequence[Mapping[str, float]]],
    absent: float,
) -> PairedScores:  # fmt: skip
    have = [place for place, both in enumerate(zip(*sides, strict=True)) if name in both[0] or name in both[1]]
    mine = [observed[place] for place in have]
    before, after = (means(mine, [side[place].get(name, absent) for place in have]) for side in sides)
    declared = pair.policy.parts.get(name)
    return replace(
        pair, part=name, before=before, after=after, d=tuple(b - a for a, b in zip(before, after, strict=True)),
        winsorised=0, margin=declared.margin if declared else 0.0,
        policy=UnitPolicy(margin=declared.margin, reason=declared.reason) if declared else UnitPolicy(margin=None),
    )  # fmt: skip


def gated_parts(parts: Sequence[PairedScores]) -> list[PairedScores]:
    """Those with a margin of their own."""
    return [each for each in parts if each.policy.margin is not None]


def part_verdicts(
    parts: Sequence[PairedScores],
    worse: Mapping[PairKey, stats.PValue],
    is_worse: Collection[PairKey],
) -> Iterator[PartVerdict]:
    """What is to be said of each part; `worse` and `is_worse` are of the family in which the gated ones were tested."""
    for each in parts:
        labels = each.unit.check_kind.parts
        before, after = (math.fsum(side) / len(side) for side in (each.before, each.after))
        found = PartVerdict(each.part, labels.get(each.part, each.part), len(each.d), before, after)
        if each.policy.margin is not None:
            bounds = stats.interval(each.d, 2 * each.level, each.margin)
            found = replace(
                found, margin=each.margin, interval=(bounds.lower, bounds.upper), p_worse=worse[each.key].p,
                declared=each.policy.reason,
                # as of a slice: a loss within its margin is one that task.yaml declares tolerable
                fell=each.key in is_worse and not stats.held(each.d, each.margin, each.level),
            )  # fmt: skip
        yield found
