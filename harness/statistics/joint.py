"""Groups of pass/fail units: the chance that their mean loss is within a common margin.

As in `sample_size`, a chance is a sum over all tables of regressed and fixed cases, each decided as the gate does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tunegate.harness.statistics.distributions import Floats, Integers, binom_at, binom_range
from tunegate.harness.statistics.near_share import prob_also_without_near, usually_left
from tunegate.harness.statistics.power import check_design
from tunegate.harness.statistics.sample_size import PassFail, expected_flips, table_is_held
from tunegate.harness.statistics.second_reference import prob_both

TAIL = 1e-12  # of a number of flips: the probability left out at either end
SAME = 1e-9  # relative tolerance of equal weights


@dataclass(frozen=True)
class Sample:
    """The cases of one unit: n observations, their own `margin`, and the true `change`, a share of the score.

    Sealed cases (`strict`) are regressed if significantly worse; others only if also not held.
    """

    n: int
    power: PassFail
    margin: float
    change: float = 0.0
    weight: float = 1.0
    strict: bool = False


def prob_passed(part: Sample) -> float:
    """Return P(held and not regressed) of a unit that has to hold its own margin."""
    if part.power.beside:
        return part.power.prob_passed(part.n, part.margin, part.change, part.strict)
    whole = float((_table(part) * _held(part)).sum())
    return part.power.also_without_near(whole, part.n, part.margin, part.change)


def prob_not_regressed(part: Sample) -> float:
    """Return P(not regressed)."""
    if part.power.beside:
        return part.power.prob_not_regressed(part.n, part.margin, part.change, part.strict)
    return float(_table(part).sum())


def prob_improved(part: Sample) -> float:
    """Return P(significantly better)."""
    return part.power.prob_improved(part.n, part.margin, part.change)


def prob_passed_together(parts: Sequence[Sample], margin: float, level: float) -> float:
    """Return P(the weighted mean loss of all is within the margin, and none of them is regressed).

    Exact if a case weighs the same in each unit. Otherwise the pooled cases count as a number of equal ones, and the
    two conditions as independent: in simulations of 20 to 200 cases per unit the chance is at most 8 points too small
    and 5 too large. Beside a second reference the two outcomes are those of two normal variables. With near
    cases, the second test is that of the usual number of cases left.
    """
    beside = parts[0].power.beside
    if beside:
        alone = [replace(part, power=replace(part.power, beside="")) for part in parts]
        first = prob_passed_together(alone, margin, level)
        return prob_both(first, first if beside == "held" else math.prod(map(prob_not_regressed, alone)))
    check_design(1, margin, most=1.0)
    if near := parts[0].power.near:
        parts = [replace(part, power=replace(part.power, near=0.0)) for part in parts]
        left = [_without_near(part, near) for part in parts]
        whole, without = (prob_passed_together(some, margin, level) for some in (parts, left))
        return prob_also_without_near(whole, without, near)
    each = [part.weight / part.n for part in parts]
    if max(each) - min(each) <= SAME * max(each):
        tables = _summed([_table(part) for part in parts])
        regressed, fixed = _counts(*tables.shape)
        return float(tables[table_is_held(regressed, fixed, sum(part.n for part in parts), margin, level)].sum())
    n, power, change = _alike(parts, margin, level)
    return power.prob_held(n, margin, change) * math.prod(prob_not_regressed(part) for part in parts)


def _without_near(part: Sample, near: float) -> Sample:
    """Return the cases that are usually left, with the change that they show without the gains of near ones."""
    left = usually_left(part.n, near, part.power.rate)
    flips = part.power.flips(part.n, part.margin, part.change).of(left)
    return replace(part, n=left.size, change=flips.fixed - flips.regressed)


def _alike(parts: Sequence[Sample], margin: float, level: float) -> tuple[int, PassFail, float]:
    """Return the number, power and change of equally weighted cases that stand for cases of different weights."""
    whole = sum(part.weight for part in parts)
    heaviest = max(part.weight / whole / part.n for part in parts)
    shares = [(part.weight / whole) ** 2 / part.n for part in parts]  # of the variance of the mean
    flips = math.fsum(share * part.power.flip_rate for share, part in zip(shares, parts, strict=True))
    rate, change = flips / sum(shares), math.fsum(part.weight * part.change for part in parts) / whole
    # flips vary by the shares; the margin's room for unseen flips depends on the heaviest case
    n = (rate + margin / 2) / (flips + margin / 2 * heaviest)
    return max(1, int(n)), PassFail(rate, levels=replace(parts[0].power.levels, held=level)), change


def _table(part: Sample) -> Floats:
    """Return the chance of each table of regressed (rows) and fixed cases (columns), 0 if the unit is regressed."""
    return _cells(part.n, part.power, part.margin, part.change, part.strict)


@lru_cache(maxsize=512)
def _cells(n: int, power: PassFail, margin: float, change: float, strict: bool) -> Floats:
    check_design(n, margin, most=1.0)
    flips = expected_flips(change, power.flip_rate, power.rate if change > 0 else None)
    most = [binom_range(n, chance, tail=TAIL).stop for chance in (flips.regressed, flips.fixed)]
    regressed, fixed = _counts(min(most[0], n + 1), min(most[1], n + 1))
    counts = regressed + fixed
    share = flips.regressed / flips.either if flips.either else 0.5
    possible = np.minimum(counts, n)
    chances = binom_at(possible, n, flips.either) * binom_at(np.minimum(regressed, possible), possible, share)
    passes = (power.is_not_worse if strict else power.is_not_regressed)(regressed, fixed, n, margin)
    return np.where((counts <= n) & passes, chances, 0.0)


def _held(part: Sample) -> NDArray[np.bool_]:
    regressed, fixed = _counts(*_table(part).shape)
    return table_is_held(regressed, fixed, part.n, part.margin, part.power.levels.held)


def _counts(rows: int, columns: int) -> tuple[Integers, Integers]:
    """Return the numbers of regressed and of fixed cases for each cell of a table."""
    regressed, fixed = np.indices((rows, columns), dtype=np.int64)
    return np.asarray(regressed), np.asarray(fixed)


def _summed(tables: Sequence[Floats]) -> Floats:
    """Return the table of the sums of independent tables, by convolution."""
    shape = tuple(sum(table.shape[axis] - 1 for table in tables) + 1 for axis in (0, 1))
    product = math.prod((np.fft.rfft2(table, shape) for table in tables[1:]), start=np.fft.rfft2(tables[0], shape))
    return np.maximum(np.fft.irfft2(product, shape), 0.0)
