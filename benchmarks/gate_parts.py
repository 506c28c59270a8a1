"""Parts of a pass rule with margins of their own: how often innocent ones block, and a fallen one is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.gate_passfail import Cell, seen
from benchmarks.gate_rule import SUITES, Floats, significant
from benchmarks.gate_slices import counts
from benchmarks.gate_worlds import Mismatch, UnitWorld, World, decided
from tunegate.harness.gate.families import LEVEL, SEED

PARTS = 3  # of a unit: a case passes where all of them are met
MET = 0.8  # of the cases, each part


@dataclass(frozen=True)
class FallingParts:
    """Five units of three gated parts each, of which one part of the first falls by `change`, in margins.

    `regressed` is how often any unit or part is called regressed, `found` how often that part is.
    """

    n: int
    flip_rate: float
    change: float
    regressed: float
    found: float
    draws: int


def falling_parts(n: int, flip_rate: float, change: float, draws: int, worlds: int) -> FallingParts:
    """Draw families; a part flips with a chance of its own, and what the unit makes of it is the AND of its parts.

    Raises:
        Mismatch: the shipped gate evaluated one of `worlds` further families differently.
    """
    random = np.random.default_rng([SEED, n, round(1e4 * flip_rate), round(100 * -change)])
    for number in range(worlds):
        _tie(_family(n, flip_rate, change, random), number)
    found = [_regressed(_family(n, flip_rate, change, random)) for _ in range(draws)]
    blocked, fell = (float(np.mean(each)) for each in ([any(flags) for flags in found], [flags[1] for flags in found]))
    return FallingParts(n, flip_rate, change, blocked, fell, draws)


def _family(n: int, flip_rate: float, change: float, random: np.random.Generator) -> list[list[tuple[Floats, Floats]]]:
    """Of every unit the parts, before and after."""
    return [
        [_part(n, flip_rate, change if (unit, part) == (0, 0) else 0.0, random) for part in range(PARTS)]
        for unit in range(SUITES)
    ]


def _part(n: int, flip_rate: float, change: float, random: np.random.Generator) -> tuple[Floats, Floats]:
    d = random.choice([-1.0, 1.0, 0.0], p=Cell(n, flip_rate, change).chances, size=n)
    before = np.select([d < 0, d > 0], [1.0, 0.0], (random.random(n) < MET).astype(float))
    return before, before + d


def _whole(parts: Sequence[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    before, after = (np.minimum.reduce([part[side] for part in parts]) for side in (0, 1))
    return before, after


def _regressed(family: Sequence[Sequence[tuple[Floats, Floats]]]) -> list[bool]:
    """Which units and parts, unit by unit and the parts after the whole, are worse in one family and not held."""
    sides = [each for parts in family for each in (_whole(parts), *parts)]
    found = [seen(*counts(after - before)) for before, after in sides]
    flags = significant([each.worse for each in found], LEVEL)
    return [flag and not each.held for flag, each in zip(flags, found, strict=True)]


def _tie(family: Sequence[Sequence[tuple[Floats, Floats]]], number: int) -> None:
    """One family judged here and by the shipped gate."""
    mine = _regressed(family)
    units = [
        UnitWorld(*_whole(parts), parts={f"part{place}": part for place, part in enumerate(parts)}) for parts in family
    ]
    shipped = list(decided(World(tuple(units))).verdicts.values())
    expected = [any(mine[start : start + PARTS + 1]) for start in range(0, len(mine), PARTS + 1)]
    if expected != [each.verdict == "regressed" for each in shipped]:
        raise Mismatch(f"world {number}: expected regressed {expected}, found {[each.verdict for each in shipped]}")
