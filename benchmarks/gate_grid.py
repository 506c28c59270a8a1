"""Graded scores: how often a loss of the margin is held over the laws of two points, and what that costs elsewhere.

A case loses a, or gains b, so that the mean is exactly -m: the laws that err most of all, where few gain a lot and all
others lose a little more than the margin. Exact, by the chance of each number of gains. Beside the shipped rule stands
the one before it: the score statistic alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.gate_rule import Floats
from tunegate.harness.gate.families import LEVEL, SEED
from tunegate.harness.statistics import paired as stats
from tunegate.harness.statistics.critical_values import graded_critical_value
from tunegate.harness.statistics.distributions import binom_at, binom_range

NEGLIGIBLE = 1e-7  # the mass of the numbers of gains that are left out, on either side
Rule = Callable[[Floats, float], bool]


def held_before(d: Floats, margin: float) -> bool:
    """The rule before: the score statistic alone."""
    return stats.score_statistic(d, margin) > graded_critical_value(len(d), margin, LEVEL)


def held(d: Floats, margin: float) -> bool:
    """The shipped rule."""
    return stats.held(d, margin, LEVEL)


@dataclass(frozen=True)
class TwoPoints:
    """The worst law of two points for n cases and a margin: how often it is falsely held, by either rule; exact.

    `lost` and `won` are the law's points, where the shipped rule errs most, and `laws` how many were looked at.
    """

    n: int
    margin: float
    held: float
    before: float
    lost: float
    won: float
    laws: int


def two_points(n: int, margin: float, losses: int, gains: int) -> TwoPoints:
    """Look at so many losses, geometrically from just above the margin to 1, and gains, from -margin / 2 to 1."""
    lost = margin + np.geomspace(margin / 200, 1 - margin, losses)
    won = np.linspace(-margin / 2, 1, gains)
    pairs = [(float(a), float(b)) for a in lost for b in won]
    now = [falsely_held(n, margin, *pair, held) for pair in pairs]
    before = [falsely_held(n, margin, *pair, held_before) for pair in pairs]
    worst = int(np.argmax(now))
    return TwoPoints(n, margin, now[worst], max(before), *pairs[worst], len(pairs))


def falsely_held(n: int, margin: float, lost: float, won: float, rule: Rule) -> float:
    """Return P(held) where each of n cases loses `lost` or gains `won`, and the mean is exactly -margin."""
    chance = (lost - margin) / (lost + won)
    counts = np.array(binom_range(n, chance, NEGLIGIBLE))
    # pass/fail differences alone are judged by the score statistic alone: a loss of just under 1 is none
    holds = [rule(np.repeat([won, -lost], [k, n - k]), margin) for k in counts]
    return float(binom_at(counts, n, chance) @ np.array(holds, float))


def _bell(spread: float) -> Callable[[np.random.Generator, tuple[int, int]], Floats]:
    return lambda random, size: np.clip(random.normal(0, spread, size), -1, 1)


def _quarters(random: np.random.Generator, size: tuple[int, int]) -> Floats:
    """Means of four answers, to cases whose pass rates are spread evenly."""
    rate = random.random(size)
    return (random.binomial(4, rate) - random.binomial(4, rate)) / 4


def _sparse_thirds(random: np.random.Generator, size: tuple[int, int]) -> Floats:
    """Of three parts one is won or lost, in a tenth of the cases."""
    return random.choice([-1 / 3, 0.0, 1 / 3], size=size, p=[0.05, 0.9, 0.05])


def _skewed(random: np.random.Generator, size: tuple[int, int]) -> Floats:
    """One case in thirty loses all, and the others make up for it."""
    rare = 0.03
    return np.where(random.random(size) < rare, -1.0, random.uniform(0, 2 * rare / (1 - rare), size))


SHAPES: dict[str, Callable[[np.random.Generator, tuple[int, int]], Floats]] = {
    "a bell, sd .1": _bell(0.1),
    "a bell, sd .3": _bell(0.3),
    "quarters": _quarters,
    "sparse thirds": _sparse_thirds,
    "skewed": _skewed,
}


@dataclass(frozen=True)
class Price:
    """How often an equal model is held, of the same `draws` by either rule."""

    shape: str
    n: int
    margin: float
    held: float
    before: float
    draws: int


def prices(n: int, margin: float, draws: int) -> list[Price]:
    """Every shape, without a change."""
    found = []
    for number, (name, draw) in enumerate(SHAPES.items()):
        units = draw(np.random.default_rng([SEED, n, round(1e4 * margin), number]), (draws, n))
        now, before = (float(np.mean([rule(d, margin) for d in units])) for rule in (held, held_before))
        found.append(Price(name, n, margin, now, before, draws))
    return found
