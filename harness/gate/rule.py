"""The decision rule: paired results and a policy to verdicts of units and decisions of tasks."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

from tunegate.harness.core.garbage import no_collection
from tunegate.harness.evaluation.record import Record, Result
from tunegate.harness.fixtures.model import Case, Task, Unit
from tunegate.harness.fixtures.policy import Policy
from tunegate.harness.gate import messages
from tunegate.harness.gate.pairing import (
    PairedScores,
    PairKey,
    answers_needed,
    cases_needed,
    pair,
    skipped_tags,
    slices,
)
from tunegate.harness.gate.parts import gated_parts, pair_parts, part_verdicts
from tunegate.harness.gate.verdict import PartVerdict, UnitVerdict, Verdict
from tunegate.harness.statistics import paired as stats

LEVEL = stats.LEVEL  # one-sided, of held, of worse and of the family of targets: at .05 a false held reaches 6.9 %
SLICE_LEVEL = 0.02  # of all slices: with them five units and two references give a false alarm under 5 % of the time
BOUND_LEVEL = 0.05  # one-sided, of the minimum score
SEED = 20_260_101  # of the sign flips: a question, so that a re-run repeats the verdict


@no_collection()
def compare(
    tasks: Sequence[Task],
    candidate: Record,
    references: Mapping[str, Record],
    trained: Sequence[str],
    targets_stay: bool = False,
) -> Record:
    """Compare a candidate record with each reference and decide every task.

    Args:
        tasks: all tasks of the fixtures, with their policies.
        candidate: the record to decide on. If it is partial, units that it lacks have no verdict; else they block.
        references: records by name, the base first: a unit that the base lacks blocks, one that a later reference
            lacks is newer than it. A unit gets the worst of its verdicts.
        trained: the tasks the adapter was trained for: they must have a target. Elsewhere targets guard.
        targets_stay: targets are targets everywhere, as where the candidate is no adapter on the reference.

    Returns:
        The candidate with `verdicts`, and `tasks`: the decisions of the tasks whose units all have a verdict.
    """
    base = next(iter(references), None)
    aimed = [task.name for task in tasks if targets_stay or task.name in trained]
    pairs = {
        name: _pairs(tasks, candidate, name, reference, aimed, name == base) for name, reference in references.items()
    }
    tests = _tests([each for of_one in pairs.values() for each in of_one])
    found: dict[str, list[UnitVerdict]] = {}
    for name, reference in references.items():
        for verdict in _verdicts(tasks, candidate, name, reference, pairs[name], tests):
            found.setdefault(verdict.unit, []).append(verdict)
    by_unit = {unit: _combined(verdicts) for unit, verdicts in found.items()}
    by_unit |= {each.unit: each for task in tasks for each in _proven_by_another(task, by_unit)}
    if not trained:  # a unit without a margin blocks a release, and without an adapter there is none
        by_unit = {
            key: replace(each, blocks=each.blocks and each.verdict != "ungated") for key, each in by_unit.items()
        }
    decisions = {
        task.name: _decide(task, candidate, by_unit, task.name in trained) for task in _with_vanished(tasks, by_unit)
    }
    return replace(
        candidate,
        verdicts={unit: verdict.as_dict() for unit, verdict in by_unit.items()},
        tasks={task: decision for task, decision in decisions.items() if decision},
    )


def _with_vanished(tasks: Sequence[Task], by_unit: Collection[str]) -> list[Task]:
    """The tasks, and an empty one for each that only a reference still knows."""
    known = {task.name for task in tasks}
    names = dict.fromkeys(unit.partition("/")[0] for unit in by_unit)
    return [*tasks, *(Task(name, (), Policy()) for name in names if name not in known)]


def _proven_by_another(task: Task, by_unit: Mapping[str, UnitVerdict]) -> Iterator[UnitVerdict]:
    """The open units whose sealed ones were judged as well: they must not be regressed, and prove nothing else.

    Were both asked to hold, equal models would hardly ever be released: ten gates pass together .39 of the time where
    five do .62 (n = 200, margin 5, flip rate 4 %).
    """
    for unit in task.units:
        sealing = task.policy.of(unit.name, unit.kind).seals if unit.sealed and unit.key in by_unit else None
        if sealing and (facts := by_unit.get(f"{task.name}/{sealing}")):
            unsettled = facts.verdict == "inconclusive" and facts.difference is not None
            yield replace(
                facts, proven_by=unit.key, blocks=facts.blocks and not unsettled,
                reason=f"{facts.reason} {messages.proven_by(unit.key)}",
            )  # fmt: skip


def _combined(verdicts: Sequence[UnitVerdict]) -> UnitVerdict:
    """The worst verdict of a unit, the base's among equals; its reason also tells of the other references."""
    # Margins chain: held to the last release alone, each release could lose a margin more against the base.
    worst = max(verdicts, key=_severity)
    others = [messages.beside(each) for each in verdicts if each is not worst]
    return replace(worst, reason=" ".join([worst.reason, *others]))


