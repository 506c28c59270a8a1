"""Continuous units: seeded changes of three shapes, winsorised and judged by the shipped statistics.

A change is counted in margins. Its noise has the signal-to-noise ratio of a pass/fail unit of the same flip rate, whose
differences have the standard deviation sqrt(flip rate): sqrt(flip rate) / .05 margins.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.integrate import trapezoid
from scipy.optimize import brentq
from scipy.stats import norm, t

from benchmarks.gate_passfail import CHANGES, Cell, InFive
from benchmarks.gate_rule import (
    MARGIN,
    RIVALS_OF_SCORES,
    SUITES,
    Floats,
    Rates,
    Seen,
    is_sound,
    p_worse_of_scores,
    rates,
    share_regressed,
    verdicts,
)
from benchmarks.gate_worlds import UnitWorld, World, check
from tunegate.harness.gate.families import LEVEL, SEED
from tunegate.harness.statistics import paired as stats
from tunegate.harness.statistics.paired import WINSOR_MARGINS

UNIT_MARGIN = 0.2  # of the scores, in their own unit
STEPS = 20_001  # of the integral of a law over what winsorising leaves
ANY_COLLAPSE = 0.5  # declared here, so that the promise of the mean is looked at alone; gate_tails looks at both
COLLAPSED, FALL = 0.05, -10.0  # the share of the cases that collapse, and how far they fall, in margins


@dataclass(frozen=True)
class Shape:
    """How changes scatter, in margins: `draw` gives noise of mean 0 and a standard deviation, `below` is its law."""

    name: str
    draw: Callable[[np.random.Generator, tuple[int, ...], float], Floats]
    below: Callable[[Floats, float], Floats]


def _bell(random: np.random.Generator, size: tuple[int, ...], spread: float) -> Floats:
    return random.normal(0, spread, size)


def _bell_below(x: Floats, spread: float) -> Floats:
    return np.asarray(norm.cdf(x, 0, spread))


def _heavy(random: np.random.Generator, size: tuple[int, ...], spread: float) -> Floats:
    return random.standard_t(3, size) * spread / math.sqrt(3)


def _heavy_below(x: Floats, spread: float) -> Floats:
    return np.asarray(t.cdf(x * math.sqrt(3) / spread, 3))


def _rare(random: np.random.Generator, size: tuple[int, ...], spread: float) -> Floats:
    kept = random.normal(_rest(), _rest_spread(spread), size)
    return np.where(random.random(size) < COLLAPSED, FALL, kept)


def _rest() -> float:
    """Where the cases that do not collapse lie, so that the mean is 0."""
    return -FALL * COLLAPSED / (1 - COLLAPSED)


def _rest_spread(spread: float) -> float:
    collapse = COLLAPSED * FALL**2 + (1 - COLLAPSED) * _rest() ** 2
    return math.sqrt((spread**2 - collapse) / (1 - COLLAPSED))


def _rare_below(x: Floats, spread: float) -> Floats:
    return COLLAPSED * (x >= FALL) + (1 - COLLAPSED) * np.asarray(norm.cdf(x, _rest(), _rest_spread(spread)))


SHAPES = (
    Shape("bell", _bell, _bell_below),
    Shape("heavy tails", _heavy, _heavy_below),
    Shape("rare collapse", _rare, _rare_below),
)


def spread_of(flip_rate: float) -> float:
    """The standard deviation of a case's change, in margins."""
    return math.sqrt(flip_rate) / MARGIN


@cache
def place_of(shape: Shape, flip_rate: float, change: float) -> float:
    """Where the noise is centred, in margins, so that the mean of the winsorised changes is `change`.

    The gate counts a case up to ten margins: its claim is about the mean of those.
    """
    spread, most = spread_of(flip_rate), float(WINSOR_MARGINS)
    steps = np.linspace(-most, most, STEPS)

    def winsorised_mean(place: float) -> float:
        return most - float(trapezoid(shape.below(steps - place, spread), steps))

    return float(brentq(lambda place: winsorised_mean(place) - change, -most, most))


@dataclass(frozen=True)
class Pool:
    """Seeded units of one cell, one a row: scores before and after, and `d` winsorised as the gate does it.

    `sound` says of each whether it keeps what is promised beside the mean of what counts.
    """

    before: Floats
    after: Floats
    d: Floats
    sound: tuple[bool, ...]

    @property
    def margin(self) -> float:
        """On the scale of `d`."""
        return 1 / WINSOR_MARGINS


