"""Two references, the base and the last release: one family over both and all units, their slices beside them.

Of every five units one is continuous. Units may be alike: then a case that flips in the first flips in another one as
well, as where several units judge the same answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from benchmarks.gate_passfail import seen
from benchmarks.gate_rule import MARGIN, Floats, Seen, p_worse_of_scores, significant
from benchmarks.gate_scores import UNIT_MARGIN, spread_of
from benchmarks.gate_slices import SMALL, counts, fallen, large
from benchmarks.gate_worlds import UnitWorld, World, check
from tunegate.harness.gate.families import LEVEL, SEED
from tunegate.harness.models.evaluation.verdict import Verdict
from tunegate.harness.statistics import paired as stats

PASSING = 0.8  # of the cases, by every model but for its flips
DROP = 0.1  # of the changed unit's cases, lost against both references
CONTINUOUS = 5  # every so manyth unit
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Family:
    """So many units of n cases each, judged together beside two references; `alike` is the share of common flips."""

    n: int
    flip_rate: float
    units: int
    alike: float

    def __str__(self) -> str:
        more = f", {100 * self.alike:g} % of the flips common" if self.alike else ""
        return f"{self.units} units, n = {self.n}, flip rate {100 * self.flip_rate:g} %{more}"


@dataclass(frozen=True)
class Twice:
    """Units beside two references, of models that differ by flips alone; rates of a family, of `draws`.

    `apart` is any unchanged unit called regressed where each reference is a family of its own, `regressed` where both
    are one; `either` counts slices that block, too. `found` is a drop of ten points in one unit, in one family, and
    `found_apart` in two.
    """

    family: Family
    apart: float
    regressed: float
    either: float
    found_apart: float
    found: float
    draws: int
    worlds: int


@dataclass(frozen=True)
class _Models:
    """Scores of base, last release and candidate: units x cases, of the passing and failing ones and of the others."""

    passed: tuple[Flags, Flags, Flags]
    scores: tuple[Floats, Floats, Floats]


def twice(family: Family, draws: int, worlds: int) -> Twice:
    """Draw families of a base, a last release and a candidate, which share most of their answers.

    Raises:
        Mismatch: the shipped gate evaluated one of the first `worlds` families differently.
    """
    n = family.n
    random = np.random.default_rng([SEED, n, round(1e4 * family.flip_rate), family.units, round(100 * family.alike)])
    still, fell = np.zeros(3), np.zeros(2)
    for number in range(draws):
        sizes = SMALL if number % 2 else large(n)
        models = _models(family, random)
        places = [[random.choice(n, size, replace=False) for size in sizes] for _ in models.passed[0]]
        lost = _seen(models)
        regressed, slices = _regressed(lost, True), _fallen(models, places)
        still += any(_regressed(lost, False)), any(regressed), any(regressed) or any(slices)
        if number < worlds:
            _tie(models, places, regressed, slices, f"two references, {family}, world {number}")
        models.passed[2][0] &= random.random(n) >= DROP / PASSING
        lost = _seen(models)
        fell += _regressed(lost, False)[0], _regressed(lost, True)[0]
    apart, one, either = (still / draws).tolist()
    found_apart, found = (fell / draws).tolist()
    return Twice(family, apart, one, either, found_apart, found, draws, worlds)


def _models(family: Family, random: np.random.Generator) -> _Models:
    """Half of a flip rate is each model's own, and half of the variance of the scores."""
    others = family.units // CONTINUOUS
    size = family.units - others, family.n
    steady = random.random(size) < PASSING
    passed = []
    for _ in range(3):
        flips = random.random(size) < family.flip_rate / 2
        passed.append(steady ^ np.where(random.random(size) < family.alike, flips[0], flips))
    own = UNIT_MARGIN * spread_of(family.flip_rate) / np.sqrt(2)
    level = random.normal(-3, 1, (others, family.n))
    scores = [level + random.normal(0, own, level.shape) for _ in range(3)]
    return _Models((passed[0], passed[1], passed[2]), (scores[0], scores[1], scores[2]))


def _seen(models: _Models) -> list[list[Seen]]:
    """What the shipped statistics say, by reference and unit."""
    return [
        [
            *(seen(*counts(d)) for d in models.passed[2].astype(int) - models.passed[reference]),
            *map(_of_scores, models.scores[reference], models.scores[2]),
        ]
        for reference in (0, 1)
    ]


def _of_scores(before: Floats, after: Floats) -> Seen:
    winsorised = stats.winsorise_differences(before, after, stats.WINSOR_MARGINS * UNIT_MARGIN)
    return Seen(np.array(winsorised.d), 1 / stats.WINSOR_MARGINS, p_worse_of_scores)


def _regressed(lost: Sequence[Sequence[Seen]], together: bool) -> list[bool]:
    """Which units are regressed against either reference, in one family of both or in one each."""
    families = [[each for of_one in lost for each in of_one]] if together else lost
    flags = [
        flag and not each.held
        for family in families
        for each, flag in zip(family, significant([e.worse for e in family], LEVEL), strict=True)
    ]
    units = len(lost[0])
    return [flags[place] or flags[place + units] for place in range(units)]


def _fallen(models: _Models, places: Sequence[Sequence[NDArray[np.int64]]]) -> list[bool]:
    """Which units a slice of blocks, all slices beside both references being one family."""
    lost = [models.passed[2].astype(int) - models.passed[reference] for reference in (0, 1)]
    found = [
        (unit, counts(of_one[unit][members])) for of_one in lost for unit, mine in enumerate(places) for members in mine
    ]
    flags = fallen([count for _, count in found])
    blocks = {unit for (unit, _), flag in zip(found, flags, strict=True) if flag}
    return [unit in blocks for unit in range(len(places))] + [False] * len(models.scores[0])


def _tie(
    models: _Models,
    places: Sequence[Sequence[NDArray[np.int64]]],
    regressed: Sequence[bool],
    slices: Sequence[bool],
    what: str,
) -> None:
    """Hold the shipped gate to which units are regressed; the others' verdicts are of no account here."""
    base, last, candidate = (each.astype(float) for each in models.passed)
    passing = [
        UnitWorld(
            base[unit], candidate[unit], "pass/fail", MARGIN,
            {f"s{unit}.{number}": frozenset(members.tolist()) for number, members in enumerate(mine)}, last[unit],
        )
        for unit, mine in enumerate(places)
    ]  # fmt: skip
    scored = [
        UnitWorld(before, after, "continuous", UNIT_MARGIN, last=between)
        for before, between, after in zip(*models.scores, strict=True)
    ]
    blocked: list[Verdict | None] = ["regressed" if any(pair) else None for pair in zip(regressed, slices, strict=True)]
    check(World((*passing, *scored)), blocked, what)


def families(sizes: Sequence[int], flip_rates: Sequence[float], units: Sequence[int]) -> list[Family]:
    """Every combination, and where there are several units, also with half of their flips common."""
    return [
        Family(n, flip_rate, count, alike)
        for count, alike, n, flip_rate in product(units, (0.0, 0.5), sizes, flip_rates)
        if count > 1 or not alike
    ]
