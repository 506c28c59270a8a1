"""The remarks on a task's decision: what blocks it or what held, and what to do before a release."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tunegate.harness.core.formatting import change, level, listed, ordinal, percent
from tunegate.harness.gate.messages import (
    PROVES_NOTHING,
    by_chance,
    has_nothing_to_gain,
    is_all_wrong,
    ungated_falls,
)
from tunegate.harness.models.adapters import ADOPTED
from tunegate.harness.models.evaluation.remarks import Remark, cause, note, warning
from tunegate.harness.models.evaluation.verdict import UnitVerdict, ValueFall, Verdict


@dataclass(frozen=True)
class Outlook:
    """The facts that a task's decision rests on.

    Attributes:
        aimed: a gain must be shown.
        declared: the task has a task.yaml.
        short: targets that show no gain.
        no_target: the adapter was trained for this task, which declares no target.
        reused: open targets without a sealed unit, whose cases other adapters were evaluated on before.
        seen_by_reward: the improved targets that are no evidence, since the adapter's reward saw them, with the reason.
        only_rewarded: these are all improved targets.
        unguarded: the targets, if no unit of any task is a guard.
        unseen: sealed units that were not evaluated.
        supplied: what of the candidate was made elsewhere: its outputs, its scores, or nothing.
        adopted: what is known of the training data of an adapter that was trained elsewhere, a key of `ADOPTED`.
        unsealable: its open targets that no sealed unit seals, if it was trained elsewhere.
    """

    task: str
    aimed: bool
    declared: bool
    verdicts: Sequence[UnitVerdict]
    blocking: Sequence[UnitVerdict]
    short: Sequence[UnitVerdict]
    no_target: bool
    reused: Sequence[str]
    unseen: Sequence[str]
    supplied: Literal["", "outputs", "scores"]
    adopted: str = ""
    unsealable: Sequence[str] = ()
    seen_by_reward: Mapping[str, str] = field(default_factory=dict)
    only_rewarded: bool = False
    unguarded: Sequence[str] = ()


#: What to say of what was made elsewhere.
_SUPPLIED = {
    "outputs": "The outputs come from a file: they can be compared, but not released.",
    "scores": "Supplied scores: not re-scored, never released.",
}


def decision(outlook: Outlook) -> tuple[Remark, ...]:
    """Return the remarks on a task's decision; one says "Release" only if a release is possible."""
    main = list(_decision(outlook))
    return (
        *main,
        *_unguarded(outlook.unguarded),
        *_not_evidence(outlook, main),
        *_falls(outlook.verdicts),
        *_made_elsewhere(outlook),
    )


def _unguarded(targets: Sequence[str]) -> Iterator[Remark]:
    if targets:
        tested = "the targets" if len(targets) > 1 else "the target"
        yield warning("no-guard", f"No guard: nothing but {tested} was tested.", targets)


def _not_evidence(outlook: Outlook, main: Sequence[Remark]) -> Iterator[Remark]:
    """Yield the gains that the reward saw, unless these are why it is blocked."""
    if outlook.seen_by_reward and not any(each.code == "rewarded-gain" for each in main):
        yield warning("gain-not-evidence", f"Not evidence: {_seen(outlook)}.", outlook.seen_by_reward)


def _falls(verdicts: Sequence[UnitVerdict]) -> Iterator[Remark]:
    """Yield what the scores of the units do not show."""
    yield from _alike(verdicts)
    passing = [each for each in verdicts if not each.blocks]  # what blocks says it itself
    fallen = [
        *((each.unit, f"'{part.label}' of {each.unit}") for each in passing for part in ungated_falls(each)),
        *((each.unit, _value_fall(each.unit, value)) for each in passing for value in each.falls),
    ]
    never = [
        (each.unit, f"'{value.field}' {value.value or '(one of its values)'} of {each.unit} (0 of {value.n})")
        for each in passing for value in each.never_right
    ]  # fmt: skip
    if fallen:
        yield warning("part-lower", f"Fell, but not gated: {listed([text for _, text in fallen])}.", dict(fallen))
    if never:
        yield warning("value-never-right", f"Never right: {listed([text for _, text in never])}.", dict(never))
    yield from _held_late(verdicts)


def _made_elsewhere(outlook: Outlook) -> Iterator[Remark]:
    if outlook.supplied:
        yield note("supplied", _SUPPLIED[outlook.supplied])
    if outlook.adopted:
        yield warning("training-data", ADOPTED[outlook.adopted])


def _alike(verdicts: Sequence[UnitVerdict]) -> Iterator[Remark]:
    """Yield the units whose outputs hardly depend on the input."""
    same = {each.unit: f"{each.alike.same} of {each.alike.n} of {each.unit}" for each in verdicts if each.alike.same}
    if same:
        yield warning("same-outputs", f"Outputs that are the same: {listed(list(same.values()))}.", same)
    if constant := [each.unit for each in verdicts if each.alike.constant]:
        yield warning("constant-output", f"No better than one output for all cases: {listed(constant)}.", constant)


