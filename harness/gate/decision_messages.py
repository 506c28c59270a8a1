"""The sentences of a task's decision: the decision, what blocks it, and what to do before a release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tunegate.harness.core.formatting import change, listed, ordinal, percent
from tunegate.harness.evaluation.verdict import UnitVerdict, ValueFall
from tunegate.harness.gate.messages import (
    PROVES_NOTHING,
    by_chance,
    has_nothing_to_gain,
    is_all_wrong,
    ungated_falls,
)
from tunegate.harness.models.adapters import ADOPTED


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


#: What to say of what was made elsewhere.
_SUPPLIED = {
    "": "",
    "outputs": " The outputs come from a file: they can be compared, but not released.",
    "scores": " Supplied scores: not re-scored, never released.",
}


def decision(outlook: Outlook) -> str:
    """Return a task's decision; it says "Release" only if a release is possible."""
    remark = _SUPPLIED[outlook.supplied] + (f" {ADOPTED[outlook.adopted]}" if outlook.adopted else "")
    fallen = [
        *(f"'{part.label}' of {each.unit}" for each in outlook.verdicts for part in ungated_falls(each)),
        *(_value_fall(each.unit, value) for each in outlook.verdicts for value in each.falls),
    ]
    parts = f" Fell, but not gated: {listed(fallen)}." if fallen else ""
    never = [
        f"'{value.field}' {value.value or '(one of its values)'} of {each.unit} (0 of {value.n})"
        for each in outlook.verdicts if not each.blocks for value in each.never_right
    ]  # fmt: skip
    never_right = f" Never right: {listed(never)}." if never else ""
    main, saw = _decision(outlook), _seen(outlook)
    seen = f" Not evidence: {saw}." if saw not in main else ""
    return main + seen + _alike(outlook.verdicts) + parts + never_right + _held_late(outlook) + remark


def _alike(verdicts: Sequence[UnitVerdict]) -> str:
    """Return a remark on units whose outputs hardly depend on the input."""
    same = [f"{each.alike.same} of {each.alike.n} of {each.unit}" for each in verdicts if each.alike.same]
    constant = [each.unit for each in verdicts if each.alike.constant]
    return (f" Outputs that are the same: {listed(same)}." if same else "") + (
        f" No better than one output for all cases: {listed(constant)}." if constant else ""
    )


def _value_fall(unit: str, fall: ValueFall) -> str:
    return f"'{fall.field}' {fall.value or '(one of its values)'} of {unit} ({fall.base} to {fall.mean} of {fall.n})"


def _held_late(outlook: Outlook) -> str:
    """Return a remark on the open guards that were held at a late run of their cases."""
    late = [each for each in outlook.verdicts if each.run > 1]
    if not late:
        return ""
    worst = max(late, key=lambda each: each.run)
    runs = listed([f"{each.unit} at the {ordinal(each.run)}" for each in late])
    return f" Held at a late run of its cases: {runs}; {by_chance(worst.run, worst.level)}."


def only_warned(units: Sequence[str]) -> str:
    """Return the decision of a task whose only obstacles are inconclusive units, which warn."""
    return f"Not proven: {listed(units)} inconclusive, which only warns here (exit code 0) but allows no release."


def _decision(outlook: Outlook) -> str:
    undeclared = "" if outlook.declared else f" {outlook.task} has no task.yaml, so nothing can be released for it."
    if outlook.blocking:
        gain = f"; {_no_gain(outlook.short)}" if outlook.short else ""
        return f"Blocked: {listed([f'{each.unit} {_trouble(each)}' for each in outlook.blocking])}{gain}.{undeclared}"
    if outlook.short:
        gained = [each.unit for each in outlook.verdicts if each.role == "target" and each.verdict == "improved"]
        rest = f"{listed(gained)} improved, and no unit regressed" if gained else "no unit regressed or improved"
        return f"Blocked: {_no_gain(outlook.short)}; {rest}."
    if outlook.no_target:
        return f"Blocked: {_kept(outlook)}, but no target is declared, so no gain can be shown.{undeclared}"
    if not outlook.aimed and outlook.supplied == "scores":
        return f"Passed: {_kept(outlook)}."
    if not outlook.aimed:
        return f"Nothing had to improve here: {_kept(outlook)}.{undeclared}"
    won = _won([each for each in outlook.verdicts if each.role == "target" and not each.proven_by])
    if outlook.only_rewarded:
        return (
            f"Blocked: {won}; {_kept(outlook)}; but the adapter's reward saw that gain: {_seen(outlook)}. Show one by "
            "another kind of check, or by cases with an `expect` that the reward did not see."
        )
    if outlook.supplied:
        return f"Passed: {won}; {_kept(outlook)}."
    if outlook.reused:
        return (
            f"Unproven: {won}; {_kept(outlook)}; but reused cases prove no gain: another adapter was evaluated on "
            f"{listed(outlook.reused)} before. Prove the gain on a sealed unit that `seals` it, or on new cases."
        )
    if outlook.unsealable:
        return (
            f"Unproven: {won}; {_kept(outlook)}; but the adapter was trained elsewhere, and may have seen the cases of "
            f"{listed(outlook.unsealable)}. Prove the gain on a sealed unit that `seals` it."
        )
    unseen = f" Before a release, evaluate {listed(outlook.unseen)} with --tg-sealed." if outlook.unseen else ""
    return f"Release: {_below_service(outlook)}{won}; {_kept(outlook)}.{unseen}"


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
    return f"{listed([each.unit for each in targets])} improved{more}"


def _no_gain(short: Sequence[UnitVerdict]) -> str:
    """Return which targets lack a gain, or the target score declared in task.yaml."""
    there = [each for each in short if each.verdict != "improved" and has_nothing_to_gain(each)]
    still = [each for each in short if each.verdict != "improved" and each not in there]
    low = [f"{each.unit} ({percent(each.target_score)})" for each in short if each.verdict == "improved"]
    parts = [f"no gain on {listed([each.unit for each in still])}"] if still else []
    for each in there:
        score = "passes every case"
        if each.target_score is not None:
            score = f"already reaches the target score ({percent(each.target_score)})"
        parts.append(f"nothing to gain on {each.unit}, where the {each.reference} {score}: declare it a guard")
    return "; ".join([*parts, f"the target score is not reached on {listed(low)}"] if low else parts)


def _kept(outlook: Outlook) -> str:
    """Return what held, and the units whose verdict shows no loss whatever happens."""
    aimed = outlook.aimed and not outlook.no_target
    held = [
        each for each in outlook.verdicts if (each.role == "guard" or not aimed) and not each.proven_by
    ]  # fmt: skip
    wrong = [each.unit for each in held if is_all_wrong(each)]
    floored = [each.unit for each in held if each.verdict == "cannot fall" and each.unit not in wrong]
    ungated = [each.unit for each in outlook.verdicts if each.verdict == "ungated"]
    kind, other = "guard" if aimed else "unit", "other " if wrong or floored else ""
    if len(held) > len(wrong) + len(floored):
        kept = f"every {other}{kind} of {outlook.task} held"
    else:
        kept = "" if other and not aimed else f"{outlook.task} has no guard"
    return ", ".join(filter(None, [
        kept,
        f"nothing was right in {listed(wrong)} before or after ({PROVES_NOTHING})" if wrong else "",
        *(f"{listed(names)} {what}" for names, what in ((floored, "cannot fall"), (ungated, "is not gated")) if names),
    ]))  # fmt: skip


def _trouble(facts: UnitVerdict) -> str:
    if facts.verdict == "ungated":
        return "has no margin"
    if facts.difference is None:
        return "cannot be compared"
    return facts.verdict
