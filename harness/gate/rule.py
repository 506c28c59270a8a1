"""The decision rule: from paired results and a policy to verdicts on units and decisions on tasks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import fmean
from types import MappingProxyType
from typing import Literal

from tunegate.harness.cases.model import Case, Task, Unit
from tunegate.harness.cases.policy import Policy
from tunegate.harness.core.garbage import no_collection
from tunegate.harness.gate import decision_messages, messages
from tunegate.harness.gate.alike import alike_outputs
from tunegate.harness.gate.families import SEED, Tests, clean_gain, run_tests
from tunegate.harness.gate.labelled import labelled_verdict
from tunegate.harness.gate.near import near_scores
from tunegate.harness.gate.one_verdict import beside_service, combined, held_late, proven_by_another
from tunegate.harness.gate.pairing import PairedScores, PairKey, cases_needed, outputs_needed, pair, skipped_tags
from tunegate.harness.gate.parts import fallen_values
from tunegate.harness.gate.rewarded import no_evidence
from tunegate.harness.gate.together import GroupLoss, drop_found, group_losses
from tunegate.harness.gate.topic_spread import target_bound, with_topics
from tunegate.harness.models.evaluation.record import Record, Result
from tunegate.harness.models.evaluation.remarks import Remark
from tunegate.harness.models.evaluation.run_facts import RunAgain
from tunegate.harness.models.evaluation.verdict import TaskDecision, UnitVerdict, Verdict
from tunegate.harness.statistics import paired as stats


@no_collection()
def compare(
    tasks: Sequence[Task],
    candidate: Record,
    references: Mapping[str, Record],
    trained: Sequence[str],
    targets_stay: bool = False,
    problems: Mapping[str, str] = MappingProxyType({}),
) -> Record:
    """Return the candidate with `verdicts`, and `tasks`: the decisions on tasks whose units all have a verdict.

    Args:
        tasks: all tasks of the fixtures, with their policies.
        candidate: the record to decide on. Units missing from it block, unless it is partial.
        references: records by name, the base first. A unit missing from the base blocks; one missing from a later
            reference is newer than that reference and is skipped there. A unit gets the worst of its verdicts. An
            adapter must be held of the base; of the later ones, which are in service, it must not be worse.
        trained: the tasks the adapter was trained for, which must have a target. In other tasks targets are guards.
        targets_stay: targets are targets in every task, as if the candidate is not an adapter on the reference.
        problems: by unit, why it cannot be compared, if that was found out before; it blocks.
    """
    base = next(iter(references), None)
    aimed = [task.name for task in tasks if targets_stay or task.name in trained]
    elsewhere = dict.fromkeys(references) | ({base: _of_others(references)} if base else {})
    pairs = {
        name: _pairs(tasks, candidate, name, reference, aimed, elsewhere[name], problems)
        for name, reference in references.items()
    }
    every = [each for of_one in pairs.values() for each in of_one]
    tests, groups = run_tests(every), group_losses(tasks, every, candidate)
    found: dict[str, list[UnitVerdict]] = {}
    for name, reference in references.items():
        for verdict in _verdicts(tasks, candidate, name, reference, pairs[name], tests, groups):
            found.setdefault(verdict.unit, []).append(verdict)
    if candidate.fingerprint["subject"].get("adapter"):
        found = {unit: [verdicts[0], *map(beside_service, verdicts[1:])] for unit, verdicts in found.items()}
    by_unit = {unit: combined(verdicts) for unit, verdicts in found.items()}
    by_unit |= {each.unit: each for task in tasks for each in proven_by_another(task, by_unit)}
    by_unit |= {each.unit: each for each in held_late(by_unit, candidate.sealed_evaluations)}
    if not trained:  # a unit without a margin blocks a release, and only an adapter can be released
        by_unit = {
            key: replace(each, blocks=each.blocks and each.verdict != "ungated") for key, each in by_unit.items()
        }
    unguarded = _unguarded(tasks, aimed, by_unit)
    decisions = {
        task.name: _decide(task, candidate, by_unit, task.name in trained, unguarded)
        for task in _with_vanished(tasks, by_unit)
    }
    return replace(
        candidate,
        verdicts=by_unit,
        tasks={task: decision for task, decision in decisions.items() if decision},
    )


def _unguarded(tasks: Sequence[Task], aimed: Collection[str], by_unit: Mapping[str, UnitVerdict]) -> list[str]:
    """Return the evaluated targets if no unit of the fixtures, evaluated or not, is a guard with a margin."""
    policies = [(task, task.policy.of(unit.name, unit.kind)) for task in tasks for unit in task.units]
    if any(each.margin is not None and (each.role == "guard" or task.name not in aimed) for task, each in policies):
        return []
    return [key for key, each in by_unit.items() if each.role == "target" and not each.proven_by]


def _with_vanished(tasks: Sequence[Task], by_unit: Collection[str]) -> list[Task]:
    """Return the tasks, and an empty one for each that only a reference still contains."""
    known = {task.name for task in tasks}
    names = dict.fromkeys(unit.partition("/")[0] for unit in by_unit)
    return [*tasks, *(Task(name, (), Policy()) for name in names if name not in known)]


def _of_others(references: Mapping[str, Record]) -> set[str]:
    """Return the units whose base is another reference than the first: one named after the first, and its tasks."""
    base = next(iter(references))
    return {unit for name, each in references.items() if name.startswith(f"{base} of ") for unit in each.units}


def _pairs(
    tasks: Sequence[Task], candidate: Record, name: str, reference: Record, aimed: Sequence[str],
    elsewhere: set[str] | None, problems: Mapping[str, str],
) -> list[PairedScores]:  # fmt: skip
    """Pair the units of the candidate with those of one reference; `elsewhere` is given for the base only."""
    return [
        with_topics(pair(unit, task.policy, candidate, name, reference, task.name in aimed, problems.get(unit.key, "")))
        for task in tasks
        for unit in task.units
        if _in_play(unit, candidate)
        and (unit.key in reference.units or (elsewhere is not None and unit.key not in elsewhere))
    ]


def _verdicts(
    tasks: Sequence[Task], candidate: Record, name: str, reference: Record, pairs: Sequence[PairedScores],
    tests: Tests, groups: Mapping[PairKey, GroupLoss],
) -> Iterator[UnitVerdict]:  # fmt: skip
    supplied = tuple(messages.supplied(name, candidate.is_supplied, reference.is_supplied))
    again = candidate.engines.get(name, RunAgain({}, {}))
    is_drift = again.engine == candidate.fingerprint["engine"]  # of a model that runs again on any engine
    for each in pairs:
        if each.policy.margin is None and not each.problem:
            verdict = _ungated(each, reference)
        elif each.disagreement:
            number = candidate.sealed_evaluations.get(each.unit.key, 1)
            verdict = labelled_verdict(each, each.disagreement, _facts(each, reference), tests, number)
        else:
            verdict = _unit_verdict(each, reference, tests, groups.get(each.key))
        moved = messages.engine_only(name, again.units.get(each.unit.key), is_drift)
        yield replace(verdict, remarks=(*verdict.remarks, *supplied, *moved))
    yield from _vanished(tasks, candidate, name, reference)


def _in_play(unit: Unit, candidate: Record) -> bool:
    # a unit missing from a complete record blocks; one deselected from a partial record has no verdict
    asked = not candidate.partial and (candidate.sealed or not unit.sealed)
    return asked or unit.key in candidate.units


def _vanished(tasks: Sequence[Task], candidate: Record, name: str, reference: Record) -> Iterator[UnitVerdict]:
    """Yield blocking verdicts on units of a record that the fixtures no longer contain (deleted or renamed)."""
    known = {unit.key for task in tasks for unit in task.units}
    for key, summary in {**candidate.units, **reference.units}.items():
        if key not in known:
            why = (messages.cannot_compare("the fixtures no longer contain this unit"),)
            yield UnitVerdict(
                key, name, "inconclusive", why, "guard", summary.kind, summary.n, summary.mean, None, blocks=True
            )


def _unit_verdict(each: PairedScores, reference: Record, tests: Tests, group: GroupLoss | None) -> UnitVerdict:
    facts = _facts(each, reference)
    if each.problem:
        cannot = messages.not_compared if each.unit.check_kind.supplied else messages.cannot_compare
        return replace(facts, remarks=(cannot(each.problem),), blocks=True)
    # at the level of the verdict, so that the two agree
    bounds = stats.interval(each.d, 2 * each.level, each.margin, each.effective)
    least, target = target_bound(each), each.policy.target_score
    never_right, falls = fallen_values(each, tests.lost.get(each.key, ()))
    facts = replace(
        facts,
        difference=each.difference,
        interval=(bounds.lower * each.span, bounds.upper * each.span),
        level=each.level,
        topics=each.topics if each.effective else "",
        effective=each.effective.cases if each.effective else None,
        p_worse=tests.worse[each.key].p,
        tests=tests.count,
        worse_slices=tests.fallen.get(each.key, ()),
        parts=tests.parts[each.key],
        never_right=never_right,
        falls=falls,
        alike=alike_outputs(each),
        loss_place=tests.places.get(each.key),
        score_bound=least,
        reached=least is not None and target is not None and least >= target,
        lower=each.key in tests.is_worse,
        gained=_gained(each),
        together=tuple(unit for unit in group.units if unit != each.unit.key) if group else (),
    )
    if each.unit.kind == "continuous":
        facts = replace(
            facts, span=each.span, bounded=each.bounded, collapsed=each.lost,
            winsorised=0 if each.bounded else each.lost + each.gained,
            collapse_bound=None if each.bounded else each.collapse_bound,
        )  # fmt: skip
    verdict, causes = _rule(each, facts, tests, group)
    facts = replace(facts, verdict=verdict, blocks=verdict in {"regressed", "inconclusive"})
    found = drop_found(each, tests.count) if group and verdict == "held" else None
    return replace(facts, remarks=messages.remarks(facts, causes, group, found))


def _ungated(each: PairedScores, reference: Record) -> UnitVerdict:
    """Return the verdict of a unit without a margin, which blocks unless task.yaml declares it ungated."""
    facts = replace(_facts(each, reference), verdict="ungated")
    if each.unit.check_kind.supplied:
        return replace(facts, remarks=(messages.supplied_ungated(each.unit.name),))
    why = messages.declared_ungated(each.policy.reason) if each.policy.ungated else messages.ungated(each.unit.key)
    return replace(facts, remarks=(why,), blocks=not each.policy.ungated)


def _gained(each: PairedScores) -> bool:
    """Whether a guard is significantly better on its own; a target's gain is tested in its family."""
    if each.policy.role != "guard" or each.difference <= 0:
        return False
    found = stats.p_better(each.d, seed=SEED, effective=each.effective)
    clean = clean_gain(each) or found
    return stats.held(each.d, 0.0, each.level, each.effective) and max(found.p, clean.p) <= each.level