def _severity(verdict: UnitVerdict) -> int:
    if not verdict.blocks:
        return 0
    # lowest: what `--tg-inconclusive warn` excuses must not stand for a reference that blocks for more
    if verdict.verdict == "inconclusive" and verdict.difference is not None:
        return 1
    return 3 if verdict.verdict == "regressed" else 2


def _pairs(
    tasks: Sequence[Task], candidate: Record, name: str, reference: Record, aimed: Sequence[str], is_base: bool
) -> list[PairedScores]:
    """The units of the candidate beside those of one reference."""
    return [
        pair(unit, task.policy, candidate, name, reference, task.name in aimed)
        for task in tasks
        for unit in task.units
        if _in_play(unit, candidate) and (is_base or unit.key in reference.units)
    ]


@dataclass(frozen=True)
class _Tests:
    """What is significant among all units and references that are judged together, by the pair's key.

    The gated parts of units are tested with the units; `parts` are those of each, gated or not.
    """

    worse: Mapping[PairKey, stats.PValue]
    is_worse: Collection[PairKey]
    is_better: Collection[PairKey]
    fallen: Mapping[PairKey, tuple[str, ...]]
    parts: Mapping[PairKey, tuple[PartVerdict, ...]]


def _tests(pairs: Sequence[PairedScores]) -> _Tests:
    # what cannot be compared blocks by itself, and what has no margin is not judged: neither takes a share of a level
    gated = [each for each in pairs if each.d]
    # Families over all references, as without a correction some unchanged unit or slice is called worse up to 23 % of
    # the time, and with one family a reference still 6.9 %.
    # What blocks is tested at the full level whatever the openings: they divide the levels at which a unit is held,
    # reaches or improves, and were the others divided too, opening more often would let more pass.
    parts = {each.key: pair_parts(each) for each in gated}
    # A part with a margin is one more member, so that the family's error stays what it is whatever is declared.
    members = [*gated, *(part for each in parts.values() for part in gated_parts(each))]
    worse = {each.key: stats.p_worse(each.d, seed=SEED) for each in members}
    is_worse = _family(members, list(worse.values()), [LEVEL] * len(members))
    is_better: set[PairKey] = set()
    for name in dict.fromkeys(each.reference for each in gated):
        # guards need no gain, so they take no share of the targets' level; and it is shown against each reference
        targets = [each for each in gated if each.policy.role == "target" and each.reference == name]
        better = [stats.p_better(each.d, seed=SEED) for each in targets]
        is_better |= _family(targets, better, [each.level for each in targets])
    of_parts = {key: tuple(part_verdicts(each, worse, is_worse)) for key, each in parts.items()}
    return _Tests(worse, is_worse, is_better, _fallen_slices(gated), of_parts)


def _verdicts(
    tasks: Sequence[Task], candidate: Record, name: str, reference: Record, pairs: Sequence[PairedScores], tests: _Tests
) -> Iterator[UnitVerdict]:
    """The verdict of every unit against one reference."""
    remark = messages.supplied(name, candidate.is_supplied, reference.is_supplied)
    engines = candidate.engines[name]["units"] if name in candidate.engines else {}
    for each in pairs:
        if each.policy.margin is None and not each.problem:
            verdict = _ungated(each, reference)
        else:
            verdict = _unit_verdict(each, reference, tests)
        moved = messages.engine_alone(name, engines.get(each.unit.key))
        yield replace(verdict, reason=verdict.reason + remark + moved)
    yield from _vanished(tasks, candidate, name, reference)


