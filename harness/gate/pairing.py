"""One unit of a candidate paired with one reference: the differences, or why it cannot be compared."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from statistics import fmean

from tunegate.harness.cases.model import Case, Unit
from tunegate.harness.cases.policy import Policy, UnitPolicy
from tunegate.harness.cases.traffic.strata import labelled_disagreement
from tunegate.harness.cases.traffic.units import Disagreement
from tunegate.harness.checks.cost import Prices
from tunegate.harness.core.formatting import listed
from tunegate.harness.gate.call_costs import largest_difference
from tunegate.harness.gate.labelled_outputs import compared_outputs
from tunegate.harness.models.evaluation.record import Record, Result
from tunegate.harness.statistics import paired as stats
from tunegate.harness.statistics import sample_size as sizes
from tunegate.harness.statistics.balanced import PASSED, Balanced, balanced, score_strata
from tunegate.harness.statistics.distributions import binom_bound
from tunegate.harness.statistics.power import WIDEST, Continuous

PairKey = tuple[str, str, str]
SLICE_SHARE = 0.8  # a tag that covers more of its unit is not a slice: it would test the unit a second time


@dataclass(frozen=True)
class PairedScores:
    """The scores of a unit in the `reference` of that name (`old`) and in the candidate (`new`).

    Attributes:
        level: the one-sided error level of held and improved.
        problem: why the two sides cannot be compared; the scores are then empty.
        before, after: one score per observation.
        d: one difference per observation, in [-1, 1]: 1 is a change of `span`, in the score's own unit.
        margin: on the scale of `d`.
        bounded: no continuous score can change by more than `span`. Otherwise `lost` and `gained` observations did,
            and their share is bounded separately.
        topics: the source of the topics between which the change differs, leaving `effective` independent cases.
        part: the part of the unit's pass rule that was scored; empty for the whole unit.
        near: whether training rows come near each observation; empty if they come near none.
        every: how many cases the unit has, of which the reference may have only some.
        scored: the candidate's scores on all of these, if the reference has only some; one per observation.
        disagreement: of labelled traffic, in place of the differences: where the outputs differ, and a labelled sample.
    """

    unit: Unit
    reference: str
    policy: UnitPolicy
    level: float
    old: Mapping[str, Result]
    new: Mapping[str, Result]
    problem: str = ""
    before: tuple[float, ...] = ()
    after: tuple[float, ...] = ()
    d: tuple[float, ...] = ()
    margin: float = 0.0
    span: float = 1.0
    bounded: bool = True
    lost: int = 0
    gained: int = 0
    topics: str = ""
    effective: stats.Effective | None = None
    part: str = ""
    near: tuple[bool, ...] = ()
    disagreement: Disagreement | None = None
    every: int = 0
    scored: tuple[float, ...] = ()

    @property
    def key(self) -> PairKey:
        """The names of the reference, of the unit and of its part."""
        return self.reference, self.unit.key, self.part

    @property
    def observed(self) -> list[Hashable]:
        """The group or the question of each observation, in order."""
        return list(dict.fromkeys(case.observation for case in self.unit.cases))

    @property
    def difference(self) -> float:
        """The observed mean change, in the score's own unit."""
        return math.fsum(after - before for before, after in zip(self.before, self.after, strict=True)) / len(self.d)

    @cached_property
    def evidence_of_gain(self) -> Balanced | None:
        """The observations that can show a gain, if training rows come near some."""
        return self._balanced(of_gain=True)

    @cached_property
    def evidence_of_hold(self) -> Balanced | None:
        """The observations that can exclude a loss, if training rows come near some."""
        return self._balanced(of_gain=False)

    def _balanced(self, *, of_gain: bool) -> Balanced | None:
        if not any(self.near):
            return None
        if self.unit.kind == "continuous":  # without strata: of no score can be said how far it may fall
            strata, worst = [PASSED] * len(self.d), [-1.0] * len(self.d)
        else:
            strata, worst = score_strata(self.before), [-score for score in self.before]
        return balanced(strata, self.d, worst, self.near, of_gain=of_gain)

    @property
    def is_held(self) -> bool:
        """Whether a loss of the margin is excluded: on all cases and, if rows come near some, without their gains."""
        found = self.evidence_of_hold
        return stats.held(self.d, self.margin, self.level, self.effective) and (
            found is None or stats.held(found.d, self.margin, self.level, self.effective_of(found))
        )

    def effective_of(self, found: Balanced) -> stats.Effective | None:
        """The effective number of a part of the observations, in proportion."""
        if self.effective is None:
            return None
        return replace(self.effective, cases=self.effective.cases * len(found.d) / len(self.d))

    @property
    def collapse_bound(self) -> float:
        """The upper bound of the share of observations that lose `span` or more."""
        return binom_bound(self.lost, len(self.d), self.level)