def _facts(each: PairedScores, reference: Record) -> UnitVerdict:
    unit, known, old, new = each.unit, reference.units.get(each.unit.key), each.old, each.new
    both = [case for case in unit.cases if case.id in old and case.id in new]
    regressed_cases = [case.id for case in both if old[case.id].passed and new[case.id].passed is False]
    fixed_cases = [case.id for case in both if old[case.id].passed is False and new[case.id].passed]
    noise = reference.noise.get(unit.key)
    by_themselves = tuple(case for case in noise.flips if case in old) if noise else ()
    marked = [case for case in both if case.critical]
    critical = [case for case in marked if case.id not in by_themselves]  # a random flip shows nothing
    return UnitVerdict(
        unit.key, each.reference, "inconclusive", (), each.policy.role, unit.kind, len(each.new),
        # if the two sides cannot be paired, the reference's own mean is still shown
        base=fmean(each.before) if each.before else known.mean if known else None,
        mean=fmean(each.after) if each.after else None,
        observations=len(each.after),
        cases=each.every if each.scored else 0,
        margin=each.policy.margin,
        target_score=each.policy.target_score,
        declared=each.policy.reason,
        regressed_cases=tuple(regressed_cases), fixed_cases=tuple(fixed_cases),
        critical=tuple(case.id for case in critical if _regressed(case, old[case.id], new[case.id])),
        already_failing=tuple(case.id for case in critical if not old[case.id].passed),
        by_themselves=by_themselves,
        disarmed=tuple(case.id for case in marked if case.id in by_themselves),
        unstable=tuple(case.id for case in critical if _wavers(case, old[case.id], new[case.id])),
        skipped=skipped_tags(unit),
        # reports print this, so it contains no sealed text
        before={} if unit.sealed else {case: old[case].output for case in regressed_cases},
        sealed=unit.sealed,
        base_rates=known.rates if known else {},
        near=near_scores(each),
    )  # fmt: skip


