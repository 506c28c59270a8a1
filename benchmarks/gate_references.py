"""Two references, the base and the last release: families over both, their slices beside them, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.gate_passfail import Cell, seen
from benchmarks.gate_rule import MARGIN, SUITES
from benchmarks.gate_slices import SMALL, fallen, large
from benchmarks.gate_worlds import UnitWorld, World, check
from tunegate.harness.gate.rule import LEVEL, SEED
from tunegate.harness.gate.verdict import Verdict
from tunegate.harness.statistics import paired as stats

PASSING = 0.8  # of the cases, by every model but for its flips
DROP = 0.1  # of the changed suite's cases, lost against both references
Rows = NDArray[np.int64]  # a suite's differences, a case each
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Twice:
    """Five suites beside two references, of models that differ by flips alone; rates of a family, of `draws`.

    `apart` is any unchanged suite called regressed where each reference is a family of its own, `regressed` where both
    are one; `either` counts slices that block, too. `found` is a drop of ten points in one suite, in one family, and
    `found_apart` in two.
    """

    cell: Cell
    apart: float
    regressed: float
    either: float
    found_apart: float
    found: float
    draws: int
    worlds: int


def twice(n: int, flip_rate: float, draws: int, worlds: int) -> Twice:
    """Draw families of a base, a last release and a candidate, which share most of their answers.

    Raises:
        Mismatch: the shipped gate judged one of the first `worlds` families differently.
    """
    random = np.random.default_rng([SEED, n, round(1e4 * flip_rate), 2])
    still, fell = np.zeros(3), np.zeros(2)
    for number in range(draws):
        sizes = SMALL if number % 2 else large(n)
        models = _models(n, flip_rate, random)
        places = [[random.choice(n, size, replace=False) for size in sizes] for _ in range(SUITES)]
        lost = _differences(models)
        regressed, slices = _regressed(lost, True), _fallen(lost, places)
        still += any(_regressed(lost, False)), any(regressed), any(regressed) or any(slices)
        if number < worlds:
            _tie(models, places, regressed, slices, f"two references, n = {n}, flip rate {flip_rate:g}, {number}")
        models[2][0] &= random.random(n) >= DROP / PASSING
        lost = _differences(models)
        fell += _regressed(lost, False)[0], _regressed(lost, True)[0]
    apart, one, either = (still / draws).tolist()
    return Twice(Cell(n, flip_rate), apart, one, either, *(fell / draws).tolist(), draws, worlds)


def _models(n: int, flip_rate: float, random: np.random.Generator) -> tuple[Flags, Flags, Flags]:
    """What base, last release and candidate pass, suites x cases: half of a flip rate is each model's own."""
    steady = random.random((SUITES, n)) < PASSING
    base, last, candidate = (steady ^ (random.random((SUITES, n)) < flip_rate / 2) for _ in range(3))
    return base, last, candidate


def _differences(models: Sequence[Flags]) -> list[list[Rows]]:
    """By reference and suite."""
    base, last, candidate = models
    return [[*(candidate.astype(int) - reference)] for reference in (base, last)]


def _counts(d: Rows) -> tuple[int, int, int]:
    return len(d), int((d < 0).sum()), int((d > 0).sum())


def _regressed(lost: Sequence[Sequence[Rows]], together: bool) -> list[bool]:
    """Which suites are regressed against either reference, in one family of both or in one each."""
    found = [[seen(*_counts(d)) for d in of_one] for of_one in lost]
    families = [[each for of_one in found for each in of_one]] if together else found
    flags = [
        flag and not each.held
        for family in families
        for each, flag in zip(
            family,
            stats.tarone_holm([e.worse.p for e in family], [e.worse.smallest for e in family], LEVEL),
            strict=True,
        )
    ]
    return [flags[place] or flags[place + SUITES] for place in range(SUITES)]


def _fallen(lost: Sequence[Sequence[Rows]], places: Sequence[Sequence[NDArray[np.int64]]]) -> list[bool]:
    """Which suites a slice of blocks, all slices beside both references being one family."""
    counts = [
        (suite, _counts(of_one[suite][members]))
        for of_one in lost
        for suite, slices in enumerate(places)
        for members in slices
    ]
    flags = fallen([count for _, count in counts])
    blocks = {suite for (suite, _), flag in zip(counts, flags, strict=True) if flag}
    return [suite in blocks for suite in range(SUITES)]


def _tie(
    models: Sequence[Flags],
    places: Sequence[Sequence[NDArray[np.int64]]],
    regressed: Sequence[bool],
    slices: Sequence[bool],
    what: str,
) -> None:
    """Hold the shipped gate to which suites are regressed; the others' verdicts are of no account here."""
    base, last, candidate = (each.astype(float) for each in models)
    units = tuple(
        UnitWorld(
            base[suite], candidate[suite], "pass/fail", MARGIN,
            {f"s{suite}.{number}": frozenset(members.tolist()) for number, members in enumerate(mine)}, last[suite],
        )
        for suite, mine in enumerate(places)
    )  # fmt: skip
    blocked: list[Verdict | None] = ["regressed" if any(pair) else None for pair in zip(regressed, slices, strict=True)]
    check(World(units), blocked, what)
