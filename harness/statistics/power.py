"""The power of a number of cases: the interface, and its implementation for continuous scores.

A change is a true one, tuned minus base, in the score's own unit; n counts observations. Invalid input raises
`ValueError` with the value found.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from tunegate.harness.statistics.critical_values import PROMISED, critical, critical_value, graded_critical_value
from tunegate.harness.statistics.distributions import Floats, binom_bound, binom_to, norm_below
from tunegate.harness.statistics.near_share import prob_also_without_near
from tunegate.harness.statistics.paired import LEVEL, ROUNDING, WINSOR_MARGINS
from tunegate.harness.statistics.second_reference import Beside, prob_both

POWER = 0.8  # four times in five
WIDEST = 0.999  # a margin as a share of C: a wider one can never be lost


@dataclass(frozen=True)
class Levels:
    """One-sided error levels: of held, and the share of one unit in the families of "worse" and "better"."""

    held: float = LEVEL
    worse: float = LEVEL
    better: float = LEVEL

    def spent(self, part: float) -> Levels:
        """Return the levels of sealed cases, of which a `part` is left; worse is tested at the full level."""
        return Levels(part * self.held, self.worse, part * self.better)


class Power(ABC):
    """The chance of each verdict for n observations, a margin and a true change, and the sizes derived from it.

    `power` is the required chance: four in five, or `POWER ** (1 / s)` for s units together.
    """

    levels: Levels
    # Whether a chance may fall a little as n grows: flips are whole numbers, so the critical number rises in steps.
    wavers: ClassVar[bool]

    @abstractmethod
    def prob_held(self, n: int, margin: float, change: float = 0.0) -> float:
        """Return P(a loss of `margin` is excluded), improved or not."""

    @abstractmethod
    def prob_regressed(self, n: int, margin: float, change: float) -> float:
        """Return P(significantly worse, and not held)."""

    @abstractmethod
    def prob_improved(self, n: int, margin: float, change: float) -> float:
        """Return P(significantly better), which implies held, as the level of better is never laxer."""

    @abstractmethod
    def fewest(self, margin: float) -> int:
        """Return the fewest observations that hold the margin if no score moves; fewer need a gain."""

    @property
    @abstractmethod
    def grid(self) -> Floats:
        """The margins, drops and gains to search, in rising order."""

    @property
    def widest_gain(self) -> float:
        """The largest possible gain over the base."""
        return math.inf

    @property
    def deepest_drop(self) -> float:
        """The largest possible drop, a number below 0."""
        return -math.inf

    def cases_to_hold(self, margin: float, power: float = POWER, least: int = 1) -> int:
        """Return the fewest observations, `least` or more, that hold `margin` with this power if nothing changed."""
        return self._first(lambda n: self.prob_held(n, margin), power, margin, least)

    def cases_to_settle(self, margin: float, change: float, power: float = POWER, most: int = 100_000) -> int | None:
        """Return the fewest observations that hold a true `change` or call it regressed; None if `most` do not."""

        def settled(n: int) -> float:
            return self.prob_held(n, margin, change) + self.prob_regressed(n, margin, change)

        return self._first(settled, power, margin) if settled(most) >= power else None

    def cases_to_improve(self, margin: float, gain: float, power: float = POWER) -> int:
        """Return the fewest observations that show a true `gain` with this power."""
        if not gain > 0:
            raise ValueError(f"a gain must be above 0, found {gain}")
        return self._first(lambda n: self.prob_improved(n, margin, gain), power, margin)

    def smallest_margin(self, n: int, power: float = POWER) -> float | None:
        """Return the smallest margin that n observations hold with this power if nothing changed, or None."""
        return _smallest(lambda margin: self.prob_held(n, margin), power, self.grid)

    def smallest_drop(self, n: int, margin: float, power: float = POWER) -> float | None:
        """Return the smallest true drop, a number above 0, that is called regressed with this power, or None."""
        return _smallest(lambda drop: self.prob_regressed(n, margin, -drop), power, self.grid)

    def smallest_gain(self, n: int, margin: float, power: float = POWER) -> float | None:
        """Return the smallest true gain that is called improved with this power, or None."""
        gains = self.grid[self.grid <= self.widest_gain + ROUNDING]
        return _smallest(lambda gain: self.prob_improved(n, margin, gain), power, gains)

    def _first(self, chance: Callable[[int], float], power: float, margin: float, least: int = 1) -> int:
        """Return the first n with this power; a chance that wavers is a saw with teeth of 1 / margin cases."""
        if not 0 < power < 1:
            raise ValueError(f"power must lie between 0 and 1, found {power}")
        # doubling, then bisection: each chance is a sum over all likely tables, so compute few of them
        high = least
        while chance(high) < power:
            high *= 2
        crossing = bisect_left(range(high + 1), True, lo=least, hi=high, key=lambda n: chance(n) >= power)
        earlier = range(max(least, crossing - math.ceil(4 / margin)), crossing) if self.wavers else ()
        return next((n for n in earlier if chance(n) >= power), crossing)


@dataclass(frozen=True)
class Continuous(Power):
    """Scores whose paired change has the standard deviation `sd`, in the score's own unit: a normal approximation.

    Julious, Statistics in Medicine 23 (2004), 1921-1986: n = ((z_level + z_power) sd / margin)^2 if nothing changed.
    The gate also leaves room for unseen cases at C, the largest possible loss: `span`, or ten margins if that is None.
    This room dominates if sd is below a third of C: the mean then has to differ by z^2 / n of it, regardless of sd.
    `collapse` is the share of cases that may lose C or more, which the gate bounds; None if it does not. With
    `collapse` the loss of a case is unbounded, and C is the larger of `span` and ten margins.

    `beside` is what the gate asks beside an equal second reference, as in `PassFail`. The three models vary alike, so
    half of the variance of both differences is that of the candidate.

    `near` is the share of the cases that training rows come near: the mean then has to differ on the others too.
    """

    sd: float
    levels: Levels = field(default_factory=Levels)
    span: float | None = None
    collapse: float | None = None
    beside: Beside = ""
    near: float = 0.0
    wavers: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.sd) and self.sd > 0):
            raise ValueError(f"the standard deviation of the changes must be above 0, found {self.sd}")

    @property
    def grid(self) -> Floats:
        """From a thousandth to a thousand standard deviations, in steps of .35 %."""
        return self.sd * np.geomspace(1e-3, 1e3, 4001)

    def prob_held(self, n: int, margin: float, change: float = 0.0) -> float:
        """Return P(the mean lies far enough above -margin, and few enough cases lose C), beside each reference."""
        mean = self._above(n, self._held_from(n, margin), change)
        clean = self.clean(n)
        mean = prob_also_without_near(mean, self._above(clean, self._held_from(clean, margin), change), self.near)
        held = mean * self.prob_few_collapse(n, margin, change)
        if not self.beside:
            return held
        return prob_both(held, held if self.beside == "held" else self._prob_not_regressed(n, margin, change))

    def prob_regressed(self, n: int, margin: float, change: float) -> float:
        """Return P(the mean lies far enough below 0, and is not held), beside any reference."""
        passed = self._prob_not_regressed(n, margin, change)
        return 1 - (prob_both(passed, passed) if self.beside else passed)

    def _prob_not_regressed(self, n: int, margin: float, change: float) -> float:
        worse_to = -self._distance(n, margin, critical(self.levels.worse), self.room(margin))
        return self._above(n, min(worse_to, self._held_from(n, margin)), change)

    def prob_improved(self, n: int, margin: float, change: float) -> float:
        """Return P(the mean lies far enough above 0)."""
        whole, clean = (self._prob_better(each, margin, change) for each in (n, self.clean(n)))
        return prob_also_without_near(whole, clean, self.near)

    def _prob_better(self, n: int, margin: float, change: float) -> float:
        better_from = self._distance(n, margin, critical(self.levels.better), self.room(margin))
        return self._above(n, better_from, change)

    def clean(self, n: int) -> int:
        """Return how many of n observations no training row comes near, at least one."""
        return max(1, round(n * (1 - self.near)))

    def fewest(self, margin: float) -> int:
        """Return the larger of the numbers that the mean and the share of collapsed cases need."""
        return max(self.fewest_for_mean(margin), self.fewest_for_share)

    def fewest_for_mean(self, margin: float) -> int:
        """Return the fewest observations whose mean can hold the margin, if no score moves."""
        fewest = 1 if margin >= self.room(margin) else fewest_cases(margin / self.room(margin), self.levels.held)
        return math.ceil(fewest / (1 - self.near) - ROUNDING)

    @property
    def fewest_for_share(self) -> int:
        """The fewest observations that can show `collapse` if none of them collapses; 1 without `collapse`."""
        return fewest_to_bound(self.collapse, self.levels.held) if self.collapse else 1

    def can_hold(self, margin: float, power: float = POWER, most: int = 100_000) -> bool:
        """Whether `most` observations hold the margin with this power; no number does if too many cases lose C."""
        return self.prob_held(most, margin) >= power

    def room(self, margin: float) -> float:
        """Return C, in the score's own unit."""
        if self.span is None:
            return WINSOR_MARGINS * margin
        return max(self.span, margin / WIDEST if self.collapse is None else WINSOR_MARGINS * margin)

    def _held_from(self, n: int, margin: float) -> float:
        """Return the mean change from which the margin is held."""
        span = self.room(margin)
        z = graded_critical_value(n, margin / span, self.levels.held)
        return self._distance(n, margin, z, span - margin) - margin

    def _distance(self, n: int, margin: float, z: float, room: float) -> float:
        """Return how far the mean must lie from the tested value, with `room` beyond that value."""
        check_design(n, margin)
        return max(z * self.sd / math.sqrt(n), z * z * room / n)

    def prob_few_collapse(self, n: int, margin: float, change: float = 0.0) -> float:
        """Return P(so few cases lose C that the bound of their share is at most `collapse`)."""
        if self.collapse is None:
            return 1.0
        most = most_collapsed(n, self.collapse, self.levels.held)
        chance = float(norm_below((-self.room(margin) - change) / self.sd))
        return float(binom_to(most, n, chance)) if most >= 0 else 0.0

    def _above(self, n: int, mean: float, change: float) -> float:
        return float(norm_below((change - mean) / self.sd * math.sqrt(n)))


