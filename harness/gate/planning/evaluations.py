"""The worth of sealed cases at each evaluation: each later one has a smaller error level and shows less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tunegate.harness.gate.planning.plan import Plan, passes_together
from tunegate.harness.statistics.paired import sealed_level

EVALUATIONS = (1, 2, 3, 4)
# Share of the chance at the first evaluation: below it, earlier evaluations are the main reason to block an honest
# adapter, and new cases more than double its chance.
SPENT_BELOW = 0.5


@dataclass(frozen=True)
class Worth:
    """The chance, at each evaluation, that a unit or a task shows `what`."""

    key: str
    what: str
    chances: tuple[float, ...]


def at_evaluation(each: Plan, number: int) -> Plan:
    """Return the plan of a sealed unit at this evaluation of its cases; an open one is unchanged."""
    if not (each.unit.sealed and each.power):
        return each
    levels = each.power.levels.spent(sealed_level(number) / sealed_level(1))
    return replace(each, power=replace(each.power, levels=levels))


def worth(each: Plan, number: int) -> float | None:
    """Return how often a sealed unit passes an honest adapter at an evaluation; None if unknown.

    A target must show the gain that the first evaluation shows four times in five; a guard, or a target whose base
    leaves no room for such a gain, must hold if nothing changed.
    """
    power, margin = at_evaluation(each, number).power, each.margin
    if not (each.unit.sealed and power and margin):
        return None
    gain = each.shown_gain if each.role == "target" else None
    return power.prob_improved(each.n, margin, gain) if gain else power.prob_held(each.n, margin)


def is_spent(each: Plan, made: int) -> bool:
    """Whether sealed cases are worth less than half at the next evaluation, after `made` evaluations."""
    first, following = worth(each, 1), worth(each, made + 1)
    return bool(made and first and following is not None and following < SPENT_BELOW * first)


def evaluations_left(each: Plan, made: int) -> int:
    """Return how many more evaluations the sealed cases are worth."""
    left = 0
    while left < max(EVALUATIONS) and worth(each, 1) and not is_spent(each, made + left):
        left += 1
    return left


def worths(plans: Sequence[Plan]) -> list[Worth]:
    """Return the worth of each sealed unit at evaluations 1 to 4, and how often its task passes."""
    found = []
    for task in dict.fromkeys(each.unit.task for each in plans):
        known = [each for each in plans if each.unit.task == task and each.chances]
        sealed = [each for each in known if each.unit.sealed]
        later = [[at_evaluation(each, number) for each in known] for number in EVALUATIONS]
        for each in sealed:
            gain = min(each.gain, each.power.widest_gain) if each.role == "target" and each.gain and each.power else 0.0
            at = [at_evaluation(each, number).chances_of(gain) for number in EVALUATIONS]
            shown = tuple(one.improved if gain else one.held + one.improved for one in at)
            found.append(Worth(each.unit.key, "gain" if gain else "equal", shown))
        if sealed:
            together = [passes_together(each) for each in later]
            found.append(Worth(task, "equal", tuple(equal for equal, _ in together)))
            gained = [gain for _, gain in together if gain is not None]
            found += [Worth(task, "gain", tuple(gained))] if gained else []
    return found
