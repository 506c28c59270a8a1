"""The plan of each unit: how many cases it needs, and what its cases can detect, computed without a model or a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from tunegate.harness.cases.loader import find_unit
from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.cases.policy import Together, UnitPolicy
from tunegate.harness.core.errors import UsageError
from tunegate.harness.gate.planning.history import Past, Seen, look_up, observed
from tunegate.harness.gate.planning.split import CaseSplit, best_split
from tunegate.harness.statistics.distributions import binom_bound
from tunegate.harness.statistics.joint import Sample, prob_passed_together
from tunegate.harness.statistics.paired import LEVEL, sealed_level
from tunegate.harness.statistics.power import POWER, Continuous, Levels
from tunegate.harness.statistics.sample_size import PassFail, more_outputs

USUAL_GAIN = 0.05
USUALLY = 0.95  # of equal models hold the margin that is named beside the one asked for
STILL = 1e-12  # the spread of scores that hardly move, in any unit
#: The true changes, in margins, whose verdicts a plan predicts.
CHANGES = {"-2 margins": -2.0, "-margin": -1.0, "-margin/2": -0.5, "no change": 0.0, "+margin": 1.0}


@dataclass(frozen=True)
class Chances:
    """The chance of each verdict at a true change; they add up to 1."""

    regressed: float
    inconclusive: float
    held: float
    improved: float


@dataclass(frozen=True)
class Plan:
    """A unit, its declarations, and what its cases can detect; unknown values are None.

    Attributes:
        n: observations; a group of cases is one.
        margin: in the score's own unit; None if the unit is not gated.
        gain: the gain to show, in the score's own unit.
        asked: the required chance to hold if nothing changed, so that all units of its task hold four times in five.
        power: None if there is no data to plan from.
        is_proven_elsewhere: a sealed unit proves the gain of this open one.
        parts: the parts with margins of their own.
        bounds: for continuous scores, the power of scores that hardly move, known also without data.
        group: the group of a guard that does not have to hold on its own.
    """

    unit: Unit
    role: str
    n: int
    margin: float | None
    gain: float | None
    asked: float
    seen: Seen
    power: PassFail | Continuous | None
    is_proven_elsewhere: bool = False
    parts: tuple[str, ...] = ()
    bounds: Continuous | None = None
    group: Together | None = None
    weight: float = 1.0

    @cached_property
    def chance(self) -> float | None:
        """The chance that it holds its margin if nothing changed."""
        return self.power.prob_held(self.n, self.margin) if self.power and self.margin else None

    @cached_property
    def needed(self) -> int | None:
        """The fewest observations that hold the margin with the required chance."""
        if not (self.power and self.margin) or not self._can_hold:
            return None
        fewest = self.power.cases_to_hold(self.margin, self.asked)
        wavers = fewest <= self.n and (self.chance or 0.0) < self.asked  # fewer would do, but these do not
        return self.power.cases_to_hold(self.margin, self.asked, least=self.n) if wavers else fewest

    @property
    def _can_hold(self) -> bool:
        """Whether any number of cases holds the margin: none does if too many scores move by ten margins."""
        return not isinstance(self.power, Continuous) or self.power.can_hold(self.margin or 0.0, self.asked)

    @cached_property
    def outputs_needed(self) -> int | None:
        """The fewest outputs per case with which the present cases would suffice; None if over 64 or unknown."""
        if not (self.power and self.margin and self.seen.noise) or (self.chance or 0.0) >= self.asked:
            return None
        for outputs in more_outputs(self.seen.outputs):
            power = _spreading(self.power, self.seen.with_outputs(self.unit.kind, outputs).spread)
            if power and power.prob_held(self.n, self.margin) >= self.asked:
                return outputs
        return None

    @cached_property
    def split(self) -> CaseSplit | None:
        """The best split of its cases into open and sealed ones; None if the unit is sealed or has a sealed one."""
        if not (self.power and self.margin and self._can_hold) or self.unit.sealed or self.is_proven_elsewhere:
            return None
        gain = min(self.gain, self.power.widest_gain) if self.role == "target" and self.gain else None
        return best_split(self.n, self.power, self.margin, gain, self.asked)

    @cached_property
    def chances(self) -> dict[str, Chances]:
        """The chances of each verdict by the name of a true change; impossible changes are left out."""
        if not (self.power and self.margin):
            return {}
        return {
            name: self.chances_of(share * self.margin)
            for name, share in CHANGES.items()
            if self.power.deepest_drop <= share * self.margin <= self.power.widest_gain
        }

    def chances_of(self, true: float) -> Chances:
        """Return the chances of each verdict at a true change."""
        if not (self.power and self.margin):
            raise ValueError(f"{self.unit.key} has no margin, or no data")
        regressed = self.power.prob_regressed(self.n, self.margin, true)
        held = self.power.prob_held(self.n, self.margin, true)
        improved = min(held, self.power.prob_improved(self.n, self.margin, true))
        return Chances(regressed, max(0.0, 1 - regressed - held), held - improved, improved)

    @property
    def near(self) -> float:
        """The share of its cases that training rows are presumed to come near."""
        power = self.power or self.bounds
        return power.near if power else 0.0

    @property
    def part(self) -> Sample:
        """Its cases as a sample of a group decision."""
        if not (isinstance(self.power, PassFail) and self.margin):
            raise ValueError(f"{self.unit.key} does not pass or fail, or has no margin")
        return Sample(self.n, self.power, self.margin, weight=self.weight, strict=self.unit.sealed)

    @property
    def false_alarm(self) -> float:
        """The chance that a critical case blocks an equal model, by a flip of one that the base passes."""
        if self.unit.kind != "pass/fail":
            return 0.0
        critical = sum(case.critical for case in self.unit.cases)
        armed = critical if self.seen.armed is None else self.seen.armed  # those that the base passes
        lost = (self.seen.spread or 0.0) / 2  # half of the flips, all of them on cases that the base passes
        return float(1 - (1 - min(1.0, lost / (self.seen.rate or 1.0))) ** armed)

    @cached_property
    def fewest(self) -> int:
        """The fewest observations that hold the margin if no score moves; fewer need a gain."""
        power = self.power or self.bounds
        return power.fewest(self.margin) if power and self.margin else 1

    @property
    def shows_share(self) -> bool:
        """Whether it has enough cases to bound the share that falls by ten margins, if falls are unbounded."""
        return self.bounds is None or self.n >= self.bounds.fewest_for_share

    @property
    def least_collapse(self) -> float | None:
        """The smallest `collapse`, to a tenth of a percent, that its cases can show; None without `collapse`."""
        if self.bounds is None or self.bounds.collapse is None:
            return None
        return math.ceil(1000 * binom_bound(0, self.n, self.bounds.levels.held)) / 1000

    @cached_property
    def held_margin(self) -> float | None:
        """The smallest margin that it holds with the required chance, at a `collapse` that its cases can show."""
        return self.smallest_margin(self.asked)

    @cached_property
    def usual_margin(self) -> float | None:
        """The smallest margin that it holds 95 % of the time if nothing changed, at that `collapse`."""
        return self.smallest_margin(USUALLY)

    def smallest_margin(self, chance: float) -> float | None:
        """Return the smallest margin that it holds with this chance if nothing changed, at that `collapse`."""
        power = self.power
        if isinstance(power, Continuous) and not self.shows_share:
            power = replace(power, collapse=self.least_collapse)
        return power.smallest_margin(self.n, chance) if power else None

    @cached_property
    def drop(self) -> float | None:
        """The minimum detectable drop: the smallest one that is called regressed four times in five."""
        return self.power.smallest_drop(self.n, self.margin) if self.power and self.margin else None

    @property
    def has_little_to_lose(self) -> bool:
        """Whether a pass/fail base passes less than the minimum detectable drop."""
        known = self.unit.kind == "pass/fail" and self.seen.rate is not None and self.drop is not None
        return bool(known and self.seen.rate < self.drop)  # type: ignore[operator]  # known: neither is None

    @cached_property
    def shown_gain(self) -> float | None:
        """The minimum detectable gain: the smallest one that is called improved four times in five."""
        return self.power.smallest_gain(self.n, self.margin) if self.power and self.margin else None

    @cached_property
    def gain_cases(self) -> int | None:
        """The fewest observations that show `gain` four times in five; None also if such a gain is impossible."""
        if not (self.power and self.margin and self.gain) or self.gain > self.power.widest_gain:
            return None
        return self.power.cases_to_improve(self.margin, self.gain)

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as JSON data, by the names above; unknown values are null."""
        return {
            "unit": self.unit.key, "role": self.role, "kind": self.unit.kind, "n": self.n, "margin": self.margin,
            "gain": self.gain, "asked": self.asked, "spread": self.seen.spread, "source": self.seen.source,
            "chance": self.chance, "needed": self.needed, "fewest": self.fewest, "held_margin": self.held_margin,
            "usual_margin": self.usual_margin, "near": self.near,
            "drop": self.drop, "shown_gain": self.shown_gain, "gain_cases": self.gain_cases,
            "outputs_needed": self.outputs_needed, "outputs": self.seen.outputs, "false_alarm": self.false_alarm,
            "split": asdict(self.split) if self.split else None,
            "chances": {name: asdict(each) for name, each in self.chances.items()},
            "span": self.seen.calls.span if self.bounds and self.seen.calls else None,
            "least_collapse": self.least_collapse,
        }  # fmt: skip


