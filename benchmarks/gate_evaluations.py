"""Sealed cases evaluated again and again: how often equal guards hold, and how often a target's gain is shown.

Each evaluation may spend a part of the level, so each shows less. Exact, twice: by what `tunegate plan` computes with,
and by every table of regressed and fixed cases as the gate's own tests decide it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from benchmarks.gate_passfail import row
from benchmarks.gate_power import is_better, is_held, shown
from benchmarks.gate_worlds import Mismatch, World, decided, passfail_unit
from tunegate.harness.gate.families import SEED
from tunegate.harness.statistics.paired import sealed_level
from tunegate.harness.statistics.power import Levels
from tunegate.harness.statistics.sample_size import Flips, PassFail, expected_flips

N, MARGIN, FLIP_RATE, GUARDS, GAIN = 100, 0.10, 0.10, 3, 0.15
LAST = 4


@dataclass(frozen=True)
class Evaluation:
    """The k-th evaluation: three equal guards held together, and a gain of 15 points improved; `planned` so by plan."""

    opening: int
    held: float
    improved: float
    planned: tuple[float, float]
    worlds: int


def evaluation(opening: int, worlds: int) -> Evaluation:
    """Judge the k-th evaluation.

    Raises:
        Mismatch: the shipped gate evaluated one of `worlds` seeded releases differently.
    """
    level, (same, gained) = sealed_level(opening), _flips()
    plan = PassFail(FLIP_RATE, levels=Levels(level, level, level))
    held = shown(N, (same.regressed, same.fixed), lambda *table: is_held(N, MARGIN, *table, level))
    improved = shown(
        N,
        (gained.regressed, gained.fixed),
        lambda *table: is_held(N, MARGIN, *table, level) and is_better(N, *table, level),
    )
    for number in range(worlds):
        _tie(opening, level, number)
    planned = plan.prob_held(N, MARGIN) ** GUARDS, plan.prob_improved(N, MARGIN, GAIN)
    return Evaluation(opening, held**GUARDS, improved, planned, worlds)


def _flips() -> tuple[Flips, Flips]:
    return expected_flips(0.0, FLIP_RATE), expected_flips(GAIN, FLIP_RATE)


def _tie(opening: int, level: float, number: int) -> None:
    """One release, judged here and by the shipped gate: a target that gains, and the guards."""
    random = np.random.default_rng([SEED, opening, number])
    same, gained = _flips()
    laws = [gained, *[same] * GUARDS]
    drawn = [random.multinomial(N, (each.regressed, each.fixed, 1 - each.either))[:2].tolist() for each in laws]
    units = [passfail_unit(random.permutation(row(N, *table)), random) for table in drawn]
    world = World(tuple(replace(unit, margin=MARGIN, opening=opening) for unit in units))
    shipped = [each.verdict for each in decided(world).verdicts.values()]
    held = [is_held(N, MARGIN, *table, level) for table in drawn]
    expected = [held[0] and is_better(N, *drawn[0], level), *held[1:]]
    if expected != [shipped[0] == "improved", *(each == "held" for each in shipped[1:])]:
        raise Mismatch(f"evaluation {opening}, world {number}: expected {expected}, found {shipped}")
