"""How many cases each unit needs, and what the ones it has can see: computed, without a model or a run."""

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
from tunegate.harness.planning.costs import CASES, held_with
from tunegate.harness.planning.history import USUAL_FLIP_RATES, Past, Seen, look_up, observed
from tunegate.harness.planning.split import CaseSplit, best_split
from tunegate.harness.statistics.distributions import binom_bound
from tunegate.harness.statistics.joint import Sample, prob_passed_together
from tunegate.harness.statistics.paired import LEVEL, sealed_level
from tunegate.harness.statistics.power import POWER, Continuous, Levels
from tunegate.harness.statistics.sample_size import PassFail, more_outputs

USUAL_GAIN = 0.05
STILL = 1e-12  # the spread of scores that hardly move, in any unit
#: True changes, in margins, whose verdicts a plan foretells.
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
    """A unit, what is asked of it, and what its cases can see; what cannot be said is None.

    `n` counts observations, of which a group of cases is one. `margin` and `gain` are in the score's own unit; a unit
    without a margin is not gated. `asked` is the chance with which it has to hold if nothing changed, so that all units
    of its task do four times in five. Without a `power` there is nothing to plan from; what `bounds` continuous scores
    is known even then, as a power of scores that hardly move. What a sealed unit proves for it `is_proven_elsewhere`.
    `parts` of it have margins of their own. A guard of a `group` need not hold by itself: all of them hold together.
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
        """The fewest observations that hold the margin with the chance asked for."""
        if not (self.power and self.margin) or not self._can_hold:
            return None
        fewest = self.power.cases_to_hold(self.margin, self.asked)
        wavers = fewest <= self.n and (self.chance or 0.0) < self.asked  # fewer would do, but these do not
        return self.power.cases_to_hold(self.margin, self.asked, least=self.n) if wavers else fewest

    @property
    def _can_hold(self) -> bool:
        """Whether any number of cases holds the margin: none does where too many scores move by ten margins."""
        return not isinstance(self.power, Continuous) or self.power.can_hold(self.margin or 0.0, self.asked)

    @cached_property
    def needed_between(self) -> tuple[int, int] | None:
        """The same at the flip rates that are usual; None where it was measured, or given."""
        if not (self.seen.is_assumed and isinstance(self.power, PassFail) and self.margin):
            return None
        low, high = (
            replace(self.power, flip_rate=rate).cases_to_hold(self.margin, self.asked) for rate in USUAL_FLIP_RATES
        )
        return low, high

    @cached_property
    def outputs_needed(self) -> int | None:
        """The fewest answers a case with which as many cases would do; None: 64 would not, or nobody knows."""
        if not (self.power and self.margin and self.seen.noise) or (self.chance or 0.0) >= self.asked:
            return None
        for outputs in more_outputs(self.seen.outputs):
            power = _spreading(self.power, self.seen.with_outputs(self.unit.kind, outputs).spread)
            if power and power.prob_held(self.n, self.margin) >= self.asked:
                return outputs
        return None

    @cached_property
    def split(self) -> CaseSplit | None:
        """How its cases are best split into open and sealed ones; None where they are sealed, or proven by such."""
        if not (self.power and self.margin and self._can_hold) or self.unit.sealed or self.is_proven_elsewhere:
            return None
        gain = min(self.gain, self.power.widest_gain) if self.role == "target" and self.gain else None
        return best_split(self.n, self.power, self.margin, gain, self.asked)

    @cached_property
    def chances(self) -> dict[str, Chances]:
        """What verdict to expect of true changes, by their names; without those for which the base leaves no room."""
        if not (self.power and self.margin):
            return {}
        return {
            name: self.chances_of(share * self.margin)
            for name, share in CHANGES.items()
            if self.power.deepest_drop <= share * self.margin <= self.power.widest_gain
        }

    def chances_of(self, true: float, n: int | None = None) -> Chances:
        """What verdict to expect of a true change, of so many observations, or of those that there are."""
        if not (self.power and self.margin):
            raise ValueError(f"{self.unit.key} has no margin, or nothing is known of it")
        cases = n or self.n
        regressed = self.power.prob_regressed(cases, self.margin, true)
        held = self.power.prob_held(cases, self.margin, true)
        improved = min(held, self.power.prob_improved(cases, self.margin, true))
        return Chances(regressed, max(0.0, 1 - regressed - held), held - improved, improved)

    @property
    def part(self) -> Sample:
        """Its cases, as they count where several units are decided together."""
        if not (isinstance(self.power, PassFail) and self.margin):
            raise ValueError(f"{self.unit.key} does not pass or fail, or has no margin")
        return Sample(self.n, self.power, self.margin, weight=self.weight, strict=self.unit.sealed)

    @property
    def false_alarm(self) -> float:
        """The chance that a critical case blocks an equal model: that one which the base passes happens to flip."""
        if self.unit.kind != "pass/fail":
            return 0.0
        critical = sum(case.critical for case in self.unit.cases)
        armed = critical if self.seen.armed is None else self.seen.armed  # one that the base fails is not
        lost = (self.seen.spread or 0.0) / 2  # half of the flips, all of them where the base passes
        return float(1 - (1 - min(1.0, lost / (self.seen.rate or 1.0))) ** armed)

    @cached_property
    def fewest(self) -> int:
        """The fewest observations that hold the margin where no score moves; with fewer it takes a gain."""
        power = self.power or self.bounds
        return power.fewest(self.margin) if power and self.margin else 1

    @property
    def shows_share(self) -> bool:
        """Whether it has the cases to show that few enough fall by ten margins, where nothing bounds a fall."""
        return self.bounds is None or self.n >= self.bounds.fewest_for_share

    @property
    def least_collapse(self) -> float | None:
        """The smallest `collapse`, to a tenth of a percent, that its cases can show; None where none is asked for."""
        if self.bounds is None or self.bounds.collapse is None:
            return None
        return math.ceil(1000 * binom_bound(0, self.n, self.bounds.levels.held)) / 1000

    @cached_property
    def by_tokens(self) -> dict[str, tuple[int, tuple[float, ...]]]:
        """Of a cost unit, by what `max_new_tokens` is: it, and how often 100 and 200 cases hold an equal model."""
        calls = self.seen.calls
        if not (isinstance(self.power, Continuous) and self.margin and calls and calls.output):
            return {}
        return {
            name: (limit, tuple(held_with(self.power, calls, n, self.margin, limit) for n in CASES))
            for name, limit in calls.choices().items()
        }

    @cached_property
    def held_margin(self) -> float | None:
        """The smallest margin that it holds with the chance asked for, at a `collapse` that its cases can show."""
        power = self.power
        if isinstance(power, Continuous) and not self.shows_share:
            power = replace(power, collapse=self.least_collapse)
        return power.smallest_margin(self.n, self.asked) if power else None

    @cached_property
    def drop(self) -> float | None:
        """The smallest true drop that is called regressed four times in five."""
        return self.power.smallest_drop(self.n, self.margin) if self.power and self.margin else None

    @property
    def has_little_to_lose(self) -> bool:
        """Whether cases pass or fail, and the base passes fewer than the smallest drop that is found."""
        known = self.unit.kind == "pass/fail" and self.seen.rate is not None and self.drop is not None
        return bool(known and self.seen.rate < self.drop)  # type: ignore[operator]  # known: neither is None

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
            "needed_between": self.needed_between, "answers_needed": self.outputs_needed,
            "outputs": self.seen.outputs, "false_alarm": self.false_alarm,
            "split": asdict(self.split) if self.split else None,
            "chances": {name: asdict(each) for name, each in self.chances.items()},
            "span": self.seen.calls.span if self.bounds and self.seen.calls else None,
            "least_collapse": self.least_collapse,
            "by_max_new_tokens": {
                name: {"max_new_tokens": limit, "held": dict(zip(map(str, CASES), held, strict=True))}
                for name, (limit, held) in self.by_tokens.items()
            },
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
    weights = [task.policy.weight(each.name) for each in _gated(task)]
    # a release needs all of them held, the sealed ones too, and those of a group as one
    together = sum(each is None for each in weights) + any(each is not None for each in weights)
    weight = task.policy.weight(unit.name)
    n = len(observed(unit, {case.id: 0.0 for case in unit.cases}))
    sealed = {task.policy.of(each.name, each.kind).seals for each in task.units if each.sealed}
    asked = POWER ** (1 / max(together, 1))
    bounds = _bounds(unit, seen, levels, declared)
    power = _spreading(bounds or PassFail(0.0, seen.rate, levels), seen.spread)
    return Plan(
        unit, declared.role, n, margin or declared.margin, gain, asked, seen, power, unit.name in sealed,
        tuple(declared.parts), bounds, task.policy.together if weight else None, weight or 1.0,
    )  # fmt: skip


def _spreading(power: PassFail | Continuous, spread: float | None) -> PassFail | Continuous | None:
    """The same where so much flips, or scores move so far; None where nobody knows how far they do."""
    if isinstance(power, PassFail):
        return replace(power, flip_rate=spread or 0.0)
    return replace(power, sd=spread) if spread else None


def _bounds(unit: Unit, seen: Seen, levels: Levels, declared: UnitPolicy) -> Continuous | None:
    """What bounds continuous scores: what one call can cost, or a promise of how many fall by ten margins."""
    if unit.kind == "pass/fail":
        return None
    calls = seen.calls
    is_bounded = calls is not None and calls.span is not None
    return Continuous(STILL, levels, calls.seen_span if calls else None, None if is_bounded else declared.collapse)


def passes_together(plans: Sequence[Plan]) -> tuple[float, float | None]:
    """How often the units of one task let an equal model pass, and one that gains what is hoped for on every target.

    What is open and proven by a sealed unit must not be regressed, nor a guard of a group, which has to hold as a
    whole; the rest must hold; and no critical case may flip. The second is None without a target, or where no gain is
    named. Units are taken for independent.
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
    """How often the groups of guards hold, none of them regressed, and the keys of those whose chance that holds."""
    chance, keys = 1.0, []
    for sealed in (False, True):
        members = [each for each in plans if each.group and each.unit.sealed == sealed]
        if len(members) > 1 and not all(each.is_proven_elsewhere for each in members):
            parts = [each.part for each in members]
            margin = next(each.group.margin for each in members if each.group)
            chance *= prob_passed_together(parts, margin, min(part.power.levels.held for part in parts))
            keys += [each.unit.key for each in members]
    return chance, keys


def _levels(tasks: Sequence[Task], task: Task, unit: Unit) -> Levels:
    """What is left to a unit where any of all may fall, and any of its task's targets rise; Holm may leave it more."""
    # the strictest part that it may get: how many units of the family hardly move, nobody knows before; for sealed
    # cases that of their first opening
    level = sealed_level(1) if unit.sealed else LEVEL
    family = max(sum(len(_gated(each)) for each in tasks), 1)
    targets = len({*task.policy.targets, unit.name})
    return Levels(level, LEVEL / family, level / targets)  # a fall is tested at the full level


def _gated(task: Task) -> list[Unit]:
    """The units of a task that get a verdict: those with a margin."""
    return [unit for unit in task.units if task.policy.of(unit.name, unit.kind).margin is not None]
