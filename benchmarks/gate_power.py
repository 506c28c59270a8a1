"""Pass/fail: how often the gate finds what is true, beside how often any test of 5 % could.

No test of that size holds an equal model more often than the best test of one single loss, the margin with a certain
chance of a fix beside it: the likelihood ratio, ties by lot (Neyman and Pearson, 1933). The least over all such losses
bounds every test. So it is for a gain, against no change with a certain flip rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

from benchmarks.gate_grid import held_before
from benchmarks.gate_passfail import row
from benchmarks.gate_rule import Floats
from tunegate.harness.gate.families import LEVEL, SEED
from tunegate.harness.statistics import paired as stats

SIZE = 0.05
GAIN = 0.1
GRID = 25  # nulls that are tried before the least is looked for between two of them
UNLIKELY = 1e-12  # tables whose chance is smaller than that in the world are not judged
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Powers:
    """How often no change is held to the margin, and a gain of ten points improved; exact. `bound`: by any test."""

    n: int
    margin: float
    flip_rate: float
    held: float
    held_before: float
    held_bound: float
    improved: float
    improved_bound: float


def powers(n: int, margin: float, flip_rate: float) -> Powers:
    """Judge every likely table of a world, and look for the hardest null of it."""
    reverse = flip_rate / 2
    same, gained = (reverse, reverse), (reverse, reverse + GAIN)
    most = (1 - margin) / 2
    return Powers(
        n, margin, flip_rate,
        held=shown(n, same, lambda *table: is_held(n, margin, *table)),
        held_before=shown(n, same, lambda *table: held_before(row(n, *table), margin)),
        held_bound=bound(n, same, lambda fix: (fix + margin, fix), most),
        improved=shown(n, gained, lambda *table: is_held(n, margin, *table) and is_better(n, *table)),
        improved_bound=bound(n, gained, lambda flip: (flip, flip), 0.5),
    )  # fmt: skip


@cache
def is_held(n: int, margin: float, regressed: int, fixed: int, level: float = LEVEL) -> bool:
    """Whether the gate holds a unit with these counts."""
    return stats.held(row(n, regressed, fixed), margin, level)


@cache
def is_better(n: int, regressed: int, fixed: int, level: float = LEVEL) -> bool:
    """Whether the gate shows a gain of the only target."""
    return stats.p_better(row(n, regressed, fixed), seed=SEED).p <= level


def shown(n: int, world: tuple[float, float], rule: Callable[[int, int], bool]) -> float:
    """Return the chance of the tables that a rule says yes to."""
    return sum(chance for *table, chance in likely_tables(n, world) if rule(*table))


def likely_tables(n: int, world: tuple[float, float]) -> Iterator[tuple[int, int, float]]:
    """The counts of regressed and fixed cases and the chance of each, but for those that hardly ever come."""
    chances = _chances(n, world)
    for place in np.flatnonzero(chances > UNLIKELY):
        yield int(_counts(n)[0][place]), int(_counts(n)[1][place]), float(chances[place])


def bound(n: int, world: tuple[float, float], null: Callable[[float], tuple[float, float]], most: float) -> float:
    """Return the least power, over the nulls from 0 to `most`, of the best test of each."""

    def power(share: float) -> float:
        return best_power(n, world, null(share * most))

    tried = np.linspace(0, 1, GRID) ** 2  # nearer one another where few cases flip
    found = [power(float(share)) for share in tried]
    least = int(np.argmin(found))
    near = (float(tried[max(least - 1, 0)]), float(tried[min(least + 1, GRID - 1)]))
    return min(found[least], float(minimize_scalar(power, bounds=near, method="bounded").fun))


def best_power(n: int, world: tuple[float, float], null: tuple[float, float]) -> float:
    """Return the power of the likelihood ratio of one world against one null, at the size."""
    under_world, under_null = _chances(n, world), _chances(n, null)
    with np.errstate(over="ignore"):
        ratio = np.divide(under_world, under_null, out=np.full(len(under_null), np.inf), where=under_null > 0)
    order = np.argsort(-ratio, kind="stable")
    size = np.cumsum(under_null[order])
    whole = int(np.searchsorted(size, SIZE, side="right"))
    power = float(under_world[order[:whole]].sum())
    if whole == len(order):
        return power
    # the next table is taken by lot: with as much of its chance as the size has left
    left = SIZE - (size[whole - 1] if whole else 0.0)
    return power + float(left * ratio[order[whole]])


@cache
def _counts(n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    regressed, fixed = np.nonzero(np.tri(n + 1, dtype=bool)[::-1])
    return regressed, fixed


@cache
def _ways(n: int) -> Floats:
    regressed, fixed = _counts(n)
    ways: Floats = gammaln(n + 1) - gammaln(regressed + 1) - gammaln(fixed + 1) - gammaln(n - regressed - fixed + 1)
    return ways


def _chances(n: int, world: tuple[float, float]) -> Floats:
    """The chance of each table where a case regresses and is fixed with these chances."""
    regressed, fixed = _counts(n)
    logs = np.log(np.maximum([*world, 1 - sum(world)], np.finfo(float).tiny))
    chances: Floats = np.exp(_ways(n) + regressed * logs[0] + fixed * logs[1] + (n - regressed - fixed) * logs[2])
    return chances