def _in_play(unit: Unit, candidate: Record) -> bool:
    # a unit that a complete record lacks blocks; what `-k` left out of a partial one has no verdict at all
    asked = not candidate.partial and (candidate.sealed or not unit.sealed)
    return asked or unit.key in candidate.units


def _vanished(tasks: Sequence[Task], candidate: Record, name: str, reference: Record) -> Iterator[UnitVerdict]:
    """Units that a record knows and the fixtures do not: deleted or renamed, and not to pass for that."""
    known = {unit.key for task in tasks for unit in task.units}
    for key, summary in {**candidate.units, **reference.units}.items():
        if key not in known:
            reason = messages.cannot_compare("the fixtures no longer have this unit")
            yield UnitVerdict(
                key, name, "inconclusive", reason, "guard", summary.kind, summary.n, summary.mean, None, blocks=True
            )


def _family(pairs: Sequence[PairedScores], values: Sequence[stats.PValue], levels: Sequence[float]) -> set[PairKey]:
    """The pairs whose p is significant among all, each at a level of its own."""
    # p over its level: a family may hold units that were opened more often than others
    flags = stats.tarone_holm(
        [min(1.0, value.p * LEVEL / level) for value, level in zip(values, levels, strict=True)],
        [min(1.0, value.smallest * LEVEL / level) for value, level in zip(values, levels, strict=True)],
        LEVEL,
    )
    return {each.key for each, flag in zip(pairs, flags, strict=True) if flag}


def _fallen_slices(pairs: Sequence[PairedScores]) -> dict[PairKey, tuple[str, ...]]:
    """The slices that block: significant in the family of all slices, and not themselves held."""
    found = [(each, tag, d) for each in pairs for tag, d in slices(each).items()]
    # exact p: slices are small, where mid-p is the more liberal one
    values = [stats.p_worse(d, seed=SEED, mid=False) for _, _, d in found]
    flags = stats.tarone_holm([value.p for value in values], [value.smallest for value in values], SLICE_LEVEL)
    fallen: dict[PairKey, tuple[str, ...]] = {}
    for (each, tag, d), flag in zip(found, flags, strict=True):
        # a loss within the margin is one that the unit declares tolerable, in a slice of it as well
        if flag and not stats.held(d, each.margin, each.level):
            fallen[each.key] = (*fallen.get(each.key, ()), tag)
    return fallen


def _unit_verdict(each: PairedScores, reference: Record, tests: _Tests) -> UnitVerdict:
    facts = _facts(each, reference)
    if each.problem:
        return replace(facts, reason=messages.cannot_compare(each.problem), blocks=True)
    # at the level that judges, so that its lower end and the verdict agree
    bounds = stats.interval(each.d, 2 * each.level, each.margin)
    facts = replace(
        facts,
        difference=math.fsum(each.d) / len(each.d) * each.scale,
        interval=(bounds.lower * each.scale, bounds.upper * each.scale),
        level=each.level,
        p_worse=tests.worse[each.key].p,
        tests=len(tests.worse),
        worse_slices=tests.fallen.get(each.key, ()),
        parts=tests.parts[each.key],
        winsorised=each.winsorised,
        reached=_reached(each),
        lower=each.key in tests.is_worse,
        gained=_gained(each),
    )
    verdict, causes = _rule(each, facts, each.key in tests.is_better)
    facts = replace(facts, verdict=verdict, blocks=verdict in {"regressed", "inconclusive"})
    return replace(facts, reason=messages.verdict(facts, causes))


def _ungated(each: PairedScores, reference: Record) -> UnitVerdict:
    """The verdict of a unit without a margin: in a guard that nobody declared, anything could be lost unseen."""
    reason = messages.declared_ungated(each.policy.reason) if each.policy.ungated else messages.ungated(each.unit.key)
    return replace(_facts(each, reference), verdict="ungated", reason=reason, blocks=not each.policy.ungated)


def _gained(each: PairedScores) -> bool:
    """Whether a guard rose beyond chance, looked at alone; a target's gain is tested in its family."""
    return (
        each.policy.role == "guard"
        and stats.held(each.d, 0.0, each.level)
        and stats.p_better(each.d, seed=SEED).p <= each.level
    )


