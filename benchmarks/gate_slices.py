"""Slices: how often innocent ones block, and how often a collapsed one is found inside a large unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gate_passfail import Cell, Integers, row, seen
from benchmarks.gate_rule import MARGIN, SUITES, Floats, significant, verdicts
from benchmarks.gate_worlds import World, check, decided, passfail_unit
from tunegate.harness.gate.families import LEVEL, SEED, SLICE_LEVEL
from tunegate.harness.models.evaluation.verdict import Verdict
from tunegate.harness.statistics import paired as stats
from tunegate.harness.statistics.paired import PValue

SMALL = (7, 8, 9, 10, 11, 12, 13, 15)  # cases of the slices of one unit; five units have 40
TOTAL = 400
OTHERS = tuple(7 + place % 7 for place in range(39))  # the sizes of the slices beside the collapsed one


def large(n: int) -> tuple[int, ...]:
    """Eight slices of a unit, from 15 cases to half of it."""
    return tuple(np.linspace(15, n // 2, 8).round().astype(int).tolist())


@cache
def _slice_seen(n: int, regressed: int, fixed: int) -> tuple[PValue, bool]:
    d = row(n, regressed, fixed)
    return stats.p_worse(d, seed=SEED, mid=False), stats.held(d, MARGIN, LEVEL)


def fallen(slices: Sequence[tuple[int, int, int]]) -> list[bool]:
    """Which slices (cases, regressed, fixed) block, in one family: significant, and not themselves held."""
    found = [_slice_seen(*each) for each in slices]
    flags = significant([p for p, _ in found], SLICE_LEVEL)
    return [flag and not held for flag, (_, held) in zip(flags, found, strict=True)]


@dataclass(frozen=True)
class Innocents:
    """Five unchanged units of eight slices: how often a slice blocks, or `either`: it does or a unit is regressed."""

    cell: Cell
    sizes: tuple[int, ...]
    slice_blocks: float
    either: float
    draws: int
    worlds: int


def innocents(n: int, flip_rate: float, sizes: tuple[int, ...], draws: int, worlds: int) -> Innocents:
    """Draw families without a change. A slice is a random part of its unit, so that slices may overlap.

    Raises:
        Mismatch: the shipped gate evaluated one of `worlds` further families differently.
    """
    cell, random = Cell(n, flip_rate), np.random.default_rng([SEED, n, round(1e4 * flip_rate), max(sizes)])
    for number in range(worlds):
        _tie(cell, sizes, random, number)
    units = random.multinomial(n, cell.chances, size=(draws, SUITES))[:, :, :2]
    slices = _slices(units, n, sizes, random)
    blocks = [any(fallen([tuple(each) for each in family])) for family in slices.tolist()]
    regressed = ["regressed" in verdicts([seen(n, *each) for each in family]) for family in units.tolist()]
    either = np.array(blocks) | np.array(regressed)
    return Innocents(cell, sizes, float(np.mean(blocks)), float(either.mean()), draws, worlds)


def _slices(units: Integers, n: int, sizes: Sequence[int], random: np.random.Generator) -> Integers:
    """The counts of random parts of units: (draws, units, 2) to (draws, units x sizes, 3)."""
    regressed, fixed = units[:, :, :1], units[:, :, 1:]
    size = np.broadcast_to(np.array(sizes), (*units.shape[:2], len(sizes)))
    lost = random.hypergeometric(regressed, n - regressed, size)
    gained = random.hypergeometric(fixed, n - regressed - fixed, size - lost)
    return np.stack([size, lost, gained], axis=-1).reshape(len(units), -1, 3)


def _tie(cell: Cell, sizes: Sequence[int], random: np.random.Generator, number: int) -> None:
    """One family case by case, judged here and by the shipped gate."""
    rows = random.choice([-1.0, 1.0, 0.0], p=cell.chances, size=(SUITES, cell.n))
    members = {
        f"s{place}.{number}": random.choice(cell.n, size, replace=False)
        for place in range(SUITES)
        for number, size in enumerate(sizes)
    }
    homes = {tag: rows[int(tag[1])][mine] for tag, mine in members.items()}
    flags = fallen([counts(d) for d in homes.values()])
    units = [
        replace(
            passfail_unit(d, random),
            slices={tag: frozenset(mine.tolist()) for tag, mine in members.items() if tag.startswith(f"s{place}.")},
        )
        for place, d in enumerate(rows)
    ]
    names = frozenset(f"{tag}=yes" for tag, flag in zip(homes, flags, strict=True) if flag)
    blocked = {int(tag[1]) for tag, flag in zip(homes, flags, strict=True) if flag}
    alone = verdicts([seen(*counts(d)) for d in rows])
    expected: list[Verdict] = ["regressed" if place in blocked else each for place, each in enumerate(alone)]
    check(World(tuple(units)), expected, f"{cell}, slices of {sizes} cases, world {number}", names)


def counts(d: NDArray[Any]) -> tuple[int, int, int]:
    """The cases of a unit, and how many regressed and were fixed."""
    return len(d), int((d < 0).sum()), int((d > 0).sum())


@dataclass(frozen=True)
class Fall:
    """What becomes of a slice of `size` cases: `regressed` of them regress, or each with a `chance`."""

    size: int
    regressed: int = 0
    chance: float = 0.0

    def __str__(self) -> str:
        return f"each of {self.size} with chance {self.chance:g}" if self.chance else f"{self.regressed} of {self.size}"

    def draw(self, random: np.random.Generator) -> Floats:
        """The differences of the slice."""
        regressed = int(random.binomial(self.size, self.chance)) if self.chance else self.regressed
        return row(self.size, regressed, 0)


FALLS = (Fall(10, 10), Fall(10, 9), Fall(7, 7), Fall(10, 7), Fall(10, chance=0.9), Fall(10, chance=0.7))


@dataclass(frozen=True)
class Collapse:
    """A fallen slice in 400 cases: how often it is found, and the unit's own verdict."""

    fall: Fall
    flip_rate: float
    found: float
    held: float
    regressed: float
    draws: int


def collapse(fall: Fall, flip_rate: float, draws: int) -> Collapse:
    """Decide whole worlds by the shipped gate: 400 cases in 40 slices, one collapsed, the others at a flip rate."""
    random = np.random.default_rng([SEED, fall.size, fall.regressed, round(100 * fall.chance), round(1e4 * flip_rate)])
    found = [decided(_collapsed(fall, flip_rate, random)) for _ in range(draws)]
    verdict = [next(iter(each.verdicts.values())) for each in found]
    return Collapse(
        fall, flip_rate,
        found=float(np.mean(["s00=yes" in each.worse_slices for each in verdict])),
        held=float(np.mean([each.interval[0] > -MARGIN for each in verdict])),
        regressed=float(np.mean([each.lower and each.interval[0] <= -MARGIN for each in verdict])),
        draws=draws,
    )  # fmt: skip


def _collapsed(fall: Fall, flip_rate: float, random: np.random.Generator) -> World:
    rest = random.choice([-1.0, 1.0, 0.0], p=Cell(TOTAL, flip_rate).chances, size=TOTAL - fall.size)
    ends = np.cumsum([0, fall.size, *OTHERS]).tolist()
    parts = {f"s{place:02}": frozenset(range(start, end)) for place, (start, end) in enumerate(pairwise(ends))}
    unit = passfail_unit(np.concatenate([fall.draw(random), rest]), random)
    return World((replace(unit, slices=parts),))