def pair(
    unit: Unit, policy: Policy, candidate: Record, name: str, reference: Record, aimed: bool, known: str = ""
) -> PairedScores:  # fmt: skip
    """Pair a unit of the candidate with the reference called `name`; a target that is not `aimed` at is a guard.

    `known` says why they cannot be compared, if that was found out before.
    """
    every, unit = unit, reference.part_of(unit)
    declared = policy.of(unit.name, unit.kind)
    if not aimed:
        declared = replace(declared, role="guard")
    # alpha spending: each evaluation of sealed cases, and each try on labelled traffic, uses up a part of the level
    number = candidate.sealed_evaluations.get(unit.key, 1)
    level = stats.sealed_level(number) if unit.sealed or unit.labels else stats.LEVEL
    old, new = reference.of_unit(unit.key), candidate.of_unit(unit.key)
    problem = known or _absent(every, candidate, name, reference) or _mismatch(unit, name, old, every, new)
    scored = observations(every.cases, new) if not problem and unit is not every else ()
    new = {case.id: new[case.id] for case in unit.cases} if scored else new
    problem = problem or _partless(declared, old, new)
    sides = PairedScores(unit, name, declared, level, old, new, problem, every=len(every.cases), scored=scored)
    if problem:
        return sides
    near = frozenset(candidate.near.get(unit.of or unit.key, ()))
    if unit.labels and declared.margin is not None:
        before, now = (compared_outputs(unit, record) for record in (reference, candidate))
        found = labelled_disagreement(unit, before, now, number, declared.margin, level)
        return replace(sides, margin=declared.margin, disagreement=replace(found, near=near))
    sides = replace(sides, before=observations(unit.cases, old), after=observations(unit.cases, new))
    if declared.margin is None:
        return sides
    beside = {case.observation for case in unit.cases if case.id in near}  # of a group, all cases or none
    flags = tuple(each in beside for each in sides.observed) if beside else ()
    return replace(_with_differences(sides, policy.prices, candidate, reference, declared.margin), near=flags)


def _absent(unit: Unit, candidate: Record, name: str, reference: Record) -> str:
    if unit.key not in candidate.units:
        return "the run did not evaluate it"
    if unit.key not in reference.units:
        return f"the {name} does not contain it"
    part = reference.part_of(unit)
    asked = part.questions if part is not unit else candidate.questions.get(unit.key)
    if asked != reference.questions.get(unit.key) or not part.cases:
        return f"the {name} was evaluated on other questions"
    return ""


def _mismatch(unit: Unit, name: str, old: Mapping[str, Result], every: Unit, new: Mapping[str, Result]) -> str:
    # A case that is missing or has no score blocks; it is neither left out nor counted as zero.
    for side, results, asked in ((name, old, unit), ("run", new, every)):
        if odd := sorted(set(results) ^ {case.id for case in asked.cases}):
            return f"the {side} and the fixtures differ in {_some(odd)}"
        if unscored := sorted(case for case, result in results.items() if result.score is None):
            return f"the {side} has no score for {_some(unscored)}"
    return ""


def _partless(policy: UnitPolicy, old: Mapping[str, Result], new: Mapping[str, Result]) -> str:
    known = {name for side in (old, new) for result in side.values() for name in result.parts}
    return next((f"no case has the part {name}, which has a margin" for name in policy.parts if name not in known), "")


def _some(cases: Sequence[str]) -> str:
    return f"{len(cases)} case{'s' if len(cases) > 1 else ''} ({listed(cases)})"


