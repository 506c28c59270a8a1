"""The sentences of the gate: a verdict that a reviewer understands, then the numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tunegate.harness.cases.policy import DEFAULT_MARGIN
from tunegate.harness.core.formatting import SHOWN, change, level, listed, percent, points
from tunegate.harness.gate.together import GroupLoss
from tunegate.harness.gate.verdict import PartVerdict, UnitVerdict
from tunegate.harness.statistics.power import fewest_to_bound

WIDE = 0.2  # a share of collapsed cases: nobody is told to declare a larger one


def cannot_compare(problem: str) -> str:
    """Why a unit blocks without numbers."""
    return f"Inconclusive: there is nothing to compare, {problem}."


def not_compared(problem: str) -> str:
    """Why a metric of two result files blocks without numbers."""
    return f"Inconclusive: not compared, since {problem}."


def supplied_ungated(metric: str) -> str:
    """Why a metric of two result files has no verdict."""
    return (
        f"Not gated: {metric} has no bounds and no margin, so any loss of it would pass: add --margin {metric}=NUMBER."
    )


def ungated(unit: str) -> str:
    """Why a continuous unit has no verdict, and nothing can be released."""
    return (
        f"Not gated: {unit} is continuous and task.yaml declares no margin for it, so whatever it lost would pass: "
        "declare one or, with the reason, `ungated: true`."
    )


def declared_ungated(reason: str) -> str:
    """Why a continuous unit has no verdict and need not have one."""
    return f"Not gated, as task.yaml declares: {reason}"


def critical_regressed(facts: UnitVerdict) -> str:
    """A cause of regressed."""
    return f"{'a critical case' if len(facts.critical) == 1 else 'critical cases'} regressed ({listed(facts.critical)})"


def worse(facts: UnitVerdict) -> str:
    """A cause of regressed, which says whether the loss is known to be too large, or only to be one."""
    sure = _sure(facts.level)
    if facts.interval and facts.interval[1] < -(facts.margin or 0.0):
        return f"worse than the {facts.reference}, by more than the margin of {_margin(facts)} ({sure})"
    return (
        f"worse than the {facts.reference}, beyond what chance explains, and the loss may be as much as {_loss(facts)} "
        f"({sure}); the margin is {_margin(facts)}"
    )


def lower(facts: UnitVerdict) -> str:
    """A cause of regressed where a loss within the margin is one, too."""
    why = "a sealed unit must not be" if facts.sealed else "task.yaml says `lower: block`"
    return f"lower than the {facts.reference}, by at most {_loss(facts)}, within the margin of {_margin(facts)}; {why}"


def fell(facts: UnitVerdict) -> str:
    """A cause of regressed; what is written into sealed cases it does not tell."""
    if facts.sealed:
        return "a slice fell" if len(facts.worse_slices) == 1 else f"{len(facts.worse_slices)} slices fell"
    return f"the slice {listed(facts.worse_slices)} fell"


def part_fell(part: PartVerdict) -> str:
    """A cause of regressed: a part of the pass rule, whatever the unit as a whole did."""
    margin, (low, high) = part.margin or 0.0, part.interval or (0.0, 0.0)
    tolerated = points(margin, signed=False)
    if high < -margin:
        return f"{_fall(part)}, by more than the margin of {tolerated}"
    most = points(-low, signed=False)
    return f"{_fall(part)}, beyond what chance explains, and may have lost as much as {most}; the margin is {tolerated}"


def ungated_falls(facts: UnitVerdict) -> list[PartVerdict]:
    """The parts without a margin that fell by more than their unit may, those that fell most first."""
    return [part for part in _falls(facts) if part.margin is None]


def _falls(facts: UnitVerdict) -> list[PartVerdict]:
    """The parts that fell by more than is tolerated and do not block, those that fell most first."""
    found = [part for part in facts.parts if not part.fell and not part.whole]  # all of the rule says nothing more
    return sorted(
        (part for part in found if part.base - part.mean > _tolerated(part, facts)),
        key=lambda part: part.mean - part.base,
    )


def _tolerated(part: PartVerdict, facts: UnitVerdict) -> float:
    """The margin of the unit, counted among all of it, since few cases are no fall of it; or a narrower of the part."""
    whole = (facts.margin if facts.kind == "pass/fail" else None) or DEFAULT_MARGIN
    of_unit = whole * facts.n / part.n
    return of_unit if part.margin is None else min(part.margin, of_unit)


def _fall(part: PartVerdict) -> str:
    alone = [
        f"{percent(each[0])} of {each[1]} {side}"
        for each, side in ((part.base_only, "before"), (part.mean_only, "now")) if each
    ]  # fmt: skip
    which = f" that have it on either side (by itself {' and '.join(alone)})" if alone else ""
    return f"'{part.label}' fell from {percent(part.base)} to {percent(part.mean)} of {part.n} cases{which}"


def _parts_first(facts: UnitVerdict) -> str:
    """The part that fell most and does not block, told before the verdict itself; empty where none did."""
    falls = _falls(facts)
    if not falls:
        return ""
    first, others = falls[0], [f"'{part.label}'" for part in falls[1:]]
    if first.margin is None:
        known = "it" if first.label == first.named else first.named
        why = f"not gated; give {known} a margin under `parts` in task.yaml"
    elif first.base - first.mean > first.margin:
        why = f"more than its margin of {points(first.margin, signed=False)}, which chance may explain"
    else:
        why = f"within its margin of {points(first.margin, signed=False)}, but not within that of its unit"
    joint = "but" if facts.verdict in {"held", "improved", "cannot fall"} else "and"
    more = f"; so did {listed(others)}" if others else ""
    return f"{facts.verdict.capitalize()}, {joint} {_fall(first)}: {why}{more}."


def below_minimum(facts: UnitVerdict, minimum_score: float | None) -> str:
    """A cause of regressed."""
    return f"below the minimum score of {percent(minimum_score)}, whatever the {facts.reference} was"


def not_excluded(facts: UnitVerdict, needed: int | None, outputs: int | None) -> str:
    """A cause of inconclusive, with the number of cases, or of answers to each, that would settle it."""
    if facts.effective is not None:
        advice = "the change differs between topics, so cases of further topics would say more than more of these"
    elif needed is None:
        advice = "so near the margin that more cases would hardly settle it"
    elif needed > facts.observations:
        more = f"{outputs} answers a case, or " if outputs else ""
        advice = f"about {more}{needed} {_noun(facts)} in all would settle it"
    else:
        # as many cases settle it four times in five: this run was the fifth
        advice = f"a close call, for so many {_noun(facts)} settle it four times in five"
    return f"the loss may be as much as {_loss(facts)}, and the margin is {_margin(facts)}; {advice}"


def group_not_held(group: GroupLoss) -> str:
    """A cause of inconclusive of each guard that is held together with others."""
    if group.missing:
        return f"held together with others, and {group.missing} has nothing to compare"
    seen, most = (points(max(0.0, -loss), signed=False) for loss in (group.difference, group.interval[0]))
    return (
        f"the {len(group.units)} guards of its group lose {seen} points in the mean and may lose as much as {most}, "
        f"and the group's margin is {points(group.margin, signed=False)}; {_to_settle(group)}"
    )


def _to_settle(group: GroupLoss) -> str:
    if group.needed is None:
        return "so near the margin that more cases would hardly settle it"
    if group.needed <= group.cases:
        return f"a close call, for {group.needed} cases of the group settle it four times in five"
    return f"about {group.needed} cases of the group in all would settle it"


def mean_lost(facts: UnitVerdict, is_price: bool) -> str:
    """A cause of its own wherever the mean that was seen lost more than the margin, whatever part of that counts."""
    lost = abs(facts.difference or 0.0)
    share = f" ({100 * lost / abs(facts.base):.0f} %)" if facts.base else ""
    moved = "a call costs {} more in the mean" if is_price else "the mean fell by {}"
    return moved.format(f"{change(lost, facts.kind, signed=False)}{share}") + f", and the margin is {_margin(facts)}"


def collapse_not_excluded(facts: UnitVerdict, share: float, file: str = "task.yaml") -> str:
    """A cause of inconclusive of a score without a natural bound: how many cases may fall further than is counted.

    `file` is where a wider share could be declared.
    """
    level = facts.level or 0.0
    most, n = facts.collapse_bound or 0.0, facts.observations
    may = f"up to {100 * most:.2f} % of the cases may fall by {_span(facts)} or more"
    what = f"{may}, and `collapse` allows {100 * share:g} %"
    needed = fewest_to_bound(share, level)
    if not facts.collapsed and n < needed:
        wider = math.ceil(1000 * most) / 1000
        declared = f", or `collapse: {wider:g}` in {file}" if wider <= WIDE else ""
        return f"{what}; {needed} cases of which none does would settle it{declared}"
    return f"{what}; {facts.collapsed} of {n} did"


def _span(facts: UnitVerdict) -> str:
    return change(facts.span, facts.kind, signed=False)


def maybe_below_minimum(facts: UnitVerdict, minimum_score: float | None) -> str:
    """A cause of inconclusive."""
    return f"{percent(facts.mean)} is below the minimum score of {percent(minimum_score)}, but that could be chance"


def _noun(facts: UnitVerdict) -> str:
    return "cases" if facts.observations == facts.n else "observations"


def _unit(facts: UnitVerdict) -> str:
    return " points" if facts.kind == "pass/fail" else ""


def _margin(facts: UnitVerdict) -> str:
    return change(facts.margin, facts.kind, signed=False)


def _loss(facts: UnitVerdict) -> str:
    """The largest loss that the gate's level does not exclude."""
    return change(max(0.0, -_least(facts)), facts.kind, signed=False) + _unit(facts)


