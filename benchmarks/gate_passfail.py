"""Pass/fail units: every table of regressed and fixed cases, summed exactly, and seeded families of five."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, multinomial

from benchmarks.gate_rule import (
    MARGIN,
    OURS,
    RIVALS,
    SUITES,
    Floats,
    Rates,
    Seen,
    p_worse,
    rates,
    share_regressed,
    verdicts,
)
from benchmarks.gate_worlds import World, check, passfail_unit
from tunegate.harness.gate.families import SEED

Integers = NDArray[np.int64]

CHANGES = (0.0, -0.5, -1.0, -2.0)  # in margins
GAINS = (0.0, 1.0, 2.0)
NEGLIGIBLE = 1e-9  # the mass of the tables that are left out, at most


@dataclass(frozen=True)
class Cell:
    """A world: n cases, the share that flips (`flip rate`) and the true `change`, in margins."""

    n: int
    flip_rate: float
    change: float = 0.0

    @property
    def chances(self) -> tuple[float, float, float]:
        """Of a case that breaks, is fixed, stays."""
        delta = self.change * MARGIN
        flip = max(self.flip_rate, abs(delta))
        return (flip - delta) / 2, (flip + delta) / 2, 1 - flip


@dataclass(frozen=True)
class Tables:
    """The counts (regressed, fixed) that a cell gives, likeliest first, with their chances."""

    counts: tuple[tuple[int, int], ...]
    chance: Floats

    @property
    def left_out(self) -> float:
        """The mass of the tables that are not listed."""
        return abs(1 - float(self.chance.sum()))


def tables(cell: Cell) -> Tables:
    """List the tables until less than 1e-9 is left."""
    regressed, fixed, _ = cell.chances
    counts = np.stack(np.meshgrid(_likely(cell.n, regressed), _likely(cell.n, fixed)), axis=-1).reshape(-1, 2)
    counts = counts[counts.sum(axis=1) <= cell.n]
    whole = np.column_stack([counts, cell.n - counts.sum(axis=1)])
    chance = multinomial.pmf(whole, cell.n, cell.chances)
    order = np.argsort(-chance, kind="stable")
    enough = int(np.searchsorted(np.cumsum(chance[order]), 1 - NEGLIGIBLE / 2)) + 1
    kept = order[:enough]
    return Tables(tuple((int(regressed), int(fixed)) for regressed, fixed in counts[kept]), chance[kept])


def _likely(n: int, chance: float) -> Integers:
    """The counts of n that miss 1e-11 of the mass on either side."""
    low, high = binom.ppf(1e-11, n, chance), binom.isf(1e-11, n, chance)
    return np.arange(max(int(low), 0), int(high) + 1)


@cache
def seen(n: int, regressed: int, fixed: int) -> Seen:
    """The shipped statistics of a table."""
    return Seen(row(n, regressed, fixed), MARGIN, p_worse)


def row(n: int, regressed: int, fixed: int) -> Floats:
    """A table as differences."""
    return np.repeat([-1.0, 1.0, 0.0], [regressed, fixed, n - regressed - fixed])


def alone(cell: Cell) -> dict[str, Rates]:
    """The exact rates of a unit evaluated alone, by rule."""
    found = tables(cell)
    rivals = {
        name: rates([rule(*each, cell.n) for each in found.counts], found.chance) for name, rule in RIVALS.items()
    }
    return {OURS: ours(cell), **rivals}


def ours(cell: Cell) -> Rates:
    """The exact rates of the shipped rule for a unit evaluated alone."""
    found = tables(cell)
    return rates([verdicts([seen(cell.n, *each)])[0] for each in found.counts], found.chance)


@dataclass(frozen=True)
class InFive:
    """A unit beside four unchanged ones: how often it is `regressed`, and any unchanged unit (`false_regressed`)."""

    regressed: float
    false_regressed: float
    draws: int
    worlds: int


def in_five(cell: Cell, draws: int, worlds: int) -> InFive:
    """Judge seeded families of five units, the first of which changed, and hold some of them against the gate.

    Raises:
        Mismatch: the shipped gate evaluated one of the first `worlds` families differently.
    """
    random = np.random.default_rng([SEED, cell.n, round(1e4 * cell.flip_rate), round(100 * abs(cell.change))])
    changed = random.multinomial(cell.n, cell.chances, size=(draws, 1))
    others = random.multinomial(cell.n, Cell(cell.n, cell.flip_rate).chances, size=(draws, SUITES - 1))
    counts = np.concatenate([changed, others], axis=1)[:, :, :2].tolist()
    found = [verdicts([seen(cell.n, *each) for each in family]) for family in counts]
    for family, expected in zip(counts[:worlds], found, strict=False):
        check(_world(cell, family, random), expected, f"{cell}: {family}")
    innocent = 0 if cell.change == 0 else 1
    return InFive(
        regressed=share_regressed(each[:1] for each in found),
        false_regressed=share_regressed(each[innocent:] for each in found),
        draws=draws,
        worlds=worlds,
    )


def _world(cell: Cell, family: Sequence[Sequence[int]], random: np.random.Generator) -> World:
    return World(tuple(passfail_unit(random.permutation(row(cell.n, *each)), random) for each in family))


@dataclass(frozen=True)
class PassFail:
    """All that one cell came to."""

    cell: Cell
    alone: dict[str, Rates]
    five: InFive
    left_out: float


def passfail(n: int, flip_rate: float, draws: int, worlds: int) -> list[PassFail]:
    """Each true change at n cases and this flip rate."""
    cells = [Cell(n, flip_rate, change) for change in CHANGES]
    return [PassFail(cell, alone(cell), in_five(cell, draws, worlds), tables(cell).left_out) for cell in cells]


@dataclass(frozen=True)
class Gain:
    """How often a target with the cell's change is improved, exact."""

    cell: Cell
    improved: float


def gains(n: int, flip_rate: float) -> list[Gain]:
    """Each true gain, and none, at n cases and this flip rate."""
    cells = [Cell(n, flip_rate, change) for change in GAINS]
    return [Gain(cell, ours(cell).improved) for cell in cells]


@dataclass(frozen=True)
class Scan:
    """The largest exact rates of one unit alone over many n: "held" at a true change of -margin, "regressed" at 0."""

    flip_rate: float
    sizes: tuple[int, int]
    held: float
    held_at: int
    regressed: float
    regressed_at: int


def scan(sizes: tuple[int, int], flip_rate: float) -> Scan:
    """Look between the cells, at every n from the first to the last of `sizes`: verdicts move in teeth."""
    ns = range(sizes[0], sizes[1] + 1)
    held = max((ours(Cell(n, flip_rate, -1.0)).holds, n) for n in ns)
    regressed = max((ours(Cell(n, flip_rate)).regressed, n) for n in ns)
    return Scan(flip_rate, sizes, *held, *regressed)