def pool(shape: Shape, cell: Cell, size: int, random: np.random.Generator, *, raw: bool = False) -> Pool:
    """Draw units whose true change is the cell's; `raw`: before it is winsorised, else after."""
    place = cell.change if raw else place_of(shape, cell.flip_rate, cell.change)
    change = place + shape.draw(random, (size, cell.n), spread_of(cell.flip_rate))
    before = random.normal(-3, 1, (size, cell.n))
    after = before + UNIT_MARGIN * change
    d, sound = np.empty_like(after), []
    for place, (old, new) in enumerate(zip(before, after, strict=True)):
        winsorised = stats.winsorise_differences(old, new, WINSOR_MARGINS * UNIT_MARGIN)
        d[place] = winsorised.d
        lost = float(new.mean() - old.mean())
        sound.append(is_sound(winsorised.lost, cell.n, lost, UNIT_MARGIN, ANY_COLLAPSE))
    return Pool(before, after, d, tuple(sound))


@dataclass(frozen=True)
class Sizes:
    """How many units are drawn for `held`, families for a false "regressed", changed units, and worlds for the gate."""

    held: int
    families: int
    changed: int
    worlds: int


@dataclass(frozen=True)
class Scores:
    """One cell of a shape. `held` and the `rivals` come of `draws` units, `improved`, `five.regressed` of `targets`.

    `raw_held` is held where the true change is the mean before it is winsorised, `met` the share of cases that it met.
    """

    shape: str
    cell: Cell
    held: float
    improved: float
    raw_held: float
    met: float
    draws: int
    targets: int
    five: InFive
    rivals: dict[str, Rates]


def scores(n: int, flip_rate: float, shape: Shape, sizes: Sizes) -> list[Scores]:
    """Each true change at n cases, this noise and shape.

    Raises:
        Mismatch: the shipped gate evaluated one of the first `worlds` families of a cell differently.
    """
    random = np.random.default_rng([SEED, n, round(1e4 * flip_rate), SHAPES.index(shape)])
    unchanged = pool(shape, Cell(n, flip_rate), max(sizes.families * SUITES, sizes.held), random)
    innocents = [_seen(unchanged, place) for place in range(sizes.families * SUITES)]
    return [_cell(shape, Cell(n, flip_rate, change), unchanged, innocents, sizes, random) for change in CHANGES]


def _cell(
    shape: Shape, cell: Cell, unchanged: Pool, innocents: list[Seen], sizes: Sizes, random: np.random.Generator
) -> Scores:
    mine = unchanged if cell.change == 0 else pool(shape, cell, sizes.held, random)
    raw = pool(shape, cell, sizes.held, random, raw=True)
    five, improved = _in_five(f"{shape.name}, {cell}", cell.change == 0, mine, unchanged, innocents, sizes)
    d = mine.d[: sizes.held]
    return Scores(
        shape.name,
        cell,
        held=_share_held(mine, sizes.held),
        improved=improved,
        raw_held=_share_held(raw, sizes.held),
        met=float((np.abs(d) >= 1).mean()),
        draws=sizes.held,
        targets=sizes.families if cell.change == 0 else sizes.changed,
        five=five,
        rivals={name: rates(rule(d, mine.margin)) for name, rule in RIVALS_OF_SCORES.items()},
    )


def _share_held(units: Pool, draws: int) -> float:
    found = zip(units.d[:draws], units.sound[:draws], strict=True)
    return float(np.mean([sound and stats.held(d, units.margin, LEVEL) for d, sound in found]))


def _in_five(
    what: str, same: bool, mine: Pool, unchanged: Pool, innocents: list[Seen], sizes: Sizes
) -> tuple[InFive, float]:
    """Families of a unit of `mine` and four unchanged ones, and the share of them whose first unit improved.

    A changed unit costs 9,999 flips, so that each stands in several families, with other unchanged ones each time.
    """
    targets = [_seen(mine, i) for i in range(sizes.changed)]
    first = innocents[: sizes.families] if same else targets
    others = [range(sizes.families + 4 * i, sizes.families + 4 * i + SUITES - 1) for i in range(sizes.families)]
    found = [verdicts([first[i % len(first)], *(innocents[j] for j in four)]) for i, four in enumerate(others)]
    for i in range(sizes.worlds):
        units = [_unit(mine, i), *(_unit(unchanged, j) for j in others[i])]
        check(World(tuple(units)), found[i], f"{what}, world {i}")
    five = InFive(
        regressed=share_regressed(each[:1] for each in found),
        false_regressed=share_regressed(each[0 if same else 1 :] for each in found),
        draws=sizes.families,
        worlds=sizes.worlds,
    )
    return five, float(np.mean([each[0] == "improved" for each in found]))


def _seen(units: Pool, place: int) -> Seen:
    return Seen(units.d[place], units.margin, p_worse_of_scores, units.sound[place])


def _unit(units: Pool, place: int) -> UnitWorld:
    return UnitWorld(units.before[place], units.after[place], "continuous", UNIT_MARGIN, collapse=ANY_COLLAPSE)