def _least(facts: UnitVerdict) -> float:
    """The lower end of the difference, at the level that judges."""
    return facts.interval[0] if facts.interval else 0.0


def verdict(
    facts: UnitVerdict, causes: Sequence[str], group: GroupLoss | None = None, found: float | None = None
) -> str:
    """One sentence that says the verdict and why, then the numbers; `found` is the drop of it that a `group` finds."""
    sentence = {
        "regressed": f"Regressed: {'; '.join(causes)}.",
        "inconclusive": f"Inconclusive: {'; '.join(causes)}.",
        "held": _held_together(facts, group, found) if group else _held(facts),
        "cannot fall": f"Cannot fall: the {facts.reference} passes none of its cases, so it guards {_guarded(facts)}.",
        "improved": f"Improved on the {facts.reference}, beyond what chance explains ({_sure(facts.level)}).",
    }[facts.verdict]
    return " ".join([*filter(None, [_parts_first(facts)]), sentence, _numbers(facts), *_remarks(facts)])


def _guarded(facts: UnitVerdict) -> str:
    parts = [part.label for part in facts.parts if part.margin is not None]
    return f"no more than {listed([repr(part) for part in parts])}" if parts else "nothing"


def _held(facts: UnitVerdict) -> str:
    within = f"{_loss(facts)} ({_sure(facts.level)}), within the margin of {_margin(facts)}"
    if facts.lower:
        return f"Held, but lower: worse than the {facts.reference}, by at most {within}."
    if facts.gained:
        return f"Held, and gained: better than the {facts.reference}, beyond what chance explains for it alone."
    if _least(facts) >= 0:
        return f"Held: any loss against the {facts.reference} is excluded ({_sure(facts.level)})."
    counted = "" if facts.bounded else " that counts"
    return f"Held: the loss{counted} against the {facts.reference} is at most {within}{_few_collapse(facts)}."


