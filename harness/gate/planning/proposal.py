"""Proposals of declarations that release an honest adapter: the smallest margins, guards singly or together, the split.

An honest adapter is equal on every guard and gains the expected amount on every target. The chances cover only the
pass/fail units, not continuous units and critical cases. Units are treated as independent.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from tunegate.harness.cases.model import Task
from tunegate.harness.cases.policy import Together
from tunegate.harness.gate.planning.plan import Plan
from tunegate.harness.gate.planning.split import LEAST_OPEN, LEAST_SEALED
from tunegate.harness.statistics.joint import (
    Sample,
    prob_improved,
    prob_not_regressed,
    prob_passed,
    prob_passed_together,
)
from tunegate.harness.statistics.paired import LEVEL, sealed_level
from tunegate.harness.statistics.power import POWER, Levels
from tunegate.harness.statistics.sample_size import PassFail

HONEST_GAIN = 0.15  # of an adapter that is worth a release, on each target
MARGINS = tuple(step / 200 for step in range(1, 71))  # half points, to 35: a wider margin guards nothing
SPARED = 0.95  # the share that the guards pass if the targets have too few cases for POWER
THROUGH = 1 - POWER  # a loss that passes no more often than this is detected
SHARES = (LEAST_SEALED, 0.6, 0.7, 1 - LEAST_OPEN)  # of the cases, sealed
MOST_CASES = 2_000  # per unit: more are unrealistic


@dataclass(frozen=True)
class Work:
    """A pass/fail unit with its open cases and the sealed ones that prove it; one of the two may be None."""

    name: str
    target: bool
    open: Sample | None
    sealed: Sample | None = None

    @property
    def decides(self) -> Sample:
        """The part that must improve, or hold."""
        part = self.sealed or self.open
        if part is None:
            raise ValueError(f"{self.name} has no cases")
        return part

    def with_each(self, **values: Any) -> Work:
        """Return the unit with other values of its samples, open and sealed: another margin, or another true change."""
        open_, sealed = (part and replace(part, **values) for part in (self.open, self.sealed))
        return replace(self, open=open_, sealed=sealed)

    @property
    def room(self) -> float:
        """The largest gain that both parts have room for: one without a baseline has room for any."""
        return min(part.power.widest_gain for part in (self.open, self.sealed) if part)

    @property
    def kept(self) -> float:
        """The chance that open cases do not block if sealed ones decide."""
        return prob_not_regressed(self.open) if self.open and self.sealed else 1.0


@dataclass(frozen=True)
class Way:
    """One way to declare the guards, singly or `together`, and its chances.

    Attributes:
        margin: of each guard, or of all together; None if none is wide enough, or there is no guard.
        open: the number of open cases by unit name.
        sealed: the number of sealed cases by unit name.
        released: the chance that an honest adapter is released.
        loss: the smallest true loss of one guard that is released at most once in five, or None.
    """

    together: bool
    margin: float | None
    open: dict[str, int]
    sealed: dict[str, int]
    released: float
    loss: float | None

    @property
    def passes(self) -> bool:
        """Whether an honest adapter is released four times in five."""
        return self.released >= POWER


@dataclass(frozen=True)
class Proposal:
    """The proposal for a task.

    Attributes:
        declared: the chance that an honest adapter is released with today's declarations.
        shown: the chance that the targets show their gain, regardless of the margins.
        target_cases: the cases per target for that chance to be four in five; None if it is, or without a target.
        sealable: the cases per unit needed to seal some at these margins, if there are too few; None if over 2,000.
        is_split: the task has sealed cases already, and the split is kept.
    """

    task: str
    gain: float
    targets: tuple[str, ...]
    guards: tuple[str, ...]
    declared: float
    shown: float
    target_cases: int | None
    sealable: int | None
    is_split: bool
    ways: tuple[Way, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the proposal as JSON data, by the names above."""
        return asdict(self)


@dataclass(frozen=True)
class Margins:
    """The smallest margins of each guard and of all together (None if none suffices), and the least chance of release.

    `shown` is the chance that the targets show their gain.
    """

    singly: float | None
    together: float | None
    shown: float
    released: float


@dataclass(frozen=True)
class _Question:
    """A task's pass/fail units, the size of the family of tests for worse, and the declared group of guards."""

    task: Task
    works: tuple[Work, ...]
    family: int
    gain: float
    group: Together | None

    @property
    def targets(self) -> list[Work]:
        return [work for work in self.works if work.target]

    @property
    def guards(self) -> list[Work]:
        return [work for work in self.works if not work.target]

    @property
    def is_open(self) -> bool:
        """Whether no case is sealed yet, so that a split can be proposed."""
        return all(work.open and not work.sealed for work in self.works)

    @cached_property
    def shown(self) -> float:
        return chance_targets(self.targets, self.gain)


def proposals(tasks: Sequence[Task], plans: Sequence[Plan], gain: float | None = None) -> dict[str, Proposal]:
    """Return a proposal for each task whose policy releases an honest adapter less than four times in five."""
    found = {}
    for task in tasks:
        mine = [each for each in plans if each.unit.task == task.name]
        chance = honest_release(task, mine, gain)
        if chance is not None and chance < POWER and (made := propose(task, mine, gain)):
            found[task.name] = made
    return found


