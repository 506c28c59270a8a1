"""How many cases each unit needs, and what the ones it has can see: computed, without a model or a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tunegate.harness.core.errors import UsageError
from tunegate.harness.fixtures.loader import find_unit
from tunegate.harness.fixtures.model import Task, Unit
from tunegate.harness.planning.history import Past, Seen, look_up, observed
from tunegate.harness.statistics.paired import LEVEL, WINSOR_MARGINS, opening_level
from tunegate.harness.statistics.power import POWER, Continuous, Levels, Power
from tunegate.harness.statistics.sample_size import PassFail, fewest_cases

USUAL_GAIN = 0.05


@dataclass(frozen=True)
class Plan:
    """A unit, what is asked of it, and what its cases can see; what cannot be said is None.

    `n` counts observations, of which a group of cases is one. `margin` and `gain` are in the score's own unit; a unit
    without a margin is not gated. `asked` is the chance with which it has to hold if nothing changed, so that all units
    of its task do four times in five. Without a `power` there is nothing to plan from.
    """

    unit: Unit
    role: str
    n: int
    margin: float | None
    gain: float | None
    asked: float
    seen: Seen
    power: Power | None

    @cached_property
    def chance(self) -> float | None:
        """The chance that it holds its margin if nothing changed."""
        return self.power.prob_held(self.n, self.margin) if self.power and self.margin else None

    @cached_property
    def needed(self) -> int | None:
        """The fewest observations that hold the margin with the chance asked for."""
        if not (self.power and self.margin):
            return None
        fewest = self.power.cases_to_hold(self.margin, self.asked)
        wavers = fewest <= self.n and (self.chance or 0.0) < self.asked  # fewer would do, but these do not
        return self.power.cases_to_hold(self.margin, self.asked, least=self.n) if wavers else fewest

    @cached_property
    def fewest(self) -> int:
        """The fewest observations that hold the margin where no score moves; with fewer it takes a gain."""
        if not (self.power and self.margin):
            return 1
        relative = self.margin if self.unit.kind == "pass/fail" else 1 / WINSOR_MARGINS
        return fewest_cases(relative, self.power.levels.held)

    @cached_property
    def held_margin(self) -> float | None:
        """The smallest margin that it holds with the chance asked for."""
        return self.power.smallest_margin(self.n, self.asked) if self.power else None

    @cached_property
    def drop(self) -> float | None:
        """The smallest true drop that is called regressed four times in five."""
        return self.power.smallest_drop(self.n, self.margin) if self.power and self.margin else None

    @cached_property
    def shown_gain(self) -> float | None:
        """The smallest true gain that is called improved four times in five."""
        return self.power.smallest_gain(self.n, self.margin) if self.power and self.margin else None

    @cached_property
    def gain_cases(self) -> int | None:
        """The fewest observations that show `gain` four times in five; None also if the base leaves no room for it."""
        if not (self.power and self.margin and self.gain) or self.gain > self.power.widest_gain:
            return None
        return self.power.cases_to_improve(self.margin, self.gain)

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON data, by the names above; what cannot be said is null."""
        return {
            "unit": self.unit.key, "role": self.role, "kind": self.unit.kind, "n": self.n, "margin": self.margin,
            "gain": self.gain, "asked": self.asked, "spread": self.seen.spread, "source": self.seen.source,
            "chance": self.chance, "needed": self.needed, "fewest": self.fewest, "held_margin": self.held_margin,
            "drop": self.drop, "shown_gain": self.shown_gain, "gain_cases": self.gain_cases,
        }  # fmt: skip


def plan_units(
    tasks: Sequence[Task], past: Past, only: str | None = None, margin: float | None = None, gain: float | None = None
) -> list[Plan]:
    """Plan every unit, or the one called `only`.

    Args:
        tasks: all tasks of the fixtures, with their policies.
        past: where flip rates and pass rates come from.
        only: `<task>/<unit>`.
        margin: what to hold instead of the declared margins, for pass/fail units and for the one called `only`.
        gain: what to show, for the same; None: five points where cases pass or fail.

    Raises:
        UsageError: a margin or gain that cannot be.
        Refused: no such unit, or a damaged baseline.
    """
    chosen = find_unit(tasks, only) if only else None
    most = math.inf if chosen and chosen.kind == "continuous" else 1.0
    for name, value in (("--margin", margin), ("--gain", gain)):
        if value is not None and not 0 < value < most:
            share = "a number above 0" if most > 1 else "a share above 0 and below 1, such as .05 for five points"
            raise UsageError(f"{name}: expected {share}, found {value:g}")
    return [
        _plan(tasks, task, unit, look_up(unit, past), *_asked(unit, chosen, margin, gain))
        for task in tasks
        for unit in task.units
        if chosen is None or unit is chosen
    ]


def _asked(
    unit: Unit, chosen: Unit | None, margin: float | None, gain: float | None
) -> tuple[float | None, float | None]:
    """What the options ask of a unit: a continuous one has its own scale."""
    if unit.kind == "pass/fail":
        return margin, gain or USUAL_GAIN
    return (margin, gain) if chosen else (None, None)


def _plan(tasks: Sequence[Task], task: Task, unit: Unit, seen: Seen, margin: float | None, gain: float | None) -> Plan:
    declared, levels = task.policy.of(unit.name, unit.kind), _levels(tasks, task, unit)
    together = len(_gated(task))  # a release needs all of them held, the sealed ones too
    power: Power | None = None
    if unit.kind == "pass/fail":
        power = PassFail(seen.spread or 0.0, seen.rate, levels)
    elif seen.spread:
        power = Continuous(seen.spread, levels)
    n = len(observed(unit, {case.id: 0.0 for case in unit.cases}))
    return Plan(unit, declared.role, n, margin or declared.margin, gain, POWER ** (1 / max(together, 1)), seen, power)


def _levels(tasks: Sequence[Task], task: Task, unit: Unit) -> Levels:
    """What is left to a unit where any of all may fall, and any of its task's targets rise; Holm may leave it more."""
    # the strictest part that it may get: how many units of the family hardly move, nobody knows before; for sealed
    # cases that of their first opening
    level = opening_level(1) if unit.sealed else LEVEL
    family = max(sum(len(_gated(each)) for each in tasks), 1)
    targets = len({*task.policy.targets, unit.name})
    return Levels(level, LEVEL / family, level / targets)  # a fall is tested at the full level


def _gated(task: Task) -> list[Unit]:
    """The units of a task that get a verdict: those with a margin."""
    return [unit for unit in task.units if task.policy.of(unit.name, unit.kind).margin is not None]
