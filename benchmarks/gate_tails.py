"""Continuous scores that lose a lot at times: what is promised of them, and how often they are held all the same.

Two things are promised of a score without a natural bound: the mean of the changes, cut at C = ten margins, is within
the margin, and no more than the declared share of the cases loses C or more. Beside them nothing is held whose uncut
mean, as it was seen, lies beyond the margin. Laws are counted in margins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import lognorm, norm, t

from benchmarks.gate_rule import Floats, is_sound
from benchmarks.gate_scores import UNIT_MARGIN
from benchmarks.gate_worlds import Mismatch, UnitWorld, World, decided
from tunegate.harness.gate.families import LEVEL, SEED
from tunegate.harness.statistics import paired as stats

MOST = float(stats.WINSOR_MARGINS)
DEPTHS = (10, 20, 40, 100)  # of a collapse, in margins
LOGS = (1.5, 2.0)  # the standard deviation of a lognormal loss's logarithm
RARELY = 0.01  # the share of cases that collapse, where no more than allowed do
SCATTER = 1.0  # of the cases that do not collapse
EXACT = 1e-9  # of the solved laws


@dataclass(frozen=True, eq=False)
class Law:
    """How cases change, in margins: to `draw`, the share `below` a change, and the `mean` before anything is cut."""

    name: str
    draw: Callable[[np.random.Generator, tuple[int, int]], Floats]
    below: Callable[[float], float]
    mean: float

    @cached_property
    def cut_mean(self) -> float:
        """The mean of what counts."""
        points = [-1.0, 0.0, 1.0]  # where there is most to see
        return MOST - float(quad(self.below, -MOST, MOST, points=points, limit=500, epsabs=1e-10)[0])

    @property
    def collapsed(self) -> float:
        """The share of cases that lose all that counts, or more."""
        return float(self.below(-MOST))

    def broken(self, collapse: float) -> tuple[str, ...]:
        """Which promise is broken: of the mean, or of the share."""
        promises = {"mean": self.cut_mean <= -1 + EXACT, "share": self.collapsed >= collapse - EXACT}
        return tuple(name for name, broken in promises.items() if broken)


def collapsing(name: str, share: float, depth: float, rest: float) -> Law:
    """A share of the cases loses a little more than `depth` margins, the others lie about `rest`."""

    def draw(random: np.random.Generator, size: tuple[int, int]) -> Floats:
        kept = random.normal(rest, SCATTER, size)
        return np.where(random.random(size) < share, -depth - EXACT, kept)

    def below(x: float) -> float:
        return share * (x >= -depth - EXACT) + (1 - share) * float(norm.cdf(x, rest, SCATTER))

    return Law(name, draw, below, -share * depth + (1 - share) * rest)


def lognormal(name: str, log: float, scale: float) -> Law:
    """Every case loses, by a lognormal law with this median."""
    return Law(
        name,
        lambda random, size: -scale * random.lognormal(0, log, size),
        lambda x: float(lognorm.sf(-x, log, scale=scale)) if x < 0 else 1.0,
        -scale * float(np.exp(log**2 / 2)),
    )


def bell(name: str, place: float, spread: float) -> Law:
    """A normal law."""
    return Law(
        name,
        lambda random, size: random.normal(place, spread, size),
        lambda x: float(norm.cdf(x, place, spread)),
        place,
    )


def heavy(name: str, place: float, spread: float) -> Law:
    """A t law with 3 degrees of freedom, so many times as wide."""
    return Law(
        name,
        lambda random, size: place + spread * random.standard_t(3, size),
        lambda x: float(t.cdf((x - place) / spread, 3)),
        place,
    )


def laws(collapse: float) -> list[Law]:
    """Every law: each promise at its border, and none of them broken though a margin is lost."""
    found = [
        bell("bell", _solved(lambda x: bell("", x, 3.0), "mean"), 3.0),
        bell("bell, wide", 0.0, _solved(lambda x: bell("", 0.0, x), "share", collapse, 0.1, 50)),
        heavy("heavy tails", _solved(lambda x: heavy("", x, 1.5), "mean"), 1.5),
        heavy("heavy tails, wide", 0.0, _solved(lambda x: heavy("", 0.0, x), "share", collapse, 0.1, 50)),
    ]
    for depth in DEPTHS:
        made = f"lose {depth} margins"
        found.append(collapsing(f"{100 / depth:g} % {made}, the others equal", 1 / depth, depth, 0.0))
        allowed = f"{100 * collapse:g} % {made}"
        found.append(collapsing(f"{allowed}, the others equal", collapse, depth, 0.0))
        makes_up = collapse * depth / (1 - collapse)
        found.append(collapsing(f"{allowed}, the others make up for it", collapse, depth, makes_up))
        rare = f"{100 * RARELY:g} % {made}"
        rest = _solved(partial(collapsing, "", RARELY, depth), "mean")
        found.append(collapsing(f"{rare}, a margin is lost of what counts", RARELY, depth, rest))
        rest = -(1 - RARELY * depth) / (1 - RARELY)
        if depth > MOST and rest < -EXACT:
            found.append(collapsing(f"{rare}, a margin is lost in all", RARELY, depth, rest))
    for log in LOGS:
        name = f"lognormal ({log:g})"
        scales = {
            "a margin is lost of what counts": _solved(partial(lognormal, "", log), "mean", 1, 1e-4, 50),
            "its tail as heavy as allowed": _solved(partial(lognormal, "", log), "share", collapse, 1e-4, 50),
            "a margin is lost in all": float(np.exp(-(log**2) / 2)),
        }
        found += [lognormal(f"{name}, {why}", log, scale) for why, scale in scales.items()]
    return found


def _solved(law: Callable[[float], Law], what: str, at: float = 1.0, low: float = -9.9, high: float = 9.9) -> float:
    """The number at which a law loses so many margins of what counts, or so large a share of its cases collapses."""

    def beyond(x: float) -> float:
        found = law(x)
        return (-found.cut_mean if what == "mean" else found.collapsed) - at

    return float(brentq(beyond, low, high, xtol=1e-12))


@dataclass(frozen=True)
class Tail:
    """How often a law is `held`, of `draws` units of n cases; its true means and share; which promises are `broken`."""

    law: str
    n: int
    collapse: float
    mean: float
    cut_mean: float
    collapsed: float
    broken: tuple[str, ...]
    held: float
    draws: int
    worlds: int


def tails(n: int, collapse: float, draws: int, worlds: int) -> list[Tail]:
    """Every law at n cases, where so large a share may collapse.

    Raises:
        Mismatch: the shipped gate evaluated one of the first `worlds` units of a law differently.
    """
    random = np.random.default_rng([SEED, n, round(1e4 * collapse)])
    return [_tail(law, n, collapse, draws, worlds, random) for law in laws(collapse)]


def _tail(law: Law, n: int, collapse: float, draws: int, worlds: int, random: np.random.Generator) -> Tail:
    found = []
    for number in range(draws):
        before = random.normal(-3, 1, n)
        after = before + UNIT_MARGIN * law.draw(random, (1, n))[0]
        found.append(is_held(before, after, collapse))
        if number < worlds:
            _tie(before, after, collapse, found[-1], f"{law.name}, n = {n}, collapse {collapse:g}, world {number}")
    held = float(np.mean(found))
    broken = law.broken(collapse)
    return Tail(law.name, n, collapse, law.mean, law.cut_mean, law.collapsed, broken, held, draws, worlds)


def is_held(before: Floats, after: Floats, collapse: float) -> bool:
    """The whole decision on a unit of continuous scores alone: that of the gate, which `_tie` holds it against."""
    cut = stats.winsorise_differences(before, after, MOST * UNIT_MARGIN)
    sound = is_sound(cut.lost, len(cut.d), float(after.mean() - before.mean()), UNIT_MARGIN, collapse)
    return sound and stats.held(cut.d, 1 / MOST, LEVEL)


def _tie(before: Floats, after: Floats, collapse: float, held: bool, what: str) -> None:
    world = World((UnitWorld(before, after, "continuous", UNIT_MARGIN, collapse=collapse),))
    shipped = next(iter(decided(world).verdicts.values())).verdict
    if held != (shipped in {"held", "improved"}):
        raise Mismatch(f"{what}: expected {'held' if held else 'not held'}, found {shipped}")