def _value_fall(unit: str, fall: ValueFall) -> str:
    return f"'{fall.field}' {fall.value or '(one of its values)'} of {unit} ({fall.base} to {fall.mean} of {fall.n})"


def _held_late(verdicts: Sequence[UnitVerdict]) -> Iterator[Remark]:
    """Yield a remark on the open guards that were held at a late run of their cases."""
    late = {each.unit: each for each in verdicts if each.run > 1}
    if not late:
        return
    worst = max(late.values(), key=lambda each: each.run)
    runs = listed([f"{unit} at the {ordinal(each.run)}" for unit, each in late.items()])
    chance = by_chance(worst.run, worst.level)
    yield warning("late-run", f"Held at a late run of its cases: {runs}; {chance}.", late)


def only_warned(verdicts: Sequence[UnitVerdict]) -> Remark:
    """Return what there is to say of a task whose only obstacles are inconclusive units, which warn."""
    which = listed([f"{each.unit}{_moved(each)}" for each in verdicts])
    text = f"Not proven: {which} inconclusive, which only warns here (exit code 0) but allows no release."
    return warning("only-warned", text, [each.unit for each in verdicts])


def _decision(outlook: Outlook) -> Iterator[Remark]:
    """Yield what decides."""
    if outlook.blocking:
        troubles = [f"{each.unit} {trouble(each.verdict, each.difference)}{_moved(each)}" for each in outlook.blocking]
        yield cause("units-block", listed(troubles), [each.unit for each in outlook.blocking])
        if outlook.short:
            yield _no_gain(outlook.short)
        yield from _undeclared(outlook)
    elif outlook.short:
        gained = [each for each in outlook.verdicts if each.role == "target" and each.verdict == "improved"]
        others = [each for each in gained if each not in outlook.short]
        yield _no_gain(outlook.short, f"; {_named(others)} improved, and no unit regressed" if others else "", others)
    elif outlook.no_target:
        why = "but no target is declared in task.yaml, so no gain can be shown"
        yield cause("no-target", f"{_kept(outlook)}, {why}", _single(outlook))
        yield from _undeclared(outlook)
    elif not outlook.aimed and outlook.supplied == "scores":
        yield note("passed", f"Passed: {_kept(outlook)}.", _single(outlook))
    elif not outlook.aimed:
        yield note("no-target-needed", f"Nothing had to improve here: {_kept(outlook)}.", _single(outlook))
        yield from _undeclared(outlook)
    else:
        yield from _gain(outlook)


def _undeclared(outlook: Outlook) -> Iterator[Remark]:
    if not outlook.declared:
        yield warning("undeclared", f"{outlook.task} has no task.yaml, so nothing can be released for it.")


def _gain(outlook: Outlook) -> Iterator[Remark]:
    """Yield what the gain is worth that was shown."""
    targets = [each for each in outlook.verdicts if each.role == "target" and not each.proven_by]
    won, with_scores = _won(targets), [*(each.unit for each in targets), *_single(outlook)]
    shown = "; ".join(filter(None, [won, _kept(outlook)]))
    if outlook.only_rewarded:
        saw = f"{shown}; but the adapter's reward saw that gain: {_seen(outlook)}"
        yield cause("rewarded-gain", saw, outlook.seen_by_reward)
        other = "by another kind of check, or by cases with an `expect` that the reward did not see"
        yield note("advice", f"Show one {other}.")
    elif outlook.supplied:
        yield note("passed", f"Passed: {shown}.", with_scores)
    elif outlook.reused:
        before = f"another adapter was evaluated on {listed(outlook.reused)} before"
        yield cause("reused-cases", f"{shown}; but reused cases prove no gain: {before}", outlook.reused)
        yield note("advice", "Prove the gain on a sealed unit that `seals` it, or on new cases.")
    elif outlook.unsealable:
        seen = f"may have seen the cases of {listed(outlook.unsealable)}"
        yield cause(
            "trained-elsewhere", f"{shown}; but the adapter was trained elsewhere, and {seen}", outlook.unsealable
        )
        yield note("advice", "Prove the gain on a sealed unit that `seals` it.")
    else:
        yield note("release", f"Release: {_below_service(outlook)}{shown}.", with_scores)
        if outlook.unseen:
            sealed = f"evaluate {listed(outlook.unseen)} with --tg-sealed"
            yield warning("sealed-not-evaluated", f"Before a release, {sealed}.", outlook.unseen)


def _seen(outlook: Outlook) -> str:
    return "; ".join(f"{unit} ({why})" for unit, why in outlook.seen_by_reward.items())


