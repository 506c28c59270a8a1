"""The decision rule: paired results and a policy to verdicts of units and decisions of tasks."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from harness import stats, words
from harness.cases import Task, Unit
from harness.policy import Policy, UnitPolicy
from harness.record import Record, Result, Summary
from harness.verdict import Judged, Verdict

LEVEL = 0.04  # one-sided, of held and worse
SLICE_LEVEL = 0.02
BETTER_LEVEL = 0.05
SLICE_SHARE = 0.8  # a tag that covers more of its unit is no slice
SEED = 20_260_101  # of the sign flips: a question, so that a re-run repeats the verdict


@dataclass(frozen=True)
class _Pair:
    """One unit of the candidate beside one reference, on the statistic's scale."""

    unit: Unit
    policy: UnitPolicy
    share: int
    old: Mapping[str, Result]
    new: Mapping[str, Result]
    before: Summary
    after: Summary
    d: tuple[float, ...]
    margin: float
    problem: str = ""

    @property
    def level(self) -> float:
        return LEVEL / self.share


def compare(
    tasks: Sequence[Task], candidate: Record, references: Mapping[str, Record], trained: Sequence[str]
) -> Record:
    """Judge a candidate record against each reference and decide every task.

    Args:
        tasks: the tasks whose units are gated, with their policies.
        candidate: the record to judge; units it does not hold whole have no verdict.
        references: records by name, the base first; a unit gets the worst of its verdicts.
        trained: the tasks the adapter was trained for; elsewhere targets guard.

    Returns:
        The candidate with `verdicts` and `tasks`.
    """
    judged: dict[str, Judged] = {}
    for name, reference in references.items():
        for verdict in _against(tasks, candidate, name, reference, trained):
            known = judged.get(verdict.unit)
            judged[verdict.unit] = _worst(known, verdict) if known else verdict
    decisions = {task.name: _decide(task, candidate, judged, trained) for task in tasks}
    return replace(
        candidate,
        verdicts={unit: verdict.as_dict() for unit, verdict in judged.items()},
        tasks={task: decision for task, decision in decisions.items() if decision},
    )


def _worst(first: Judged, second: Judged) -> Judged:
    """The verdict that counts of two references: the blocking one; else the base's, which was there first."""
    return second if second.blocks and not first.blocks else first


def _against(
    tasks: Sequence[Task], candidate: Record, name: str, reference: Record, trained: Sequence[str]
) -> list[Judged]:
    pairs = [
        _pair(unit, task.policy, candidate, reference, task.name in trained)
        for task in tasks
        for unit in task.units
        if unit.key in candidate.units and unit.key in reference.units
    ]
    sound = [pair for pair in pairs if not pair.problem and pair.d]
    worse = _family([stats.p_worse(pair.d, seed=SEED) for pair in sound], [pair.level for pair in sound])
    targets = [pair for pair in sound if pair.policy.role == "target"]
    better = _family(
        [stats.p_better(pair.d, seed=SEED) for pair in targets], [BETTER_LEVEL / pair.share for pair in targets]
    )
    worse_of = {pair.unit.key: flag for pair, flag in zip(sound, worse, strict=True)}
    better_of = {pair.unit.key: flag for pair, flag in zip(targets, better, strict=True)}
    slices = _worse_slices(sound)
    return [
        _judge(pair, name, worse_of.get(pair.unit.key, False), better_of.get(pair.unit.key, False),
               slices.get(pair.unit.key, ()))
        for pair in pairs
    ]  # fmt: skip


def _pair(unit: Unit, policy: Policy, candidate: Record, reference: Record, trained: bool) -> _Pair:
    declared = policy.of(unit.name, unit.kind)
    if not trained and declared.role == "target":
        declared = replace(declared, role="guard")
    old, new = reference.of_unit(unit.key), candidate.of_unit(unit.key)
    before, after = reference.units[unit.key], candidate.units[unit.key]
    problem = _mismatch(unit, old, new)
    d: tuple[float, ...] = ()
    margin = declared.margin or 0.0
    if not problem and declared.margin is not None:
        d, margin = _differences(unit, old, new, declared.margin)
    return _Pair(unit, declared, policy.share, old, new, before, after, d, margin, problem)