def _few_collapse(facts: UnitVerdict) -> str:
    """The second promise of a score that has no natural bound."""
    if facts.collapse_bound is None:
        return ""
    return f"; at most {percent(facts.collapse_bound)} of such cases fall by {_span(facts)} or more"


def _held_together(facts: UnitVerdict, group: GroupLoss, found: float | None) -> str:
    most, others = points(max(0.0, -group.interval[0]), signed=False), len(group.units) - 1
    alone = (
        f" By itself it would show a loss of {points(found, signed=False)} points four times in five." if found else ""
    )
    guards = f"{others} other guard{'s' if others > 1 else ''}{', but lower' if facts.lower else ''}"
    mean = "mean loss" if group.even else "weighted mean loss"
    return (
        f"Held with {guards}: their {mean} against the {facts.reference} is at most {most} points "
        f"({_sure(group.level)}), within the group's margin of "
        f"{points(group.margin, signed=False)}.{alone}"
    )


def _sure(level: float | None) -> str:
    """How sure a bound is, one-sided."""
    return f"one-sided {100 - 100 * (level or 0.0):.4g} %"


def _numbers(facts: UnitVerdict) -> str:
    means = f"{level(facts.base, facts.kind)} -> {level(facts.mean, facts.kind)}"
    grouped = f" in {facts.observations} observations" if facts.observations != facts.n else ""
    moved = change(facts.difference, facts.kind) + _unit(facts)
    if facts.interval:
        sure = f"{100 - 200 * (facts.level or 0.0):.4g} %"
        counted = f" of what counts, {_span(facts)} a case at most" if facts.winsorised else ""
        moved += f" ({sure}{counted}: {' to '.join(change(bound, facts.kind) for bound in facts.interval)})"
    text = f"{means} on {facts.n} cases{grouped}, {moved}"
    if facts.kind == "pass/fail":
        return f"{text}; {len(facts.regressed_cases)} regressed, {len(facts.fixed_cases)} fixed."
    return f"{text}{f'; {facts.winsorised} moved further than that' if facts.winsorised else ''}."


