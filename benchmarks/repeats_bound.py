"""How often a gain in graded scores is found, and how often any test could find it that keeps its level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.gate_rule import MARGIN
from tunegate.harness.gate.families import LEVEL, SEED
from tunegate.harness.statistics import paired as stats

GAIN = 0.05
LAMBDAS = np.linspace(0, 1, 21)  # of the null, as `graded` says
RARE = 0.03  # of the cases fall to -1 in the skewed world, and the others make up for it
SAMPLES = 200_000  # of the alternative's law
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Graded:
    """Found by the gate, by sign flips alone, and at most; false "improved" of both on skewed scores, of `draws`."""

    n: int
    shipped: float
    sign_flip: float
    bound: float
    false_improved: float
    false_sign_flip: float
    draws: int


def graded(n: int, answers: int, draws: int) -> Graded:
    """Judge gains of n cases with so many answers each, and bound what could be found of them."""
    random = np.random.default_rng([SEED, n, answers])
    gained, skewed = _changes(answers, (draws, n), random), _skewed((draws, n), random)
    law = _changes(answers, (SAMPLES,), random)
    law = law[law > -1]  # without the rare case that fell: a gain that is a little easier to find
    return Graded(
        n, *_found(gained), bound(law, n, random), *_found(skewed), draws
    )  # fmt: skip


def _changes(answers: int, size: tuple[int, ...], random: np.random.Generator) -> Floats:
    """Changes of cases whose pass rates all rise, by GAIN on average."""
    base = random.beta(2, 2, size)
    after = 1 - (1 - base) * (1 - GAIN / 0.5)
    return (random.binomial(answers, after) - random.binomial(answers, base)) / answers


def _skewed(size: tuple[int, ...], random: np.random.Generator) -> Floats:
    """Changes of mean 0 of which a few are -1, and the others lie a little above 0."""
    rest = random.uniform(0, 2 * RARE / (1 - RARE), size)
    return np.where(random.random(size) < RARE, -1.0, rest)


def _found(units: Floats) -> tuple[float, float]:
    """The share that the gate calls improved, and that sign flips alone would."""
    held = np.array([stats.held(d, MARGIN) for d in units])
    shipped = np.array([stats.p_better(d, seed=SEED).p <= LEVEL for d in units])
    flips = np.array([stats.sign_flip(d, seed=SEED).p_better <= LEVEL for d in units])
    return float((held & shipped).mean()), float((held & flips).mean())


def bound(law: Floats, n: int, random: np.random.Generator, draws: int = 20_000) -> float:
    """The least power of the likelihood ratio against a null of mean 0, over the nulls tried.

    A null has the density a f / (1 + lambda d) of the alternative's f, and what is left of its mass lies at d = -1.
    """
    return min(_power(law, value, n, draws, random) for value in LAMBDAS)


def _power(law: Floats, value: float, n: int, draws: int, random: np.random.Generator) -> float:
    tilt = 1 / (1 + value * law)
    # mass and mean: a E[tilt] + rest = 1 and a E[tilt d] = rest
    share = 1 / float(tilt.mean() + (tilt * law).mean())
    rest = 1 - share * float(tilt.mean())
    if not 0 <= rest <= 1:
        return 1.0
    chances = tilt / tilt.sum()
    null = random.choice(law, (draws, n), p=chances)
    # a case at -1 shows the null, whatever else was drawn: f has no mass there
    shows = random.random((draws, n)) < rest
    under_null = np.where(shows.any(axis=1), -np.inf, np.log1p(value * null).sum(axis=1))
    under_gain = np.log1p(value * random.choice(law, (draws, n))).sum(axis=1)
    critical = np.quantile(under_null, 1 - LEVEL, method="inverted_cdf")
    if np.isneginf(critical):
        return 1.0
    above, at = (under_gain > critical).mean(), (under_gain == critical).mean()
    ties, beyond = (under_null == critical).mean(), (under_null > critical).mean()
    return float(above + at * (LEVEL - beyond) / ties)  # a tie is decided by lot, as the best test does