def _facts(each: PairedScores, reference: Record) -> UnitVerdict:
    unit, known = each.unit, reference.units.get(each.unit.key)
    both = [case for case in unit.cases if case.id in each.old and case.id in each.new]
    regressed_cases = [case.id for case in both if each.old[case.id].passed and each.new[case.id].passed is False]
    fixed_cases = [case.id for case in both if each.old[case.id].passed is False and each.new[case.id].passed]
    noise = reference.noise.get(unit.key)
    by_themselves = noise.flips if noise else ()
    marked = [case for case in both if case.critical]
    critical = [case for case in marked if case.id not in by_themselves]  # what a coin decides shows nothing
    return UnitVerdict(
        unit.key, each.reference, "inconclusive", "", each.policy.role, unit.kind, len(each.new),
        # where the two sides cannot be paired, the reference's own mean is still worth showing
        base=_mean(each.before) if each.before or not known else known.mean,
        mean=_mean(each.after),
        observations=len(each.after),
        margin=each.policy.margin,
        declared=each.policy.reason,
        regressed_cases=tuple(regressed_cases), fixed_cases=tuple(fixed_cases),
        critical=tuple(case.id for case in critical if _regressed(case, each.old[case.id], each.new[case.id])),
        already_failing=tuple(case.id for case in critical if not each.old[case.id].passed),
        by_themselves=by_themselves,
        disarmed=tuple(case.id for case in marked if case.id in by_themselves),
        unstable=tuple(case.id for case in critical if _wavers(case, each.old[case.id], each.new[case.id])),
        skipped=skipped_tags(unit),
        # reports print what stands here, and no sealed text
        before={} if unit.sealed else {case: each.old[case].output for case in regressed_cases},
        sealed=unit.sealed,
        base_rates=known.rates if known else {},
    )  # fmt: skip


def _mean(scores: Sequence[float]) -> float | None:
    return math.fsum(scores) / len(scores) if scores else None


def _regressed(case: Case, old: Result, new: Result) -> bool:
    """Whether a critical case regressed: in any of its answers or, if it is declared unstable, in two running."""
    # Critical cases stand outside every level: five of them block one in ten equal models at a flip rate of 4 %.
    # So a case that the reference missed even once is not armed.
    failed = [each.passed is False for each in new.repeats or (new,)]
    if case.unstable and len(failed) > 1:
        return bool(old.passed) and any(first and second for first, second in pairwise(failed))
    return bool(old.passed) and any(failed)


def _wavers(case: Case, old: Result, new: Result) -> bool:
    """Whether a case that is declared unstable missed an answer, which does not yet count."""
    return case.unstable and bool(old.passed) and new.passed is False and not _regressed(case, old, new)


def _rule(each: PairedScores, facts: UnitVerdict, better: bool) -> tuple[Verdict, list[str]]:
    """The verdict of sound differences, and what made it regressed or inconclusive, in words."""
    # Held needs no correction across units: a release takes all of them, so more units make a false one rarer.
    held = stats.held(each.d, each.margin, each.level)
    below, may_be_below = _below_minimum(each)
    # Held outweighs worse, for the margin is the declared tolerance; not where task.yaml says `lower: block`, nor in a
    # sealed unit, which is the evidence of a release.
    intolerant = each.policy.lower == "block" or facts.sealed
    regressed = [
        *([messages.critical_regressed(facts)] if facts.critical else []),
        *([messages.worse(facts)] if facts.lower and not held else []),
        *([messages.lower(facts)] if facts.lower and held and intolerant else []),
        *([messages.fell(facts)] if facts.worse_slices else []),
        *(messages.part_fell(each) for each in facts.parts if each.fell),
        *([messages.below_minimum(facts, each.policy.minimum_score)] if below else []),
    ]
    if regressed:
        return "regressed", regressed
    if not held or may_be_below:
        return "inconclusive", [
            *([messages.not_excluded(facts, cases_needed(each), answers_needed(each))] if not held else []),
            *([messages.maybe_below_minimum(facts, each.policy.minimum_score)] if may_be_below else []),
        ]
    if each.policy.role == "guard" and each.unit.kind == "pass/fail" and not any(each.before):
        return "cannot fall", []
    return ("improved" if better else "held"), []