def observations(cases: Sequence[Case], results: Mapping[str, Result]) -> tuple[float, ...]:
    """Return one score per observation: a case's, or the mean of cases that share a group or a question."""
    # Cases of a group fail together. Counted singly (families of four, ICC .5) a loss at the margin is falsely held
    # 13.7 % of the time, and some unit falsely regressed 12.5 %; with one observation per group it is 2.1 and .4 %.
    # `or` only satisfies the type checker: `_mismatch` refuses unscored cases
    return means([case.observation for case in cases], [results[case.id].score or 0.0 for case in cases])


def means(observed: Sequence[Hashable], scores: Sequence[float]) -> tuple[float, ...]:
    """Return the mean of the scores that share an `observed` key, in order of first appearance."""
    groups: dict[Hashable, list[float]] = {}
    for each, score in zip(observed, scores, strict=True):
        groups.setdefault(each, []).append(score)
    return tuple(map(fmean, groups.values()))


def _with_differences(
    sides: PairedScores, prices: Prices | None, candidate: Record, reference: Record, margin: float
) -> PairedScores:
    if sides.unit.kind != "continuous":
        return replace(sides, d=_changes(sides.before, sides.after), margin=margin)
    found = largest_difference(sides.unit, prices, (reference, sides.old), (candidate, sides.new))
    most, bounded = found or (0.0, False)
    # without a known bound, the span must not get narrower than the largest difference seen
    span = max(most, margin / WIDEST if bounded else stats.WINSOR_MARGINS * margin)
    # winsorised, not trimmed: a trimmed mean would drop the collapses that the gate looks for
    cut = stats.winsorise_differences(sides.before, sides.after, span)
    return replace(sides, d=cut.d, margin=margin / span, span=span, bounded=bounded, lost=cut.lost, gained=cut.gained)


def _changes(before: Sequence[float], after: Sequence[float]) -> tuple[float, ...]:
    return tuple(b - a for a, b in zip(before, after, strict=True))


def slices(pair: PairedScores) -> dict[str, tuple[float, ...]]:
    """Return the differences of each `tag=value`, one per observation, unless it covers nearly all of its unit."""
    return {tag: _of_slice(pair, cases) for tag, cases in tagged(pair.unit).items() if _is_slice(cases, pair.unit)}


def skipped_tags(unit: Unit) -> tuple[str, ...]:
    """Return the tags that are not slices because they cover nearly all of the unit."""
    return tuple(tag for tag, cases in tagged(unit).items() if not _is_slice(cases, unit))


def tagged(unit: Unit) -> dict[str, list[Case]]:
    """Return the cases of each `tag=value`."""
    found: dict[str, list[Case]] = {}
    for case in unit.cases:
        for tag, value in case.tags.items():
            found.setdefault(f"{tag}={value}", []).append(case)
    return found


def _is_slice(cases: Sequence[Case], unit: Unit) -> bool:
    return len(cases) <= SLICE_SHARE * len(unit.cases)


def _of_slice(pair: PairedScores, cases: Sequence[Case]) -> tuple[float, ...]:
    before, after = observations(cases, pair.old), observations(cases, pair.new)
    if pair.unit.kind == "continuous":
        return stats.winsorise_differences(before, after, pair.span).d
    return _changes(before, after)


def cases_needed(pair: PairedScores, d: tuple[float, ...]) -> int | None:
    """Return about how many observations like those of `d` would settle an inconclusive pair."""
    if pair.unit.kind != "continuous":
        return _cases_to_settle(d, pair.margin, pair.level)
    like = Continuous(1.0, span=1.0, collapse=None if pair.bounded else pair.policy.collapse)
    return _cases_to_settle(d, pair.margin, pair.level, like)


def outputs_needed(pair: PairedScores) -> int | None:
    """Return how many outputs per case would settle it; None if the outputs of one model per case did not vary."""
    cases = pair.unit.cases
    if pair.unit.kind == "continuous" or len(pair.d) != len(cases):
        return None
    sides = [[[one.score or 0.0 for one in side[case.id].repeats] for case in cases] for side in (pair.old, pair.new)]
    before, after = map(sizes.measured_noise, sides)
    if before is None or after is None:
        return None
    outputs = min(len(found) for side in sides for found in side) or 1
    return sizes.outputs_to_settle(pair.d, pair.margin, pair.level, before + after, outputs)


_cases_to_settle = lru_cache(maxsize=1024)(sizes.cases_to_settle)  # takes a third of a second, and is often repeated