def plan_units(
    tasks: Sequence[Task],
    past: Past,
    only: str | None = None,
    margin: float | None = None,
    gain: float | None = None,
    near: float = 0.0,
) -> list[Plan]:
    """Plan every unit, or the one called `only`; labelled traffic has plans of its own: see `plan_labels`.

    `margin` replaces the declared ones of pass/fail units and of the unit called `only`; `gain` is the one that these
    have to show, None for five points with pass/fail. `near` is the share of the cases that training rows come near.

    Raises:
        UsageError: an invalid margin, gain or share.
        Refused: no such unit, or a damaged baseline.
    """
    chosen = find_unit(tasks, only) if only else None
    most = math.inf if chosen and chosen.kind == "continuous" else 1.0
    for name, value in (("--margin", margin), ("--gain", gain)):
        if value is not None and not 0 < value < most:
            share = "a number above 0" if most > 1 else "a share above 0 and below 1, such as .05 for five points"
            raise UsageError(f"{name}: expected {share}, found {value:g}")
    if not 0 <= near < 1:
        raise UsageError(
            f"--near: expected a share from 0 to below 1, such as .2 for 20 % of the cases, found {near:g}"
        )
    return [
        _plan(tasks, task, unit, look_up(unit, past), near, *_asked(unit, chosen, margin, gain))
        for task in tasks
        for unit in task.units
        if chosen in (None, unit) and not unit.labels
    ]


