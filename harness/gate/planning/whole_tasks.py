"""Whole tasks in a plan: how often all of their units pass a model, beside one reference or two."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tunegate.harness.gate.planning.amounts import often
from tunegate.harness.gate.planning.plan import Plan, passes_together
from tunegate.harness.statistics.power import Levels
from tunegate.harness.statistics.second_reference import Beside

USUALLY = 0.9  # if the weakest unit passes less often, it is named
ASKED: dict[Beside, str] = {
    "held": " (if it gets held against what is in service and against the anchor)",
    "not worse": " (if it gets held against the base and is not worse than the adapter in service)",
}


def tasks_together(plans: Sequence[Plan]) -> Iterator[str]:
    """Yield a sentence per task: how often all of its units pass a model, and how often critical cases block it."""
    by_task: dict[str, list[Plan]] = {}
    for each in plans:
        by_task.setdefault(each.unit.task, []).append(each)
    for task, units in by_task.items():
        known = [each for each in units if each.chances]
        if len(known) < 2 and not any(each.false_alarm or each.seen.beside or each.seen.is_first for each in known):
            continue
        yield f"{task}: {_together(known, len(units) - len(known))}."


def _together(known: Sequence[Plan], unknown: int) -> str:
    equal, gained = passes_together(known)
    alarm = 1 - math.prod(1 - each.false_alarm for each in known)
    passes = {each.unit.name: passes_together([each])[0] for each in known}
    weakest = min(passes, key=lambda name: passes[name])
    blame = f", {weakest} on its own {often(passes[weakest])}" if len(known) > 1 and passes[weakest] < USUALLY else ""
    out = f"an equal model passes {often(equal)}{asked_of_next(known)}{once_anchored(known)}{blame}"
    if unknown:
        out += f" (without {_units(unknown)} that lack data)"
    if alarm:
        out += f"; critical cases block it {often(alarm)}"
    targets = [each for each in known if each.role == "target" and each.gain]
    if gained is not None and targets:
        names = ", ".join(each.unit.name for each in targets)
        hoped = f"a gain of {100 * (targets[0].gain or 0.0):g} points on each ({names})"
        out += f"; a release also requires its targets to improve: a model with {hoped} passes {often(gained)}"
    return out


def _units(count: int) -> str:
    return "one unit" if count == 1 else f"{count} units"


def asked_of_next(plans: Sequence[Plan]) -> str:
    """Return what the gate asks of the next change beside two references, in words; empty with one."""
    asked = {each.seen.beside for each in plans}
    return "".join(words for beside, words in ASKED.items() if beside in asked)


def with_anchor(each: Plan) -> Plan:
    """Return the plan of a unit once its first record is the anchor and another one is in service."""
    if not (each.power and each.seen.is_first):
        return each
    levels = each.power.levels
    twice = Levels(levels.held, levels.worse / 2, levels.better)
    return replace(each, power=replace(each.power, beside="held", levels=twice))


def once_anchored(plans: Sequence[Plan]) -> str:
    """Return how often an equal model passes once the first record is the anchor; empty if it is, or nothing serves."""
    if not any(each.seen.is_first for each in plans):
        return ""
    later, _ = passes_together([with_anchor(each) for each in plans])
    return f" ({often(later)} once another record is in service, as it must then get held against the first one too)"