def _below_minimum(each: PairedScores) -> tuple[bool, bool]:
    """Whether the score is below the minimum score for certain, and whether its estimate is."""
    minimum_score = each.policy.minimum_score
    if minimum_score is None:
        return False, False
    total, n = math.fsum(each.after), len(each.after)
    # An estimate below the minimum may be chance, which is inconclusive; regressed takes the upper bound below it.
    return stats.wilson(total, n, BOUND_LEVEL).upper < minimum_score, total / n < minimum_score


def _reached(each: PairedScores) -> bool:
    target_score = each.policy.target_score
    if target_score is None:
        return False
    before, after = (stats.wilson(math.fsum(side), len(side), each.level).lower for side in (each.before, each.after))
    # the reference must not have been there: what was reached already is no gain of this candidate
    return after >= target_score > before


def _decide(task: Task, candidate: Record, by_unit: Mapping[str, UnitVerdict], trained: bool) -> dict[str, Any] | None:
    """The task's decision, or None where one of its units has no verdict.

    What an adapter was trained for must be shown: without a target (so also without a task.yaml) that is impossible,
    and the decision blocks. A task without targets, or whose targets guard, only has to hold. A target that no sealed
    unit proves is proven for the first adapter alone: whoever has seen its cases fail chooses the next one by them,
    and of seven such looks without a gain 59 % end "improved".
    """
    expected = [unit.key for unit in task.units if candidate.sealed or not unit.sealed]
    verdicts = [each for key, each in by_unit.items() if key.partition("/")[0] == task.name]
    # a unit that was not judged might turn any decision
    if not verdicts or any(key not in by_unit for key in expected):
        return None
    targets = [each for each in verdicts if each.role == "target" and not each.proven_by]
    outlook = messages.Outlook(
        task=task.name,
        aimed=trained or bool(targets),
        declared=task.policy.declared,
        verdicts=verdicts,
        blocking=[each for each in verdicts if each.blocks],
        short=[each for each in targets if not each.blocks and each.verdict != "improved" and not each.reached],
        no_target=trained and not targets,
        reused=[]
        if not trained
        else [each.unit for each in targets if not each.sealed and candidate.openings.get(each.unit, 1) > 1],
        unseen=[unit.key for unit in task.units if unit.key not in by_unit],
        supplied=candidate.is_supplied,
    )
    blocked = bool(outlook.blocking or outlook.short or outlook.no_target)
    return {
        "decision": "block" if blocked else "unproven" if outlook.reused else "release",
        "reason": messages.decision(outlook),
        "blocking": [each.unit for each in outlook.blocking],
        "short": [each.unit for each in outlook.short],
        "no_target": outlook.no_target,
        "reused": outlook.reused,
    }


def blocked(record: Record, inconclusive: Literal["block", "warn"] = "block") -> bool:
    """Whether the gate's exit code is 1; under `warn` inconclusive units alone do not make it so."""
    # the record's decision stays `block` under `warn`: only the exit code changes
    soft = excused(record, inconclusive)
    units = any(each["blocks"] and unit not in soft for unit, each in record.verdicts.items())
    return units or any(task_blocked(task, soft) for task in record.tasks.values())


def excused(record: Record, inconclusive: Literal["block", "warn"]) -> set[str]:
    """The units that block by being inconclusive alone, where that is to be a warning."""
    if inconclusive == "block":
        return set()
    return {
        unit for unit, each in record.verdicts.items()
        if each["verdict"] == "inconclusive" and each["difference"] is not None  # None: it could not be compared
    }  # fmt: skip


def unit_blocked(unit: str, verdict: Mapping[str, Any], soft: Collection[str] = ()) -> bool:
    """Whether a unit's verdict blocks, and is not excused."""
    return bool(verdict["blocks"]) and unit not in soft


def task_blocked(task: Mapping[str, Any], soft: Collection[str] = ()) -> bool:
    """Whether a task's decision blocks for more than the excused units."""
    return bool(task["short"] or task["no_target"] or set(task["blocking"]) - set(soft))