def fewest_cases(margin: float, level: float = LEVEL) -> int:
    """Return the smallest n that can hold `margin` without a flip: n > z^2 (1 - m) / m."""
    check_design(1, margin, most=1.0)
    # fewer miss a loss of the margin more often than promised
    n = math.ceil(math.log(PROMISED * level) / math.log1p(-margin))
    while n <= critical_value(n, margin, level) ** 2 * (1 - margin) / margin:
        n += 1
    return n


def fewest_to_bound(share: float, level: float = LEVEL) -> int:
    """Return the smallest n whose bound of a share never seen is at most `share`: (1 - s)^n <= level."""
    return math.ceil(math.log(level) / math.log1p(-share) - ROUNDING)


def most_collapsed(n: int, share: float, level: float = LEVEL) -> int:
    """Return the largest count among n cases whose bound is at most `share`; -1 if n is too small for any."""
    return bisect_left(range(n + 1), True, key=lambda k: binom_bound(k, n, level) > share) - 1


def _smallest(chance: Callable[[float], float], power: float, values: Floats) -> float | None:
    """Return the first of the rising values whose chance reaches `power`, or None."""
    found = bisect_left(values.tolist(), True, key=lambda value: chance(value) >= power)
    return float(values[found]) if found < len(values) else None


def check_design(n: int, margin: float, most: float = math.inf) -> None:
    """Refuse an invalid number of observations and a margin outside (0, most)."""
    if n < 1:
        raise ValueError(f"n must be at least 1, found {n}")
    if not 0 < margin < most:
        raise ValueError(f"the margin must lie between 0 and {most:g}, found {margin}")
