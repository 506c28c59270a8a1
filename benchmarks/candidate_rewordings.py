"""Harmless rewordings under the margins that are proposed: how often they pass, and which losses pass with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.candidate_worlds import PASSING, Flags, Shape, answers, check_whole, passes, worse
from benchmarks.gate_worlds import UnitWorld, World, built
from tunegate.harness.begin.scaffold.outlook import REWORDED_FLIP_RATE, half_points, rewording_margin
from tunegate.harness.gate.planning.history import Past
from tunegate.harness.gate.planning.plan import Plan, passes_together, plan_units
from tunegate.harness.gate.planning.whole_tasks import with_anchor
from tunegate.harness.statistics.sample_size import PassFail
from tunegate.harness.statistics.second_reference import own_flips

SIZES, FLIP_RATES, UNITS = (60, 100, 200), (0.05, 0.1, 0.2), (1, 4)
SHARES = tuple(step / 10 for step in range(1, 26))  # of the margin, lost
SEED = 20_261_130
WIDEST = 0.35  # of a proposal


@dataclass(frozen=True)
class Passed:
    """How often a rewording passes under a margin: beside what is in service, with the anchor too, and as foretold."""

    margin: float
    alone: float
    both: float
    foretold: float
    foretold_both: float


@dataclass(frozen=True)
class Rewording:
    """A task, and rewordings under three margins; the true losses of one unit that pass half and a fifth of the time.

    `first` is the margin that `plan` names with one reference, `anchored` the one that it names with two, `guess` that
    of `init`, which assumes a flip rate and does not know how many cases pass. The losses pass under `anchored`, with
    the anchor; None if not reached.
    """

    shape: Shape
    first: Passed
    anchored: Passed
    guess: Passed
    half: float | None
    fifth: float | None
    draws: int


def rewording(shape: Shape, draws: int, worlds: int) -> Rewording:
    """Draw the candidates of one task under each margin.

    Raises:
        Mismatch: the shipped gate decided one of the first `worlds` whole worlds otherwise.
    """
    plans = plans_of(shape, shape.flip_rate)
    margins = [
        half_points(each.held_margin) or WIDEST for each in (plans[0], with_anchor(plans[0]))
    ] + [rewording_margin(unmeasured(shape)) or WIDEST]  # fmt: skip
    random = np.random.default_rng([SEED, shape.n, round(1e4 * shape.flip_rate), shape.units])
    units = [_drawn(shape, draws, 0.0, random) for _ in range(shape.units)]
    found = [_passed(shape, margin, units, worlds) for margin in margins]
    losses = _losses(shape, margins[1], units[1:], draws, random)
    return Rewording(shape, found[0], found[1], found[2], *(_crossing(losses, share) for share in (0.5, 0.2)), draws)


def plans_of(shape: Shape, flip_rate: float) -> list[Plan]:
    """What `tunegate plan --flip-rate` says of such a task, whose base is recorded and in service."""
    unit = UnitWorld(np.ones(shape.n), np.ones(shape.n))
    task, _, _ = built(World((unit,) * shape.units))
    rate = PASSING + own_flips(shape.flip_rate) * (1 - 2 * PASSING)
    found = []
    for each in plan_units([task], Past(flip_rate=flip_rate)):
        assert isinstance(each.power, PassFail)  # noqa: S101  (narrows the type)
        found.append(replace(each, seen=replace(each.seen, is_first=True), power=replace(each.power, rate=rate)))
    return found


def unmeasured(shape: Shape) -> Plan:
    """What `init` knows of a unit of such a task."""
    return replace((plan := plans_of(shape, REWORDED_FLIP_RATE)[0]), power=replace(plan.power, rate=None))


def foretold(shape: Shape, margin: float, anchored: bool) -> float:
    """How often `tunegate plan` says that an equal model passes."""
    plans = [replace(each, margin=margin, role="guard") for each in plans_of(shape, shape.flip_rate)]
    return passes_together([with_anchor(each) for each in plans] if anchored else plans)[0]


def _drawn(shape: Shape, draws: int, loss: float, random: np.random.Generator) -> tuple[Flags, list[Flags]]:
    """Candidates, one a row, and what they are compared with: in service, and the anchor."""
    steady = random.random((draws, shape.n)) < PASSING
    references = [answers(steady, shape.flip_rate, random) for _ in range(2)]
    return answers(worse(steady, loss, shape.flip_rate, random), shape.flip_rate, random), references


def _passed(shape: Shape, margin: float, units: Sequence[tuple[Flags, list[Flags]]], worlds: int) -> Passed:
    rates = []
    for count in (1, 2):
        beside = [(candidates, references[:count]) for candidates, references in units]
        found = np.all([passes(*each, margin) for each in beside], axis=0)
        check_whole(beside, margin, found[:worlds], f"rewordings, {shape}, {count} references")
        rates.append(float(found.mean()))
    return Passed(margin, rates[0], rates[1], foretold(shape, margin, False), foretold(shape, margin, True))


def _losses(
    shape: Shape, margin: float, others: Sequence[tuple[Flags, list[Flags]]], draws: int, random: np.random.Generator
) -> list[tuple[float, float]]:
    """How often a true loss of one unit passes, by its size."""
    rest = np.prod([passes(*each, margin).mean() for each in others]) if others else 1.0
    found = []
    for share in SHARES:
        candidates, references = _drawn(shape, draws, share * margin, random)
        found.append((share * margin, float(passes(candidates, references, margin).mean() * rest)))
    return found


def _crossing(losses: Sequence[tuple[float, float]], share: float) -> float | None:
    """The loss that passes so often, between the two nearest."""
    for (before, high), (after, low) in zip([(0.0, 1.0), *losses], losses, strict=False):
        if low <= share:
            return before + (after - before) * (high - share) / (high - low) if high > low else after
    return None