def _regressed(case: Case, old: Result, new: Result) -> bool:
    """Whether a critical case regressed: in any of its outputs or, if declared unstable, in two consecutive ones."""
    # Critical cases are not covered by any level: five of them block one in ten equal models at a flip rate of 4 %.
    # So a case that the reference failed even once does not count.
    failed = [each.passed is False for each in new.repeats or (new,)]
    if case.unstable and len(failed) > 1:
        return bool(old.passed) and any(first and second for first, second in pairwise(failed))
    return bool(old.passed) and any(failed)


def _wavers(case: Case, old: Result, new: Result) -> bool:
    """Whether a case declared unstable failed an output without counting as regressed."""
    return case.unstable and bool(old.passed) and new.passed is False and not _regressed(case, old, new)


def _rule(
    each: PairedScores, facts: UnitVerdict, tests: Tests, group: GroupLoss | None
) -> tuple[Verdict, list[Remark]]:
    """Return the verdict on comparable differences, and the causes of regressed or inconclusive."""
    # Held needs no correction across units: a release requires all of them, so more units make a false one rarer.
    held = each.is_held
    if regressed := list(_regressed_by(each, facts, held, each.unit.key in tests.below)):
        return "regressed", regressed
    if unsettled := list(_unsettled_by(each, facts, held, group)):
        return "inconclusive", unsettled
    if each.policy.role == "guard" and each.unit.kind == "pass/fail" and not any(each.before):
        return "cannot fall", []
    # an observed mean that fell is no gain, even if the capped mean rose
    return ("improved" if each.key in tests.is_better and each.difference > 0 else "held"), []