def _never_right(facts: UnitVerdict) -> list[str]:
    """A sentence for each value that no answer has right; of a sealed unit not which value it is."""
    found = []
    for each in facts.never_right[:SHOWN]:
        base = f"the {facts.reference} has it right in {each.base}" if each.base else f"nor by the {facts.reference}"
        value = each.value or "with one of its values"
        found.append(f"'{each.field}' is never answered {value}: 0 of {each.n} cases that expect it, {base}.")
    rest = len(facts.never_right) - SHOWN
    more = f"Nor {'is' if rest == 1 else 'are'} {rest} other expected value{'' if rest == 1 else 's'}."
    return [*found, *([more] if rest > 0 else [])]


def _remarks(facts: UnitVerdict) -> list[str]:
    remarks = _never_right(facts)
    if facts.target_score is not None and facts.role == "target":
        remarks.append(_target_score(facts, facts.target_score))
    if facts.effective is not None:
        worth = f"{facts.observations} {_noun(facts)} tell as much as {facts.effective:.0f} independent ones"
        remarks.append(f"The change differs between topics (by {facts.topics}), so the {worth}.")
    if remark := _family_decided(facts):
        remarks.append(remark)
    if facts.sealed and facts.verdict == "inconclusive":
        remarks.append("It is sealed: a release rests on it, so it must be held.")
    if facts.already_failing:
        remarks.append(f"Critical, but already failing in the {facts.reference}: {listed(facts.already_failing)}.")
    if facts.unstable:
        remarks.append(f"Critical, but declared unstable, and failed in part: {listed(facts.unstable)}.")
    if facts.disarmed:
        remarks.append(f"Critical, but not armed, since the base's answer flips by itself: {listed(facts.disarmed)}.")
    if facts.by_themselves and facts.kind == "pass/fail":  # a score that moves a little is no flip
        flip = f"{len(facts.by_themselves)} of the cases flip{'s' if len(facts.by_themselves) == 1 else ''}"
        remarks.append(f"Where the base is asked twice, {flip} without a tune.")
    if facts.skipped:
        which = f"{len(facts.skipped)} of its tags" if facts.sealed else listed(facts.skipped)
        remarks.append(f"Not watched as slices, since they are nearly the whole unit: {which}.")
    return remarks


def _target_score(facts: UnitVerdict, target: float) -> str:
    if facts.verdict != "improved" and has_nothing_to_gain(facts):
        return f"Nothing to gain: the {facts.reference} is at its target score of {percent(target)}."
    if facts.reached:
        return f"Its target score of {percent(target)} is reached."
    least = facts.score_bound or 0.0
    sure = _sure(facts.level)
    return f"Its target score of {percent(target)} is not reached: it passes {percent(least)} or more ({sure})."


def _family_decided(facts: UnitVerdict) -> str:
    """Why an interval without 0 is neither worse nor improved: it is of this unit alone."""
    if not facts.interval or facts.verdict not in {"held", "inconclusive"} or facts.lower or facts.gained:
        return ""
    low, high = facts.interval
    if high < 0:
        return f"Taken alone this loss is significant; corrected for the {facts.tests} tests of this run it is not."
    if low > 0 and facts.role == "target":
        return "Taken alone this gain is significant; corrected for the targets that are tested with it, it is not."
    return ""


def proven_by(sealed: str) -> str:
    """What an open unit says of itself where its sealed one was judged, too."""
    return f"This unit is open: {sealed} decides, and this one must not be shown to be worse."


def beside(facts: UnitVerdict) -> str:
    """What another reference makes of the same unit, behind the reason of the one that counts."""
    moved = f", {change(facts.difference, facts.kind)}{_unit(facts)}" if facts.difference is not None else ""
    return f"Against the {facts.reference}: {facts.verdict}{moved}."


def supplied(reference: str, candidate_is: bool, reference_is: bool) -> str:
    """A remark where outputs were made elsewhere: nobody here saw which model gave them, or to which prompts."""
    if candidate_is:
        return " Outputs supplied, not generated."
    return f" The outputs of the {reference} were supplied, not generated." if reference_is else ""


def engine_only(reference: str, changed: Mapping[str, Any] | None) -> str:
    """A remark where a reference was asked again on this engine: what that alone made of it."""
    if changed is None:
        return ""
    moved = [f"{what} {len(changed[what])} ({listed(changed[what])})" for what in ("lost", "gained") if changed[what]]
    return (
        f" The {reference}, recorded on another engine, was asked again on this one, which alone "
        f"{' and '.join(moved) or 'moved none'} of {changed['cases']} cases; {changed['other_outputs']} answers differ."
    )


def has_nothing_to_gain(facts: UnitVerdict) -> bool:
    """Whether the reference passes what the target asks for, or all there is."""
    return (facts.base or 0.0) >= (facts.target_score or 1.0)