def _asked(
    unit: Unit, chosen: Unit | None, margin: float | None, gain: float | None
) -> tuple[float | None, float | None]:
    """Return the margin and gain of the options for a unit; a continuous one has its own scale."""
    if unit.kind == "pass/fail":
        return margin, gain or USUAL_GAIN
    return (margin, gain) if chosen else (None, None)


def _plan(
    tasks: Sequence[Task], task: Task, unit: Unit, seen: Seen, near: float, margin: float | None, gain: float | None
) -> Plan:
    declared, levels = task.policy.of(unit.name, unit.kind), _levels(tasks, task, unit, 2 if seen.beside else 1)
    weights = [_weight(task, each) for each in _gated(task)]
    # a release requires all units to hold, sealed ones too; a group counts as one
    together = sum(each is None for each in weights) + any(each is not None for each in weights)
    weight = _weight(task, unit)
    n = len(observed(unit, {case.id: 0.0 for case in unit.cases}))
    sealed = {task.policy.of(each.name, each.kind).seals for each in task.units if each.sealed}
    asked = POWER ** (1 / max(together, 1))
    bounds = _bounds(unit, seen, levels, declared, near)
    power = _spreading(bounds or PassFail(0.0, seen.rate, levels, seen.beside, near), seen.spread)
    return Plan(
        unit, declared.role, n, margin or declared.margin, gain, asked, seen, power, unit.name in sealed,
        tuple(declared.parts), bounds, task.policy.together if weight else None, weight or 1.0,
    )  # fmt: skip