def _regressed_by(each: PairedScores, facts: UnitVerdict, held: bool, below: bool) -> Iterator[Remark]:
    # Held outweighs worse, as the margin is the declared tolerance, except with `lower: block` and in sealed units,
    # which are the evidence of a release.
    intolerant = each.policy.lower == "block" or facts.sealed
    if facts.critical:
        yield messages.critical_regressed(facts)
    if facts.lower and (intolerant or not held):
        yield from messages.loss_at(facts)
    if facts.lower and not held:
        yield messages.worse(facts)
        if each.unit.kind == "continuous" and _mean_is_lost(each):
            yield messages.mean_lost(facts, bool(each.unit.of))
    if facts.lower and held and intolerant:
        yield messages.lower(facts)
    if facts.worse_slices:
        yield messages.fell(facts)
    yield from (messages.value_lost(each, facts.reference) for each in facts.never_right if each.lost)
    yield from (messages.part_fell(part) for part in facts.parts if part.fell)
    if below:
        yield messages.below_minimum(facts, each.policy.minimum_score)


def _unsettled_by(each: PairedScores, facts: UnitVerdict, held: bool, group: GroupLoss | None) -> Iterator[Remark]:
    if group and not group.held:
        yield messages.group_not_held(group)
    elif not held and not group:
        yield _not_held(each, facts)
    if each.unit.kind == "continuous":
        # The held mean is that of changes capped at C, not the mean of the whole loss.
        if _mean_is_lost(each):
            yield messages.mean_lost(facts, bool(each.unit.of))
        if not each.bounded and each.collapse_bound > each.policy.collapse:
            where = "the policy file" if each.unit.check_kind.supplied else "task.yaml"
            yield messages.collapse_not_excluded(facts, each.policy.collapse, where)
    minimum = each.policy.minimum_score
    mean = fmean(each.scored or each.after)
    if minimum is not None and mean < minimum - stats.TIE:
        # an estimate below the minimum may be chance: regressed takes a significant result
        yield messages.maybe_below_minimum(mean, minimum, each.every if each.scored else 0)


def _not_held(each: PairedScores, facts: UnitVerdict) -> Remark:
    found = each.evidence_of_hold
    if found and stats.held(each.d, each.margin, each.level, each.effective):
        return messages.not_excluded_without_near(facts, cases_needed(each, found.d), len(found.d))
    return messages.not_excluded(facts, cases_needed(each, each.d), outputs_needed(each))


def _mean_is_lost(each: PairedScores) -> bool:
    return each.difference < -each.margin * each.span - stats.TIE


