"""How many cases to seal: sealed cases prove a release, open ones are used during the work."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tunegate.harness.statistics.paired import sealed_level
from tunegate.harness.statistics.power import POWER, Continuous
from tunegate.harness.statistics.sample_size import PassFail

LEAST_OPEN = 0.25  # of the cases: they show what fails, and gate pull requests
LATER = (2, 3, 4)  # evaluations of the same sealed cases
LEAST_SEALED = 0.5  # of the cases: more sealed cases let a release show more


@dataclass(frozen=True)
class CaseSplit:
    """The numbers of `open` and `sealed` cases, and the chances that both pass an `equal` model and one that `gained`.

    `needed` is the total number of cases of which three in four, sealed, suffice four times in five. `gained` is the
    chance at the first evaluation of the sealed cases, `later` that at the following ones.
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
    """Return the best split of n cases.

    It seals the fewest cases that show `gain` four times in five, or without a gain hold `margin` with the chance
    `asked`; at least half and at most three in four. At a release the open cases must not regress, and the sealed ones
    must improve, or hold, at their first evaluation. `power` is that of open cases; margin and gain are in the score's
    own unit.
    """
    sealed = replace(power, levels=power.levels.spent(sealed_level(1, 1.0)))
    needed = sealed.cases_to_improve(margin, gain) if gain else sealed.cases_to_hold(margin, asked)
    apart = min(max(needed, int(LEAST_SEALED * n)), max(n - math.ceil(LEAST_OPEN * n), 1))
    left = max(n - apart, 1)  # one case cannot be split

    def passes(change: float, number: int = 1) -> float:
        at = replace(power, levels=power.levels.spent(sealed_level(number, 1.0)))
        proven = at.prob_improved(apart, margin, change) if gain else at.prob_held(apart, margin, change)
        return (1 - power.prob_regressed(left, margin, change)) * proven

    later = tuple(passes(gain or 0.0, number) for number in LATER)
    return CaseSplit(left, apart, passes(0.0), passes(gain or 0.0), math.ceil(needed / (1 - LEAST_OPEN)), later)
