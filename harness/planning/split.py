"""How many cases to seal: those set apart prove a release, the others are looked at while the work goes on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tunegate.harness.statistics.paired import sealed_level
from tunegate.harness.statistics.power import POWER, Continuous, Levels
from tunegate.harness.statistics.sample_size import PassFail

LEAST_OPEN = 0.25  # of the cases: with fewer nobody sees what fails, and pull requests are gated by them
LATER = (2, 3, 4)  # evaluations of the same sealed cases
LEAST_SEALED = 0.5  # of the cases: where there are plenty, a release shows more the more of them prove it


@dataclass(frozen=True)
class CaseSplit:
    """`open` and `sealed` cases, and how often both parts let pass: a model that is `equal`, one that `gained`.

    `needed` is how many cases it takes in all so that three in four of them do four times in five. `gained` is that of
    the first evaluation of the sealed cases, `later` that of the following ones.
    """

    open: int
    sealed: int
    equal: float
    gained: float
    needed: int
    later: tuple[float, ...] = ()


def best_split(
    n: int, power: PassFail | Continuous, margin: float, gain: float | None, asked: float = POWER
) -> CaseSplit:
    """Return how n cases are best split.

    The fewest are sealed that show `gain` four times in five, or without one hold `margin` with the chance `asked`; at
    least half and at most three in four of all. At a release the open ones must not be regressed, and the sealed ones
    improve, or hold, at their first evaluation.

    Args:
        n: observations, as many as there are.
        power: of open cases.
        margin: to hold, in the score's own unit.
        gain: to show, if it is a target.
        asked: the chance with which it has to hold, so that all units of its task do four times in five.
    """
    sealed = replace(power, levels=_opened(power.levels))
    needed = sealed.cases_to_improve(margin, gain) if gain else sealed.cases_to_hold(margin, asked)
    apart = min(max(needed, int(LEAST_SEALED * n)), max(n - math.ceil(LEAST_OPEN * n), 1))
    left = max(n - apart, 1)  # of one case there is no part

    def passes(change: float, number: int = 1) -> float:
        at = replace(power, levels=_opened(power.levels, number))
        proven = at.prob_improved(apart, margin, change) if gain else at.prob_held(apart, margin, change)
        return (1 - power.prob_regressed(left, margin, change)) * proven

    later = tuple(passes(gain or 0.0, number) for number in LATER)
    return CaseSplit(left, apart, passes(0.0), passes(gain or 0.0), math.ceil(needed / (1 - LEAST_OPEN)), later)


def _opened(levels: Levels, number: int = 1) -> Levels:
    """The levels of sealed cases at their evaluation of this number; a fall is tested at the full one."""
    part = sealed_level(number, levels.held) / levels.held
    return Levels(part * levels.held, levels.worse, part * levels.better)
