"""Sample size and power of pass/fail cases.

All chances are exact: sums over all tables of regressed and fixed cases, each decided as the gate does. The flip rate
is the share of cases that flip between two equally good models, half of them in each direction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tunegate.harness.statistics.critical_values import critical_value, largest_passing, tango_statistic
from tunegate.harness.statistics.distributions import Floats, Integers, binom_at, binom_range, binom_to, norm_above
from tunegate.harness.statistics.near_share import Left, evidence_left, prob_also_without_near
from tunegate.harness.statistics.paired import ROUNDING, differences, wilson
from tunegate.harness.statistics.power import Continuous, Levels, Power, check_design, fewest_cases
from tunegate.harness.statistics.second_reference import Beside, prob_beside_both, prob_both

_Rule = Callable[..., NDArray[np.bool_]]

BOUND_LEVEL = 0.05  # one-sided, of a measured flip rate
MOST_OUTPUTS = 64  # per case; beyond, more cases are better value


def flip_rate_seen(d: ArrayLike) -> float:
    """Return mean d^2: the share of cases that flipped, or the pass/fail flip rate that has the same variance."""
    return float((differences(d) ** 2).mean())


def flip_rate_bound(d: ArrayLike, level: float = BOUND_LEVEL) -> float:
    """Return an upper bound of the flip rate between equally good models, in [0, 1].

    It is the smaller of Wilson's upper bound of all flips and twice that of the rarer direction: if many cases were
    fixed and few regressed, the fixed ones are gain rather than flips. By enumeration (60 to 400 cases, flip rate 2 to
    20 %, gains up to 30 points) it covers the rate at least 87 times in 100 without a change, 92 with one.
    """
    values = differences(d)
    squares = values**2
    total, up = float(squares.sum()), float(squares[values > 0].sum())
    rarer, n = max(min(up, total - up), 0.0), len(values)
    # an upper bound, as few cases are imprecise: 0 of 60 flips means up to 4.3 %
    return min(wilson(total, n, level).upper, 2 * wilson(rarer, n, level).upper)


@dataclass(frozen=True)
class Flips:
    """The chances that a case regresses and that it is fixed."""

    regressed: float
    fixed: float

    @property
    def either(self) -> float:
        """The chance that a case flips."""
        return self.regressed + self.fixed

    def of(self, left: Left) -> Flips:
        """Return the flips that are seen in what near cases leave."""
        regressed = min(self.regressed + left.lost, 1.0)
        return Flips(regressed, min(self.fixed * max(1 - left.unseen, 0.0), 1 - regressed))


def expected_flips(change: float, flip_rate: float, rate: float | None = None) -> Flips:
    """Return the flips of a change plus a flip rate, half of it in each direction as far as possible.

    If the base passes `rate`, at most `rate` can regress and at most 1 - `rate` can be fixed.
    """
    if not (-1 <= change <= 1 and 0 <= flip_rate <= 1):
        raise ValueError(f"expected a change in [-1, 1] and a flip rate in [0, 1], found {change} and {flip_rate}")
    loss, gain = max(-change, 0.0), max(change, 0.0)
    # without a known rate, unchanged cases may flip in either direction
    room = (1 - loss - gain) / 2 if rate is None else min(rate - loss, 1 - rate - gain)
    if room < -ROUNDING:
        raise ValueError(f"a base that passes {rate} leaves no room for a change of {change}")
    reverse = max(min(flip_rate / 2, room), 0.0)
    return Flips(loss + reverse, gain + reverse)


@dataclass(frozen=True)
class PassFail(Power):
    """Cases that pass or fail, at a flip rate.

    `rate` is the share that the base passes: it limits how many cases a gain can fix, and how many regress beside it.
    Drops and held ignore it, as the next reference is the release, whose rate is unknown.

    `beside` is what the gate asks beside an equal second reference: held means held of both, or held of the first and
    not regressed beside the second; regressed means by either. A gain is shown against the first.

    `near` is the share of the cases that training rows come near, by chance: held and improved then need a second test,
    as in `near_share`.
    """

    flip_rate: float
    rate: float | None = None
    levels: Levels = field(default_factory=Levels)
    beside: Beside = ""
    near: float = 0.0
    wavers: ClassVar[bool] = True

    @property
    def grid(self) -> Floats:
        """Tenths of a point."""
        return np.arange(1, 1000) / 1000

    def fewest(self, margin: float) -> int:
        """Return the smallest n that can hold the margin without a flip."""
        return math.ceil(fewest_cases(margin, self.levels.held) / (1 - self.near) - ROUNDING)

    @property
    def widest_gain(self) -> float:
        """The largest possible gain over the base."""
        return 1 - (self.rate or 0.0)

    @property
    def deepest_drop(self) -> float:
        """A drop of all cases."""
        return -1.0

    def prob_held(self, n: int, margin: float, change: float = 0.0) -> float:
        """Return P(Tango's statistic exceeds its critical value); to 1e-11, beside two references to 1e-5."""
        return self.also_without_near(self._prob_held(n, margin, change), n, margin, change)

    def _prob_held(self, n: int, margin: float, change: float) -> float:
        if self.beside:
            second = self.is_held if self.beside == "held" else self.is_not_regressed
            return self._prob_both(n, margin, change, self.is_held, second)
        return self._held_of(n, margin, self.flips(n, margin, change))

    def _held_of(self, n: int, margin: float, flips: Flips) -> float:
        counts = _counts(n, flips)
        return _chance(n, flips, counts, 0 * counts, _most_held(counts, n, margin, self.levels.held))

    def also_without_near(self, whole: float, n: int, margin: float, change: float) -> float:
        """Return the chance `whole` if the margin must also be held without the gains of near cases."""
        if not self.near:
            return whole
        flips = self.flips(n, margin, change)
        held = self._mean_left(n, flips, lambda size, seen: self._held_of(size, margin, seen), of_gain=False)
        # a second reference may just not be regressed, for which all cases count
        held = prob_both(held, held) if self.beside == "held" else held
        return prob_also_without_near(whole, held, self.near)

    def _mean_left(self, n: int, flips: Flips, chance: Callable[[int, Flips], float], *, of_gain: bool) -> float:
        """Return the mean of a chance over what near cases may leave."""
        likely = evidence_left(n, self.near, self.rate, of_gain=of_gain)
        return math.fsum(share * chance(left.size, flips.of(left)) for left, share in likely.items() if left.size)

    def prob_regressed(self, n: int, margin: float, change: float) -> float:
        """Return P(few enough are fixed for the mid-p and score tests of "worse", and not held); as `prob_held`."""
        if self.beside:
            return 1 - self.prob_not_regressed(n, margin, change)
        flips = self.flips(n, margin, change)
        counts = _counts(n, flips)
        not_held = _most_held(counts, n, margin, self.levels.held) + 1
        worse = counts - most_against(counts, self.levels.worse)
        return _chance(n, flips, counts, np.maximum(not_held, worse), counts)

    def prob_not_regressed(self, n: int, margin: float, change: float, strict: bool = False) -> float:
        """Return P(not regressed beside either of two references); `strict` ones must not be worse though held."""
        test = self.is_not_worse if strict else self.is_not_regressed
        return self._prob_both(n, margin, change, test, test)

    def prob_passed(self, n: int, margin: float, change: float, strict: bool = False) -> float:
        """Return P(held and not regressed), beside two references."""
        if not strict:
            return self.prob_held(n, margin, change)
        second = self._is_held_strictly if self.beside == "held" else self.is_not_worse
        whole = self._prob_both(n, margin, change, self._is_held_strictly, second)
        return self.also_without_near(whole, n, margin, change)

    def is_held(self, regressed: Integers, fixed: Integers, n: int, margin: float) -> NDArray[np.bool_]:
        """Whether so many regressed and fixed cases of n hold the margin."""
        return table_is_held(regressed, fixed, n, margin, self.levels.held)

    def is_not_worse(self, regressed: Integers, fixed: Integers, n: int, margin: float) -> NDArray[np.bool_]:  # noqa: ARG002
        """Whether so many regressed and fixed cases show no loss."""
        return np.asarray(p_of_flips(fixed, regressed + fixed) > self.levels.worse)

    def is_not_regressed(self, regressed: Integers, fixed: Integers, n: int, margin: float) -> NDArray[np.bool_]:
        """Whether so many regressed and fixed cases of n show no loss, or hold the margin all the same."""
        return self.is_not_worse(regressed, fixed, n, margin) | self.is_held(regressed, fixed, n, margin)

    def _is_held_strictly(self, regressed: Integers, fixed: Integers, n: int, margin: float) -> NDArray[np.bool_]:
        return self.is_not_worse(regressed, fixed, n, margin) & self.is_held(regressed, fixed, n, margin)

    def _prob_both(self, n: int, margin: float, change: float, first: _Rule, second: _Rule) -> float:
        check_design(n, margin, most=1.0)
        tests = [partial(rule, n=n, margin=margin) for rule in (first, second)]
        return prob_beside_both(n, self.flip_rate, change, tests[0], tests[1] if second != first else tests[0])

    def prob_improved(self, n: int, margin: float, change: float) -> float:
        """Return P(few enough regress for the mid-p and score tests of "better"); to 1e-11."""
        flips = self.flips(n, margin, change)
        whole = self._improved_of(n, flips)
        if not self.near:
            return whole
        return prob_also_without_near(whole, self._mean_left(n, flips, self._improved_of, of_gain=True), self.near)

    def _improved_of(self, n: int, flips: Flips) -> float:
        counts = _counts(n, flips)
        return _chance(n, flips, counts, 0 * counts, most_against(counts, self.levels.better))

    def flips(self, n: int, margin: float, change: float) -> Flips:
        """Return the flips of a change; refuse an invalid design."""
        check_design(n, margin, most=1.0)
        return expected_flips(change, self.flip_rate, self.rate if change > 0 else None)


def _counts(n: int, flips: Flips) -> Integers:
    """Return the likely numbers of flips."""
    return np.asarray(binom_range(n, flips.either, tail=1e-12))


def table_is_held(regressed: Integers, fixed: Integers, n: int, margin: float, level: float) -> NDArray[np.bool_]:
    """Whether so many regressed and fixed cases of n hold the margin at a level; never if they are more than n."""
    possible = regressed + fixed <= n
    found = tango_statistic(regressed, np.where(possible, fixed, 0), n, margin)
    return np.asarray(possible & (found > critical_value(n, margin, level)))


def measured_noise(outputs: Iterable[Sequence[float]]) -> float | None:
    """Return the mean variance of single outputs of one case, from two or more per case; None without such cases."""
    scatter = [float(np.var(each, ddof=1)) for each in outputs if len(each) > 1]
    return float(np.mean(scatter)) if scatter else None


def cases_to_settle(
    d: ArrayLike, margin: float, level: float, like: Continuous | None = None, less: float = 0.0
) -> int | None:
    """Return about how many observations like these would be held or regressed four times in five.

    The observed change is taken as the true one. Continuous scores use the power of `like`, with `d` and `margin` in
    its unit. The flip rate is twice that of the rarer direction. `less` is the variance that more outputs per case
    would save. None if over 100,000.
    """
    values, levels = differences(d), Levels(level, level, level)
    change = float(values.mean())
    power: Power
    if like:
        power = replace(like, sd=math.sqrt(max(float(values.var()) - less, ROUNDING)), levels=levels)
    else:
        power = PassFail(max(flip_rate_seen(values) - abs(change) - less, 0.0), levels=levels)
    return power.cases_to_settle(margin, change)


def outputs_to_settle(d: ArrayLike, margin: float, level: float, noise: float, outputs: int) -> int | None:
    """Return how many outputs per case would settle it with the same cases; None if 64 would not.

    `noise` is the variance of the difference of single outputs; the mean of k outputs has a k-th of it. `d` is from
    `outputs` per case.
    """
    n = len(differences(d))
    for more in more_outputs(outputs):
        needed = cases_to_settle(d, margin, level, less=noise * (1 / outputs - 1 / more))
        if needed is not None and needed <= n:
            return more
    return None


def more_outputs(outputs: int) -> list[int]:
    """Return the numbers of outputs per case to try: twice as many, four times, ..."""
    return [outputs * 2**step for step in range(1, 7) if outputs * 2**step <= MOST_OUTPUTS]


def _chance(n: int, flips: Flips, counts: Integers, least: Integers, most: Integers) -> float:
    """Return P(least <= regressed <= most): flips are Binomial(n, either), and those that regress Binomial again."""
    # without flips any share works: the only count is 0
    share = flips.regressed / flips.either if flips.either else 0.5
    among = binom_to(most, counts, share) - binom_to(least - 1, counts, share)
    return float(binom_at(counts, n, flips.either) @ np.maximum(among, 0.0))


def _most_held(counts: Integers, n: int, margin: float, level: float) -> Integers:
    """Return for each number of flips how many may regress with the margin still held (-1 if not held at all)."""
    z = critical_value(n, margin, level)
    return largest_passing(counts, lambda regressed: tango_statistic(regressed, counts - regressed, n, margin) > z)


def most_against(counts: Integers, level: float) -> Integers:
    """Return for each number of flips how many may be opposite with a change still shown (-1 if not shown at all).

    The tests are those of `paired.p_better`.
    """
    return largest_passing(counts, lambda against: np.asarray(p_of_flips(against, counts) <= level))


def p_of_flips(against: Integers, counts: Integers) -> Floats:
    """Return the larger of McNemar's mid-p and the score test's p, if `against` of `counts` flips are opposite."""
    mid_p = binom_to(against, counts, 0.5) - binom_at(against, counts, 0.5) / 2
    score_p = norm_above((counts - 2 * against) / np.sqrt(np.maximum(counts, 1)))
    return np.asarray(np.maximum(mid_p, score_p))
