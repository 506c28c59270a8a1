"""The sentences of the gate: a verdict that a reviewer understands, then the numbers."""

from __future__ import annotations

from collections.abc import Sequence

from harness.verdict import Judged

SHOWN = 3


def points(value: float | None, signed: bool = True) -> str:
    """A share of the score as points: `+12.5`."""
    if value is None:
        return "-"
    return f"{100 * value:{'+' if signed else ''}.1f}"


def percent(value: float | None) -> str:
    """A share as a percentage: `97.5 %`."""
    return "-" if value is None else f"{100 * value:.1f} %"


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def cannot_compare(problem: str) -> str:
    """Why a unit blocks without numbers."""
    return f"Inconclusive: there is nothing to compare, {problem}."


def ungated(unit: str) -> str:
    """Why a continuous unit has no verdict."""
    return f"Not gated: {unit} is continuous and task.yaml declares no margin for it."


def verdict(facts: Judged, needed: int | None, floor: float | None) -> str:
    """One sentence that says the verdict and why, then the numbers."""
    sentence = {
        "regressed": _regressed(facts, floor),
        "inconclusive": _inconclusive(facts, needed, floor),
        "held": _held(facts),
        "improved": f"Improved on the {facts.reference}, beyond what chance explains.",
    }[facts.verdict]
    return " ".join([sentence, _numbers(facts), *_remarks(facts)])


def _regressed(facts: Judged, floor: float | None) -> str:
    if facts.critical:
        return f"Regressed: critical cases broke ({listed(facts.critical)})."
    if floor is not None and not facts.lower:
        return f"Regressed: below the floor of {percent(floor)}, whatever the {facts.reference} was."
    return f"Regressed: worse than the {facts.reference} by more than chance explains."


def _inconclusive(facts: Judged, needed: int | None, floor: float | None) -> str:
    if floor is not None and facts.mean is not None and facts.mean < floor:
        return f"Inconclusive: {percent(facts.mean)} is below the floor of {percent(floor)}, but could be chance."
    advice = f"about {needed} cases would settle it" if needed else "more cases would not settle it at this score"
    return f"Inconclusive: a loss of {points(facts.margin, False)} points cannot be excluded; {advice}."


def _held(facts: Judged) -> str:
    if facts.lower:
        margin = points(facts.margin, False)
        return f"Held, but lower: worse than the {facts.reference}, by less than the margin of {margin} points."
    return f"Held: a loss of {points(facts.margin, False)} points or more against the {facts.reference} is excluded."


def _numbers(facts: Judged) -> str:
    text = f"{percent(facts.base)} -> {percent(facts.mean)} on {facts.n} cases, {points(facts.difference)} points"
    if facts.interval:
        text += f" [{points(facts.interval[0])}, {points(facts.interval[1])}]"
    return f"{text}; {len(facts.broke)} broke, {len(facts.fixed)} fixed."


def _remarks(facts: Judged) -> list[str]:
    remarks = []
    if facts.reached:
        remarks.append("The declared target is reached.")
    if facts.worse_slices:
        remarks.append(f"Blocks all the same: the slice {listed(facts.worse_slices)} fell.")
    if facts.unarmed:
        remarks.append(f"Critical but unarmed, since the {facts.reference} failed them: {listed(facts.unarmed)}.")
    return remarks


def decision(
    task: str, blocking: Sequence[Judged], short: Sequence[Judged], targets: Sequence[Judged], trained: bool
) -> str:
    """A task's decision in one sentence."""
    if blocking:
        units = listed([f"{each.unit} {each.verdict}" for each in blocking])
        return f"Blocked: {units}."
    if short:
        names = listed([each.unit for each in short])
        return f"Blocked: no gain on the target {names}; nothing regressed, but nothing is won either."
    if not trained:
        return f"Every unit of {task} held."
    if not targets:
        return "Every guard held; the task declares no target, so there is nothing to release for."
    won = listed([each.unit for each in targets])
    return f"Release: {won} improved or reached, and every guard held."