def propose(task: Task, plans: Sequence[Plan], gain: float | None = None) -> Proposal | None:
    """Return the proposal for a task, from the plans of all its units; None without data on a pass/fail unit.

    `gain` is that of an honest adapter on each target; None for 15 points.
    """
    asked = _question(task, plans, gain or HONEST_GAIN)
    if not asked.works:
        return None
    ways = _ways(asked)
    whole = [way for way in ways if not any(way.sealed.values())]
    sealable = None if len(ways) > len(whole) or not asked.is_open else _sealable(asked, whole[-1])
    return Proposal(
        task.name, asked.gain, tuple(work.name for work in asked.targets), tuple(work.name for work in asked.guards),
        _declared(asked), asked.shown, _target_cases(asked), sealable, not asked.is_open, tuple(ways),
    )  # fmt: skip


def honest_release(task: Task, plans: Sequence[Plan], gain: float | None = None) -> float | None:
    """Return how often the declarations release an honest adapter; None without data on a pass/fail unit."""
    asked = _question(task, plans, gain or HONEST_GAIN)
    return _declared(asked) if asked.works else None


def smallest_margins(task: Task, plans: Sequence[Plan], gain: float | None = None) -> Margins:
    """Return the margins that a proposal would name for the present cases."""
    asked = _question(task, plans, gain or HONEST_GAIN)
    kinds = (False, True) if len(asked.guards) > 1 else (False,) if asked.guards else ()
    found = {}
    for together in kinds:
        passing = _passing(asked.guards, together)
        if margin := _smallest_margin(passing, asked.shown):
            found[together] = (margin, asked.shown * passing(margin))
    least = min((released for _, released in found.values()), default=0.0 if asked.guards else asked.shown)
    margins = {together: margin for together, (margin, _) in found.items()}
    return Margins(margins.get(False), margins.get(True), asked.shown, least)


def chance_targets(targets: Sequence[Work], gain: float) -> float:
    """Return P(every target shows its gain, and none of its open cases blocks); 1 without targets."""
    found = 1.0
    for work in targets:
        better = work.with_each(change=min(gain, work.room))
        found *= better.kept * prob_improved(better.decides)
    return found


def chance_guards(guards: Sequence[Work]) -> float:
    """Return P(every guard holds its own margin and none is regressed)."""
    return math.prod(work.kept * prob_passed(work.decides) for work in guards)


def chance_together(guards: Sequence[Work], margin: float) -> float:
    """Return P(the guards hold the margin together, open ones and sealed ones, and none is regressed)."""
    if not guards:
        return 1.0
    unsealed = [work.open for work in guards if work.open]
    sealed = [work.sealed for work in guards if work.sealed]
    found = math.prod(map(prob_passed, sealed))  # a single one has to hold its own margin
    if len(sealed) > 1:
        found = prob_passed_together(sealed, margin, min(part.power.levels.held for part in sealed))
    if all(work.sealed for work in guards):
        return found * math.prod(work.kept for work in guards)
    return found * prob_passed_together(unsealed, margin, LEVEL)


def _question(task: Task, plans: Sequence[Plan], gain: float) -> _Question:
    known = {each.unit.name: each for each in plans if isinstance(each.power, PassFail) and each.margin}
    sealing = {task.policy.of(name, "pass/fail").seals: name for name, each in known.items() if each.unit.sealed}
    works = []
    for name, each in known.items():
        if each.unit.sealed and task.policy.of(name, "pass/fail").seals in known:
            continue
        part, proof = each.part, known.get(sealing.get(name, ""))
        parts = (None, part) if each.unit.sealed else (part, proof.part if proof else None)
        works.append(Work(name, each.role == "target", *parts))
    family = max((round(LEVEL / each.power.levels.worse) for each in known.values() if each.power), default=1)
    return _Question(task, tuple(works), family, gain, task.policy.together)


def _declared(asked: _Question) -> float:
    group = asked.group
    members = [work for work in asked.guards if group and work.name in group.weights]
    others = [work for work in asked.guards if work not in members]
    held = chance_together(members, group.margin) if group else 1.0
    return asked.shown * chance_guards(others) * held


def _ways(asked: _Question) -> list[Way]:
    """Return the ways with guards singly and together: with the present cases, and split if that releases enough."""
    kinds = [False, *([True] if len(asked.guards) > 1 else [])]
    found = [_way(asked, asked.works, together) for together in kinds]
    if asked.is_open:
        found += [way for together in kinds if (way := _best_split(asked, together)) and way.passes]
    return found