def _below_service(outlook: Outlook) -> str:
    """Return the targets that score below the adapter in service: a gain on the base is not named before these."""
    targets = [each for each in outlook.verdicts if each.role == "target" and each.below_service]
    below = [f"{each.unit} ({change(-each.below_service, each.kind)})" for each in targets]
    shown = [each.unit for each in targets if each.is_below_shown]
    how = f"significantly for {listed(shown)}, but within the margin" if shown else "not beyond chance"
    return f"{listed(below)} below the adapter in service, {how}; on the base " if below else ""


def _won(targets: Sequence[UnitVerdict]) -> str:
    reached = [each.unit for each in targets if each.reached]
    more = f" and {listed(reached)} reached the target score" if reached else ""
    return f"{_named(targets)} improved{more}"


def _named(units: Sequence[UnitVerdict]) -> str:
    return listed([f"{each.unit}{_moved(each)}" for each in units])


def _moved(facts: UnitVerdict) -> str:
    """Return both scores of a pass/fail unit in brackets, if they can be compared; a cost is a negative score."""
    if facts.kind != "pass/fail" or facts.difference is None or facts.base is None:  # of labels no mean is known
        return ""
    return f" ({level(facts.base, facts.kind)} -> {level(facts.mean, facts.kind)})"


def _no_gain(short: Sequence[UnitVerdict], rest: str = "", others: Sequence[UnitVerdict] = ()) -> Remark:
    """Return which targets lack a gain, or the target score declared in task.yaml, and the rest."""
    there = [each for each in short if each.verdict != "improved" and has_nothing_to_gain(each)]
    still = [each for each in short if each.verdict != "improved" and each not in there]
    low = [each for each in short if each.verdict == "improved"]
    by_why: dict[str, list[UnitVerdict]] = {}
    for each in still:
        by_why.setdefault(_why_none(each), []).append(each)
    parts = [f"{why} on {_named(units)}" for why, units in by_why.items()]
    for each in there:
        score = "passes every case"
        if each.target_score is not None:
            score = f"already reaches the target score ({percent(each.target_score)})"
        parts.append(
            f"nothing to gain on {each.unit}{_moved(each)}, where the {each.reference} {score}: declare it a guard"
        )
    parts += [
        f"the target score of {percent(each.target_score)} is not reached on {each.unit}{_moved(each)}" for each in low
    ]
    return cause("no-gain", "; ".join(parts) + rest, [each.unit for each in (*short, *others)])


def _why_none(target: UnitVerdict) -> str:
    """Return what is missing; a mean that rose needs a reason why that is no gain."""
    if (target.difference or 0.0) <= 0:
        return "no gain"
    if any(each.code == "near-gains" for each in target.remarks):
        return "no gain apart from cases that training rows come near"
    return "no gain beyond chance"


def _held(outlook: Outlook) -> list[UnitVerdict]:
    """Return the units that only had to hold."""
    aimed = outlook.aimed and not outlook.no_target
    return [each for each in outlook.verdicts if (each.role == "guard" or not aimed) and not each.proven_by]


def _single(outlook: Outlook) -> list[str]:
    """Return the unit that `_kept` names with its scores, if it is the only one."""
    held = _held(outlook)
    return [each.unit for each in held if len(held) == 1 and each.verdict in {"held", "improved"}]


def _kept(outlook: Outlook) -> str:
    """Return what held, and the units whose verdict shows no loss whatever happens."""
    aimed, held = outlook.aimed and not outlook.no_target, _held(outlook)
    wrong = [each.unit for each in held if is_all_wrong(each)]
    floored = [each.unit for each in held if each.verdict == "cannot fall" and each.unit not in wrong]
    ungated = [each.unit for each in outlook.verdicts if each.verdict == "ungated"]
    kind, other = "guard" if aimed else "unit", "other " if wrong or floored else ""
    if len(held) == 1 and held[0].verdict in {"held", "improved"} and not wrong:
        kept = f"{_named(held)} held"
    elif len(held) > len(wrong) + len(floored):
        kept = f"every {other}{kind} of {outlook.task} held"
    else:
        # a guard that shows no loss is none; that a task has none at all is said of the whole decision
        kept = f"{outlook.task} has no guard" if aimed == bool(other) else ""
    return ", ".join(filter(None, [
        kept,
        f"nothing was right in {listed(wrong)} before or after ({PROVES_NOTHING})" if wrong else "",
        *(f"{listed(names)} {what}" for names, what in ((floored, "cannot fall"), (ungated, "is not gated")) if names),
    ]))  # fmt: skip


def trouble(verdict: Verdict | Literal[""], difference: float | None) -> str:
    """Return what keeps a blocking unit from passing."""
    if verdict == "ungated":
        return "has no margin"
    return "cannot be compared" if difference is None else verdict