def _mismatch(unit: Unit, old: Mapping[str, Result], new: Mapping[str, Result]) -> str:
    ids = {case.id for case in unit.cases}
    for side, results in (("reference", old), ("candidate", new)):
        if set(results) != ids:
            odd = sorted(set(results) ^ ids)
            return f"the {side} differs from the fixtures in {len(odd)} cases ({', '.join(odd[:3])})"
        unscored = sorted(case for case, result in results.items() if result.score is None)
        if unscored:
            return f"{len(unscored)} unscored in the {side} ({', '.join(unscored[:3])})"
    return ""


def _differences(
    unit: Unit, old: Mapping[str, Result], new: Mapping[str, Result], margin: float
) -> tuple[tuple[float, ...], float]:
    """One difference an observation: a case, or the mean of a group; on [-1, 1], with the margin on the same scale."""
    groups: dict[str, list[str]] = {}
    for case in unit.cases:
        groups.setdefault(f"group {case.group}" if case.group else f"case {case.id}", []).append(case.id)
    before = [_mean(old, ids) for ids in groups.values()]
    after = [_mean(new, ids) for ids in groups.values()]
    if unit.kind == "continuous":
        clamped = stats.clamp_differences(before, after, margin)
        return clamped.d, clamped.margin
    return tuple(b - a for a, b in zip(before, after, strict=True)), margin


def _mean(results: Mapping[str, Result], ids: Sequence[str]) -> float:
    return math.fsum(results[case].score or 0.0 for case in ids) / len(ids)


def _family(values: Sequence[stats.PValue], levels: Sequence[float]) -> tuple[bool, ...]:
    if not values:
        return ()
    level = min(levels)  # tasks may declare different shares; the strictest serves the family
    return stats.tarone_holm([value.p for value in values], [value.smallest for value in values], level)


def _slices(pair: _Pair) -> dict[str, list[float]]:
    total = len(pair.unit.cases)
    found: dict[str, list[float]] = {}
    for case in pair.unit.cases:
        d = (pair.new[case.id].score or 0.0) - (pair.old[case.id].score or 0.0)
        for tag, value in case.tags.items():
            found.setdefault(f"{tag}={value}", []).append(d)
    return {tag: d for tag, d in found.items() if len(d) <= SLICE_SHARE * total}


def _worse_slices(pairs: Sequence[_Pair]) -> dict[str, tuple[str, ...]]:
    """The slices that block: significant in the family of all units' slices, and not themselves held."""
    rows = [(pair, tag, d) for pair in pairs if pair.unit.kind == "pass/fail" for tag, d in _slices(pair).items()]
    if not rows:
        return {}
    level = min(SLICE_LEVEL / pair.share for pair, _, _ in rows)
    values = [stats.p_worse(d, seed=SEED, mid=False) for _, _, d in rows]
    flags = stats.tarone_holm([value.p for value in values], [value.smallest for value in values], level)
    worse: dict[str, tuple[str, ...]] = {}
    for (pair, tag, d), flag in zip(rows, flags, strict=True):
        if flag and not stats.held(d, pair.margin, pair.level):
            worse[pair.unit.key] = (*worse.get(pair.unit.key, ()), tag)
    return worse


def _judge(pair: _Pair, reference: str, worse: bool, better: bool, slices: tuple[str, ...]) -> Judged:
    unit, policy = pair.unit, pair.policy
    broke, fixed = _moves(pair)
    facts = Judged(
        unit.key, reference, "inconclusive", "", policy.role, len(pair.new), pair.before.mean, pair.after.mean,
        margin=policy.margin, broke=broke, fixed=fixed,
        critical=tuple(case.id for case in unit.cases if case.critical and case.id in broke),
        unarmed=tuple(case.id for case in unit.cases if case.critical and not _passed(pair.old.get(case.id))),
        worse_slices=slices,
    )  # fmt: skip
    if pair.problem:
        return replace(facts, reason=words.cannot_compare(pair.problem), blocks=True)
    if policy.margin is None:
        return replace(facts, verdict="ungated", reason=words.ungated(unit.key))
    bounds = stats.interval(pair.d, 0.05)
    scale = pair.margin / policy.margin  # back from the clamped scale to the score's own unit
    facts = replace(
        facts,
        difference=math.fsum(pair.d) / len(pair.d) / scale,
        interval=(bounds.lower / scale, bounds.upper / scale),
        reached=_reached(pair),
    )
    verdict, lower = _verdict(pair, facts, worse, better)
    facts = replace(facts, verdict=verdict, lower=lower, blocks=_blocks(pair, verdict, lower, slices))
    return replace(
        facts, reason=words.verdict(facts, _needed(pair) if verdict == "inconclusive" else None, policy.floor)
    )


