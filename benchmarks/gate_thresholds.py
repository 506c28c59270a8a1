"""Declared scores: an equal model that crosses its target score, and units that sit on their minimum score.

A case passes both times, once or never: before and after agree but for the flips, half of them each way.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.stats import binom

from benchmarks.gate_passfail import Cell, row, seen, tables
from benchmarks.gate_rule import Floats, Seen, share_regressed, significant, verdicts
from benchmarks.gate_worlds import TASK, Mismatch, UnitWorld, World, decided
from tunegate.harness.gate.families import LEVEL, SEED
from tunegate.harness.models.evaluation.verdict import Verdict
from tunegate.harness.statistics import paired as stats

RATES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.99)  # true ones, and target scores
WILSON_LEVEL = 0.05  # of a minimum score, in the rule before
SITTING = (*(step / 40 for step in range(20, 39)), 0.96, 0.97, 0.98, 0.99)
UNLIKELY = 1e-9  # what is not judged
BELOW = 0.1  # the points that a unit lies below its minimum score, where it is to be found


@dataclass(frozen=True)
class Crossed:
    """An equal model at a true pass `rate`: how often a target score releases it, exact; `before`: by the old door.

    That was a lower bound at the target or above it, and that of the base below it, beside a gain.
    """

    n: int
    flip_rate: float
    rate: float
    target: float
    released: float
    before: float


def crossings(n: int, flip_rate: float) -> list[Crossed]:
    """Every true rate and target score, at n cases."""
    return [each for rate in RATES for each in _crossings(n, min(flip_rate, 2 * min(rate, 1 - rate)), flip_rate, rate)]


def _crossings(n: int, flips: float, flip_rate: float, rate: float) -> list[Crossed]:
    found = tables(Cell(n, flips))
    judged = [seen(n, *each) for each in found.counts]
    improved = np.array([verdicts([each])[0] == "improved" for each in judged])
    held = np.array([each.held for each in judged])
    regressed, fixed = np.array(found.counts).T
    steady = binom(n - regressed - fixed, (rate - flips / 2) / (1 - flips))  # those that pass both times
    released = []
    for target in RATES:
        least = fewest_passing(n, target, LEVEL)
        # what passes after is the steady ones and the fixed, before the steady ones and the regressed
        reached, was = steady.sf(least - 1 - fixed), steady.sf(least - 1 - regressed)
        crossed = np.maximum(reached - was, 0)
        now = float(found.chance @ (improved * reached))
        before = float(found.chance @ np.where(improved, 1.0, held * crossed))
        released.append(Crossed(n, flip_rate, rate, target, now, before))
    return released


@cache
def fewest_passing(n: int, target: float, level: float) -> int:
    """Return the fewest of n cases that reach a target score; n + 1: none does."""
    return next((k for k in range(n + 1) if stats.wilson(k, n, level).lower >= target), n + 1)


@dataclass(frozen=True)
class Minima:
    """Equal units that sit on their minimum score: how often any is regressed, and by the rule before; of `draws`.

    `found` is how often a unit is regressed that lies ten points below its minimum, as before, beside the others.
    """

    n: int
    flip_rate: float
    units: int
    rate: float
    regressed: float
    before: float
    found: float
    found_before: float
    draws: int
    worlds: int


def minima(n: int, flip_rate: float, units: int, rate: float, draws: int, worlds: int) -> Minima:
    """Draw families of so many units, each at the same pass rate before and after.

    Raises:
        Mismatch: the shipped gate evaluated one of the first `worlds` families differently.
    """
    random = np.random.default_rng([SEED, n, round(1e4 * flip_rate), units, round(1e4 * rate)])
    family = _drawn(n, flip_rate, np.full(units, rate), draws, random)
    low = _drawn(n, flip_rate, np.array([rate - BELOW, *[rate] * (units - 1)]), draws, random)
    still, fell = ([_judged(n, each, rate) for each in some.tolist()] for some in (family, low))
    for number in range(worlds):
        for some, found in ((family, still), (low, fell)):
            _tie(n, some[number].tolist(), rate, found[number], f"{units} units on {rate:g}, n = {n}, world {number}")
    was, was_low = ([_judged_before(n, each, rate) for each in some.tolist()] for some in (family, low))
    return Minima(
        n, flip_rate, units, rate,
        regressed=share_regressed(still), before=share_regressed(was),
        found=share_regressed(each[:1] for each in fell), found_before=share_regressed(each[:1] for each in was_low),
        draws=draws, worlds=worlds,
    )  # fmt: skip


@dataclass(frozen=True)
class OnMinimum:
    """One equal unit that sits on its minimum score: how often it is regressed at the worst of all `rates`, exact."""

    n: int
    flip_rate: float
    rate: float
    regressed: float


def on_minimum(n: int, flip_rate: float) -> OnMinimum:
    """Try minimum scores from .5 to .99, for the test moves in teeth."""
    found = [(_regressed(n, flip_rate, rate), rate) for rate in SITTING]
    regressed, rate = max(found)
    return OnMinimum(n, flip_rate, rate, regressed)


def _regressed(n: int, flip_rate: float, rate: float) -> float:
    flips = min(flip_rate, 2 * (1 - rate))
    total = 0.0
    found = tables(Cell(n, flips))
    for (regressed, fixed), chance in zip(found.counts, found.chance.tolist(), strict=True):
        rest = n - regressed - fixed
        steady = np.arange(rest + 1)
        chances = binom.pmf(steady, rest, (rate - flips / 2) / (1 - flips))
        likely = np.flatnonzero(chances > UNLIKELY).tolist()
        bad = [each for each in likely if _judged(n, [[regressed, fixed, each]], rate) == ["regressed"]]
        total += chance * float(chances[bad].sum())
    return total


def _drawn(n: int, flip_rate: float, rates: Floats, draws: int, random: np.random.Generator) -> np.ndarray:
    """Counts of cases that regressed, were fixed, and passed both times: draws x units x 3."""
    flips = np.minimum(flip_rate, 2 * np.minimum(rates, 1 - rates))
    chances = np.stack([flips / 2, flips / 2, rates - flips / 2, 1 - rates - flips / 2], axis=-1)
    found: np.ndarray = random.multinomial(n, np.maximum(chances, 0), size=(draws, len(rates)))[:, :, :3]
    return found


def _judged(n: int, family: list[list[int]], minimum: float) -> list[Verdict]:
    """The verdicts of guards, their minimum scores tested in one family with "worse"."""
    units = [seen(n, regressed, fixed) for regressed, fixed, _ in family]
    scores = [_below(fixed + steady, n, minimum) for _, fixed, steady in family]
    flags = significant([each.worse for each in units] + scores, LEVEL)
    return [
        _verdict(unit, lower, below)
        for unit, lower, below in zip(units, flags[: len(units)], flags[len(units) :], strict=True)
    ]


def _judged_before(n: int, family: list[list[int]], minimum: float) -> list[Verdict]:
    """The same where each minimum score is tested by itself: Wilson's upper bound at .05 below it."""
    units = [seen(n, regressed, fixed) for regressed, fixed, _ in family]
    flags = significant([each.worse for each in units], LEVEL)
    below = [stats.wilson(fixed + steady, n, WILSON_LEVEL).upper < minimum for _, fixed, steady in family]
    return [_verdict(*each) for each in zip(units, flags, below, strict=True)]