def _decide(
    task: Task, candidate: Record, by_unit: Mapping[str, UnitVerdict], trained: bool, unguarded: Sequence[str]
) -> TaskDecision | None:
    """Return the task's decision, or None if one of its units has no verdict.

    An adapter must show a gain on the task it was trained for; without a target (so also without a task.yaml) that is
    impossible, and the decision blocks. A task without targets, or whose targets are guards, only has to hold. A target
    without a sealed unit is proven only for the first adapter: later ones are chosen by its failed cases, and of seven
    such evaluations without a gain 59 % end "improved". Gains that the adapter's reward has seen are no evidence: at
    least one must be shown otherwise. A target score is required in addition to the gain, as an
    equal model may reach a score by chance.
    """
    expected = [unit.key for unit in task.units if candidate.sealed or not unit.sealed]
    verdicts = [each for key, each in by_unit.items() if key.partition("/")[0] == task.name]
    # a unit that was not evaluated could change the decision
    if not verdicts or any(key not in by_unit for key in expected):
        return None
    targets = [each for each in verdicts if each.role == "target" and not each.proven_by]
    won = [each.unit for each in targets if not each.blocks and _is_won(each)]
    seen = no_evidence(task, won, candidate) if trained else {}
    runs = candidate.sealed_evaluations if trained else {}
    outlook = decision_messages.Outlook(
        task=task.name,
        aimed=trained or bool(targets),
        declared=task.policy.declared,
        verdicts=verdicts,
        blocking=[each for each in verdicts if each.blocks],
        short=[each for each in targets if not each.blocks and not _is_won(each)],
        no_target=trained and not targets,
        reused=[each.unit for each in targets if not each.sealed and runs.get(each.unit, 1) > 1],
        seen_by_reward=seen,
        only_rewarded=bool(won) and len(seen) == len(won),
        unguarded=unguarded if trained or targets else (),
        unseen=[unit.key for unit in task.units if unit.key not in by_unit],
        adopted=candidate.adopted,
        unsealable=_unsealable(task, targets) if candidate.adopted else [],
        supplied="scores" if candidate.has_supplied_scores else "outputs" if candidate.is_supplied else "",
    )
    blocked = bool(outlook.blocking or outlook.short or outlook.no_target or outlook.only_rewarded)
    return TaskDecision(
        "block" if blocked else "unproven" if outlook.reused or outlook.unsealable else "release",
        decision_messages.decision(outlook),
        blocking=tuple(each.unit for each in outlook.blocking),
        short=tuple(each.unit for each in outlook.short),
        no_target=outlook.no_target,
        reused=tuple(outlook.reused),
        rewarded=tuple(seen) if outlook.only_rewarded else (),
    )


def _unsealable(task: Task, targets: Sequence[UnitVerdict]) -> list[str]:
    """Return the open targets without a sealed unit: an adapter trained elsewhere may have been trained on any other.

    What it was trained on is a claim, which may leave out the cases.
    """
    sealing = {task.policy.of(unit.name, unit.kind).seals for unit in task.units if unit.sealed}
    return [each.unit for each in targets if not each.sealed and each.unit.partition("/")[2] not in sealing]


def _is_won(target: UnitVerdict) -> bool:
    """Whether a target shows a gain and, if declared, its target score."""
    return target.verdict == "improved" and (target.target_score is None or target.reached)


def blocked(record: Record, inconclusive: Literal["block", "warn"] = "block") -> bool:
    """Whether the gate's exit code is 1; under `warn` inconclusive units do not cause it."""
    # the record's decision stays `block` under `warn`: only the exit code changes
    soft = exempted(record, inconclusive)
    units = any(unit_blocked(unit, each, soft) for unit, each in record.verdicts.items())
    return units or any(task_blocked(task, soft) for task in record.tasks.values())


def exempted(record: Record, inconclusive: Literal["block", "warn"]) -> set[str]:
    """Return the units that block only by being inconclusive, if that is to be a warning."""
    if inconclusive == "block":
        return set()
    return {
        unit for unit, each in record.verdicts.items()
        # without a difference it could not be compared, or its labels are missing
        if each.verdict == "inconclusive" and (each.difference is not None or each.labelled)
    }  # fmt: skip


def unit_blocked(unit: str, verdict: UnitVerdict, soft: Collection[str] = ()) -> bool:
    """Whether a unit's verdict blocks and is not exempted."""
    return verdict.blocks and unit not in soft


def task_blocked(task: TaskDecision, soft: Collection[str] = ()) -> bool:
    """Whether a task's decision blocks for more than the exempted units."""
    obstacles = task.short or task.no_target or task.rewarded
    return bool(obstacles or set(task.blocking) - set(soft))