def _verdict(pair: _Pair, facts: Judged, worse: bool, better: bool) -> tuple[Verdict, bool]:
    held = stats.held(pair.d, pair.margin, pair.level)
    if (worse and not held) or facts.critical or _below_floor(pair, certain=True):
        return "regressed", worse
    if not held or _below_floor(pair, certain=False):
        return "inconclusive", worse
    if better and stats.score_statistic(pair.d, 0.0) > stats.critical(BETTER_LEVEL / pair.share):
        return "improved", False
    return "held", worse


def _blocks(pair: _Pair, verdict: Verdict, lower: bool, slices: tuple[str, ...]) -> bool:
    too_low = lower and pair.policy.lower == "block"
    open_question = verdict == "inconclusive" and not pair.unit.sealed  # a sealed unit need not be held
    return verdict == "regressed" or open_question or bool(slices) or too_low


def _moves(pair: _Pair) -> tuple[tuple[str, ...], tuple[str, ...]]:
    both = [case.id for case in pair.unit.cases if case.id in pair.old and case.id in pair.new]
    broke = tuple(case for case in both if _passed(pair.old[case]) and not _passed(pair.new[case]))
    fixed = tuple(case for case in both if not _passed(pair.old[case]) and _passed(pair.new[case]))
    return broke, fixed


def _passed(result: Result | None) -> bool:
    return bool(result and result.passed)


def _below_floor(pair: _Pair, certain: bool) -> bool:
    floor, mean, n = pair.policy.floor, pair.after.mean, pair.after.n
    if floor is None or mean is None:
        return False
    return stats.wilson(mean * n, n, 0.05 / pair.share).upper < floor if certain else mean < floor


def _reached(pair: _Pair) -> bool:
    reach = pair.policy.reach
    if reach is None or pair.before.mean is None or pair.after.mean is None:
        return False
    level = 0.05 / pair.share
    before = stats.wilson(pair.before.mean * pair.before.n, pair.before.n, level).lower
    after = stats.wilson(pair.after.mean * pair.after.n, pair.after.n, level).lower
    return after >= reach > before


def _needed(pair: _Pair) -> int | None:
    """Cases that would settle it at the churn seen; None where more cases would not."""
    churn = stats.churn_seen(pair.d)
    if churn >= 1:
        return None
    needed = stats.cases_to_settle(churn, pair.margin, pair.level)
    return needed if needed > len(pair.d) else None


def _decide(
    task: Task, candidate: Record, judged: Mapping[str, Judged], trained: Sequence[str]
) -> dict[str, Any] | None:
    """The task's decision, or None where one of its open units was not judged whole."""
    open_units = [unit for unit in task.units if not unit.sealed or candidate.sealed]
    if any(unit.key not in judged for unit in open_units):
        return None
    verdicts = [judged[unit.key] for unit in open_units]
    targets = [each for each in verdicts if each.role == "target"]
    blocking = [each for each in verdicts if each.blocks]
    short = [each for each in targets if not each.blocks and each.verdict != "improved" and not each.reached]
    decision = "block" if blocking or short else "release"
    return {
        "decision": decision,
        "reason": words.decision(task.name, blocking, short, targets, task.name in trained),
        "blocking": [each.unit for each in blocking],
        "short": [each.unit for each in short],
    }


def blocked(record: Record, inconclusive: Literal["block", "warn"] = "block") -> bool:
    """Whether the gate's exit code is 1; under `warn` inconclusive units alone do not make it so."""
    soft = excused(record, inconclusive)
    units = any(each["blocks"] and unit not in soft for unit, each in record.verdicts.items())
    return units or any(task_blocked(task, soft) for task in record.tasks.values())


def excused(record: Record, inconclusive: Literal["block", "warn"]) -> set[str]:
    """The units that are only inconclusive, where that is to be a warning."""
    if inconclusive == "block":
        return set()
    return {
        unit for unit, each in record.verdicts.items()
        if each["verdict"] == "inconclusive" and not each["worse_slices"] and each["difference"] is not None
    }  # fmt: skip


def task_blocked(task: Mapping[str, Any], soft: Collection[str] = ()) -> bool:
    """Whether a task's decision blocks for more than the excused units."""
    return task["decision"] == "block" and bool(task["short"] or set(task["blocking"]) - set(soft))