def _best_split(asked: _Question, together: bool) -> Way | None:
    """Return the best split: the targets show most, the guards hold the smallest margin; None if none suffices."""
    cut = {share: [_cut(asked, work, share) for work in asked.works] for share in SHARES}
    targets = {share: [work for work in works if work.target] for share, works in cut.items()}
    shown = {share: round(chance_targets(works, asked.gain), 6) for share, works in targets.items()}
    most = max(SHARES, key=lambda share: shown[share])
    guards = {share: [work for work in works if not work.target] for share, works in cut.items()}
    if shown[most] < POWER:
        return None
    if not asked.guards:  # prefer more open cases
        most = next(share for share in SHARES if shown[share] >= POWER)
    best = most
    if asked.guards:
        margins = {share: _smallest_margin(_passing(works, together), shown[most]) for share, works in guards.items()}
        best = min(SHARES, key=lambda share: margins[share] or math.inf)
    return _way(asked, [*targets[most], *guards[best]], together)


def _cut(asked: _Question, work: Work, share: float, n: int | None = None) -> Work:
    """Return a unit with a share of its cases sealed, and the resulting levels of each part."""
    whole = work.decides
    n = n or whole.n
    apart = min(max(int(share * n), 1), max(n - 1, 1))
    family, targets = asked.family + len(asked.works), 2 * max(len(asked.targets), 1)
    first = sealed_level(1)
    unsealed, sealed = (Levels(level, LEVEL / family, level / targets) for level in (LEVEL, first))
    return Work(
        work.name, work.target,
        replace(whole, n=max(n - apart, 1), power=replace(whole.power, levels=unsealed)),
        replace(whole, n=apart, power=replace(whole.power, levels=sealed), strict=True),
    )  # fmt: skip


def _way(asked: _Question, works: Sequence[Work], together: bool) -> Way:
    guards = [work for work in works if not work.target]
    shown = chance_targets([work for work in works if work.target], asked.gain)
    passing = _passing(guards, together)
    margin = _smallest_margin(passing, shown) if guards else None
    return Way(
        together, margin,
        {work.name: work.open.n for work in works if work.open},
        {work.name: work.sealed.n for work in works if work.sealed},
        shown * (passing(margin) if margin else float(not guards)),
        _stopped(guards, together, margin) if margin else None,
    )  # fmt: skip


def _passing(guards: Sequence[Work], together: bool) -> Callable[[float], float]:
    """Return the chance that the guards pass a model, as a function of their margin, or of that of all together."""

    def passed(margin: float) -> float:
        each = [work.with_each(margin=margin) for work in guards]
        return chance_together(each, margin) if together else chance_guards(each)

    return passed


def _stopped(guards: Sequence[Work], together: bool, margin: float) -> float | None:
    """Return the loss of the weakest guard that is blocked four times in five; None if one has no such loss."""
    alike = {(work.open and work.open.n, work.sealed and work.sealed.n, work.decides.power): work for work in guards}
    losses = []
    for one in alike.values():
        others = [work for work in guards if work is not one]

        def passed(loss: float, one: Work = one, others: Sequence[Work] = others) -> float:
            return _passing([*others, one.with_each(change=-loss)], together)(margin)

        losses.append(_loss(passed))
    known = [loss for loss in losses if loss is not None]
    return max(known) if len(known) == len(losses) else None


def _smallest_margin(passed: Callable[[float], float], shown: float) -> float | None:
    """Return the smallest margin that releases an honest adapter four times in five.

    If the targets do not show its gain that often, or only with the widest margins, return the smallest margin at which
    the guards block at most one in twenty.
    """
    for asked in filter(lambda chance: chance <= 1, (POWER / shown if shown else math.inf, SPARED)):
        place = bisect_left(MARGINS, True, key=lambda margin: passed(margin) >= asked)
        while place and passed(MARGINS[place - 1]) >= asked:  # chances waver a little, as flips are whole numbers
            place -= 1
        if place < len(MARGINS):
            return MARGINS[place]
    return None


def _loss(passed: Callable[[float], float]) -> float | None:
    """Return the smallest loss, in half points, that passes at most once in five."""
    losses = [step / 200 for step in range(1, 200)]
    place = bisect_left(losses, True, key=lambda loss: passed(loss) <= THROUGH)
    return losses[place] if place < len(losses) else None


def _target_cases(asked: _Question) -> int | None:
    """Return the cases per target with which all targets show the gain four times in five."""
    if not asked.targets or asked.shown >= POWER:
        return None
    power = POWER ** (1 / len(asked.targets))
    parts = [(work.decides, min(asked.gain, work.room)) for work in asked.targets if work.room > 0]
    return max((part.power.cases_to_improve(part.margin, gain, power) for part, gain in parts), default=None)


def _sealable(asked: _Question, way: Way) -> int | None:
    """Return the cases per unit, in tens, of which three in four can be sealed at the margin of this way."""

    def released(n: int) -> float:
        works = [_cut(asked, work, 1 - LEAST_OPEN, n) for work in asked.works]
        held = _passing([work for work in works if not work.target], way.together)(way.margin or MARGINS[-1])
        return chance_targets([work for work in works if work.target], asked.gain) * held

    sizes = range(10, MOST_CASES + 1, 10)
    place = bisect_left(sizes, True, key=lambda n: released(n) >= POWER)
    return sizes[place] if place < len(sizes) else None