def _verdict(unit: Seen, lower: bool, below: bool) -> Verdict:
    if below or (lower and not unit.held):
        return "regressed"
    return "held" if unit.held else "inconclusive"


@cache
def _below(passed: int, n: int, minimum: float) -> stats.PValue:
    return stats.p_below(passed, n, minimum)


def _tie(n: int, family: list[list[int]], minimum: float, expected: list[Verdict], what: str) -> None:
    units = tuple(_unit(n, each, minimum=minimum) for each in family)
    shipped = [each.verdict == "regressed" for each in decided(World(units)).verdicts.values()]
    if shipped != [each == "regressed" for each in expected]:
        raise Mismatch(f"{what}: expected {expected}, regressed by the gate are {shipped}")


def _unit(n: int, counts: list[int], target: float | None = None, minimum: float | None = None) -> UnitWorld:
    regressed, fixed, steady = counts
    d = row(n, regressed, fixed)  # the regressed first, then the fixed, then the others
    before = np.select([d < 0, d > 0], [1.0, 0.0], (np.arange(n) < regressed + fixed + steady).astype(float))
    return UnitWorld(before, before + d, target_score=target, minimum_score=minimum)


def is_released(n: int, counts: list[int], target: float) -> bool:
    """Whether the shipped gate releases a target with these counts of regressed, fixed and steadily passing cases."""
    return bool(decided(World((_unit(n, counts, target=target),))).tasks[TASK].decision == "release")