def _weight(task: Task, unit: Unit) -> float | None:
    """Return the weight of a guard in its group; None if it has to hold its own margin, also as the only sealed one."""
    weight = task.policy.weight(unit.name)
    if weight is None:
        return None
    alike = [each for each in task.units if each.sealed == unit.sealed and task.policy.weight(each.name) is not None]
    return weight if len(alike) > 1 else None


def _spreading(power: PassFail | Continuous, spread: float | None) -> PassFail | Continuous | None:
    """Return the power at this flip rate or standard deviation; None if the latter is unknown."""
    if isinstance(power, PassFail):
        return replace(power, flip_rate=spread or 0.0)
    return replace(power, sd=spread) if spread else None


def _bounds(unit: Unit, seen: Seen, levels: Levels, declared: UnitPolicy, near: float) -> Continuous | None:
    """Return the bounds of continuous scores: the largest cost of a call, or the share that falls by ten margins."""
    if unit.kind == "pass/fail":
        return None
    calls = seen.calls
    is_bounded = calls is not None and calls.span is not None
    collapse = None if is_bounded else declared.collapse
    return Continuous(STILL, levels, calls.seen_span if calls else None, collapse, seen.beside, near)


def passes_together(plans: Sequence[Plan]) -> tuple[float, float | None]:
    """Return the chances that a task passes an equal model, and one that gains `gain` on every target.

    Open units with a sealed counterpart and guards of a group must not regress; groups and all other units must hold,
    and no critical case may flip. The second chance is None without a target or a gain. Units are treated as
    independent.
    """
    held, grouped = _held_together(plans)
    equal, gained, aims = held, held, False
    for each in plans:
        still = each.chances_of(0.0)
        passes = 1 - still.regressed if each.is_proven_elsewhere or each.group else still.held + still.improved
        passes = 1.0 if each.unit.key in grouped else passes
        passes *= 1 - each.false_alarm
        equal *= passes
        if each.role == "target" and not each.is_proven_elsewhere and each.gain and each.power:
            aims = True
            passes = each.chances_of(min(each.gain, each.power.widest_gain)).improved
        gained *= passes
    return equal, gained if aims else None


def _held_together(plans: Sequence[Plan]) -> tuple[float, list[str]]:
    """Return the chance that the groups hold with no guard regressed, and the keys of the guards it covers."""
    chance, keys = 1.0, []
    for sealed in (False, True):
        members = [each for each in plans if each.group and each.unit.sealed == sealed]
        if len(members) > 1 and not all(each.is_proven_elsewhere for each in members):
            parts = [each.part for each in members]
            margin = next(each.group.margin for each in members if each.group)
            chance *= prob_passed_together(parts, margin, min(part.power.levels.held for part in parts))
            keys += [each.unit.key for each in members]
    return chance, keys


def _levels(tasks: Sequence[Task], task: Task, unit: Unit, references: int) -> Levels:
    """Return the levels of a unit: worse corrected for all units and references, better for its task's targets."""
    # the strictest possible correction: Holm's may be milder, but depends on the results; for sealed cases, the level
    # of the first evaluation
    level = sealed_level(1) if unit.sealed else LEVEL
    family = references * max(sum(len(_gated(each)) for each in tasks), 1)
    targets = len({*task.policy.targets, unit.name})
    return Levels(level, LEVEL / family, level / targets)  # worse is tested at the full level


def _gated(task: Task) -> list[Unit]:
    return [unit for unit in task.units if task.policy.of(unit.name, unit.kind).margin is not None]
