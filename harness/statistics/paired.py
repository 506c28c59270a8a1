"""Paired statistics of the decision rule: the tests for held, worse and better.

Throughout, `d` is a list of n numbers in [-1, 1], one per observation: tuned score minus base score. A margin
is a share of the score (.05 is five points). A level is a one-sided error rate unless a docstring says
otherwise. Invalid input raises `ValueError` with the value found.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr

from tunegate.harness.statistics.critical_values import (
    PROMISED,
    cluster_critical,
    critical,
    critical_value,
    graded_critical_value,
    rate_critical_value,
)
from tunegate.harness.statistics.distributions import (
    Floats,
    Integers,
    binom_to,
    norm_above,
    root_between,
)

LEVEL = 0.04  # at .05 the true error of a test that is not enumerated reaches 6.9 %
SPENT_AT_ONCE = 0.8  # of the level, by the first evaluation of sealed cases; of the rest by each later one
FLIPS = 9_999  # for scores that are not on a lattice: p then comes in steps of 1 / 10,000
FINEST_LATTICE = 240  # repeats x turns x cases of a group, as a common denominator
# An unbounded change counts up to so many margins, as the statistic needs a worst case: without one (BCa) bounds fail
# 7 to 34 % of the time on heavy tails. The share of cases beyond is bounded separately.
WINSOR_MARGINS = 10
# Scores between pass and fail: if few of them gain a lot and all others lose a little more than the margin, T errs up
# to 10 % of the time at .04. The signed root of the likelihood ratio, .03 + 2 / n above T's critical value, reduces
# that to 5.5 % from 28 cases on, over a grid of all two-point laws; it costs 2 points of power (benchmarks/gate_grid).
ROOT_ABOVE, ROOT_ABOVE_PER_CASE = 0.03, 2.0
FLIP_CELLS = 1_000_000  # signs held in memory at once
ROUNDING = 1e-9  # differences this small are float noise, not flips
TIE = 1e-12  # a mean this close to the margin equals it


@dataclass(frozen=True)
class Winsorised:
    """Changes of an unbounded score as `d`, n numbers in [-1, 1], and how many `lost` or `gained` C or more."""

    d: tuple[float, ...]
    lost: int
    gained: int


@dataclass(frozen=True)
class Effective:
    """The number of independent `cases`, at most n, that n cases in so many `clusters` are worth."""

    cases: float
    clusters: int


@dataclass(frozen=True)
class Bounds:
    """A lower and an upper bound, in the unit of the estimate."""

    lower: float
    upper: float


@dataclass(frozen=True)
class SignFlip:
    """One-sided p of the sign-flip test, and the `smallest` possible p for these |d|."""

    p_worse: float
    p_better: float
    smallest: float


@dataclass(frozen=True)
class PValue:
    """A one-sided `p`, and the `smallest` possible p for the same |d|, the only input of Tarone's selection."""

    p: float
    smallest: float


def sealed_level(evaluation: int, level: float = LEVEL) -> float:
    """Return the part of `level` for the k-th evaluation of sealed cases: .8 of it, then .16, .032, ...

    The parts add up to `level`, which therefore bounds the rate of a false "held" over all evaluations, even if each
    depends on those before (alpha spending, Lan and DeMets, Biometrika 70, 1983).
    """
    if evaluation < 1:
        raise ValueError(f"evaluations are counted from 1, found {evaluation}")
    return level * SPENT_AT_ONCE * (1 - SPENT_AT_ONCE) ** (evaluation - 1)


def winsorise_differences(base: ArrayLike, tuned: ArrayLike, span: float) -> Winsorised:
    """Scale paired unbounded scores (n each) to [-1, 1]: change / C, where C is `span`, in their unit."""
    before, after = np.asarray(base, float), np.asarray(tuned, float)
    if before.shape != after.shape or before.ndim != 1:
        raise ValueError(f"base and tuned must be lists of one length, found {before.shape}, {after.shape}")
    if not (math.isfinite(span) and span > 0):
        raise ValueError(f"the span of an unbounded score must be above 0, found {span}")
    if not (np.isfinite(before) & np.isfinite(after)).all():
        raise ValueError("base and tuned must be finite numbers: leave out unscored cases")
    change = (after - before) / span
    return Winsorised(tuple(np.clip(change, -1, 1).tolist()), int((change <= -1).sum()), int((change >= 1).sum()))


def score_statistic(d: ArrayLike, margin: float) -> float:
    """Return T(margin), about standard normal if the true mean is -margin; -inf if mean d <= -margin.

    Empirical likelihood with room for unseen cases at d = -1, studentized under the null; for pass/fail it
    equals Tango's score statistic (Statistics in Medicine 17, 1998, 891-908). -1 < margin < 1.
    """
    values, counts = _tally(d)
    if not -1 < margin < 1:
        raise ValueError(f"a margin must lie between -1 and 1, found {margin}")
    return _evidence(values, counts, margin)[0]


def held(d: ArrayLike, margin: float, level: float = LEVEL, effective: Effective | None = None) -> bool:
    """Whether a loss of `margin` or more is excluded at `level`: T(margin) above its critical value.

    Scores other than 0 and 1 take 1.7507 at .04 or more, and also need the signed root of the empirical likelihood
    ratio (Owen, Biometrika 75, 1988, 237-249) a little above it. For clustered cases T is reduced to their `effective`
    number, and must also exceed the t quantile of the clusters.
    """
    values, counts = _tally(d)
    n = int(counts.sum())
    z = _critical(_margin_critical(values, n, margin, level), level, effective)
    return _surplus(values, counts, margin, z, _share(n, effective)) > 0


def lower_bound(
    d: ArrayLike, level: float = LEVEL, z: float | None = None, effective: Effective | None = None
) -> float:
    """Return the lower bound of the mean change at `level`: -m for the least m that is held, at critical value `z`."""
    (values, counts), z = _tally(d), _critical(critical(level) if z is None else z, level, effective)
    share = _share(int(counts.sum()), effective)
    # the statistic is -inf up to minus the mean and rises from there, so the root lies beyond
    start, end = max(-_mean(values, counts), -1 + 1e-13), 1 - 1e-13

    def surplus(m: float) -> float:
        return max(_surplus(values, counts, m, z, share), -z)

    if start > 1 - ROUNDING or math.isinf(z) or surplus(end) < 0:
        return -1.0
    return -root_between(surplus, start, end, xtol=1e-13)


def interval(
    d: ArrayLike, level: float = 0.05, margin: float | None = None, effective: Effective | None = None
) -> Bounds:
    """Return the interval of the mean change with two-sided error `level`; Tango's for pass/fail.

    With a `margin` its lower end is above -margin if, and only if, that is `held` at half of the level. Clusters affect
    only the lower end, as "worse" is a statement about these cases.
    """
    values = differences(d)
    z = None if margin is None else _margin_critical(values, len(values), margin, level / 2)
    return Bounds(lower_bound(values, level / 2, z, effective), -lower_bound(-values, level / 2, z))


def rate_lower_bound(
    scores: ArrayLike, target: float, level: float = LEVEL, effective: Effective | None = None
) -> float:
    """Return the lower bound of the mean of n scores from 0 to 1: for pass/fail Wilson's, but exact at the `target`.

    It reaches the target, if the true mean is below it, at most `PROMISED` times the level of the time. With the normal
    quantile, 8 cases do so up to 9.6 % of the time at .04.
    """
    short = differences(np.asarray(scores, float) - 1)
    z = rate_critical_value(len(short), target, level) if _is_pass_fail(short) and target < 1 else None
    return 1 + lower_bound(short, level, z, effective)


def sign_flip(d: ArrayLike, *, seed: int, mid: bool = True) -> SignFlip:
    """Test sum d against all sign changes of |d|: mid-p, or exact p if not `mid`; for pass/fail, McNemar's.

    Exact if k d are integers for some k <= 240; otherwise (1 + count) / 10,000 from 9,999 draws with `seed`, regardless
    of `mid`. The order of the cases does not matter.
    """
    values = differences(d)
    # a case that did not move is the same under either sign
    moved = values[values != 0]
    # exact if possible: pass/fail, and means of k outputs, whose sums have few values
    steps = _on_lattice(moved)
    if steps is None:
        return _sampled_flips(moved, seed)
    # mid-p counts half of the tie: Holm on exact p misses 77 % of real drops of 5 points at n = 100
    chances, at, share = _flip_chances(np.abs(steps)), int(steps[steps > 0].sum()), 0.5 if mid else 1.0
    tie = share * float(chances[at])
    low, high = float(chances[:at].sum()) + tie, float(chances[at + 1 :].sum()) + tie
    return SignFlip(min(low, 1.0), min(high, 1.0), share * float(chances[0]))


def p_worse(d: ArrayLike, *, seed: int, mid: bool = True) -> PValue:
    """Return the p of "worse": the larger of the sign-flip p and that of T(0) on -d. Slices: `mid=False`."""
    values = differences(d)
    # The larger of two: the sign-flip test calls unchanged continuous scores with a skew worse up to 15 % of the time.
    flip = sign_flip(values, seed=seed, mid=mid)
    # from |d| only: if the selection of the family depended on directions, the result would choose its own test
    smallest = max(flip.smallest, _score_p(np.abs(values)))
    return PValue(max(flip.p_worse, _score_p(-values)), smallest)


def p_better(d: ArrayLike, *, seed: int, mid: bool = True, effective: Effective | None = None) -> PValue:
    """Return the p of "better": `p_worse` of the negated differences, or that of the clusters if larger."""
    found = p_worse(-differences(d), seed=seed, mid=mid)
    if effective is None:
        return found
    statistic = score_statistic(d, 0.0) * math.sqrt(_share(len(differences(d)), effective))
    return PValue(max(found.p, float(stdtr(effective.clusters - 1, -statistic))), found.smallest)


def p_below(passed: float, n: int, rate: float) -> PValue:
    """Return the p of n cases passing less than `rate`: the exact one over `PROMISED`.

    So the error is at most the promised one; with mid-p 50 cases of .97 err 6.2 % of the time at .04. Scores between 0
    and 1 vary less than pass/fail, and err less.
    """
    if n < 1 or not (0 <= passed <= n and 0 <= rate <= 1):
        raise ValueError(f"expected 0 <= passed <= n, n >= 1 and a rate in [0, 1], found {passed} of {n}, {rate}")

    def of(total: float) -> float:
        if rate in (0.0, 1.0):
            return float(total >= n * rate)
        return float(binom_to(math.ceil(total - ROUNDING), n, rate)) / PROMISED  # shares of cases are rounded up

    return PValue(of(passed), of(0.0))


def tarone_holm(p: Sequence[float], smallest: Sequence[float], level: float = LEVEL) -> tuple[bool, ...]:
    """Return which of the p are significant in their family at `level`, in the order given.

    Tarone (Biometrics 46, 1990, 515-522): the smallest K with at most K members whose `smallest` p is at most
    level / K; then Holm's step-down among only those members. A member left out is never significant.
    """
    if len(p) != len(smallest):
        raise ValueError(f"p and smallest must have one length, found {len(p)} and {len(smallest)}")
    if not all(0 <= value <= 1 for value in (*p, *smallest)):
        raise ValueError("every p must lie in [0, 1]")
    # A unit that hardly moved cannot be significant in either direction: left out, it uses up no level.
    members: list[int] = []
    for k in range(1, len(p) + 1):
        members = [i for i, least in enumerate(smallest) if least <= level / k]
        if len(members) <= k:
            break
    significant = [False] * len(p)
    for rank, i in enumerate(sorted(members, key=lambda i: p[i])):
        # step-down: after the first that is not significant, none is
        if p[i] > level / (len(members) - rank):
            break
        significant[i] = True
    return tuple(significant)


def wilson(passed: float, n: int, level: float = 0.05) -> Bounds:
    """Return Wilson's bounds of a rate (JASA 22, 1927), each one-sided at `level`; `passed` may be a sum."""
    if n < 1 or not 0 <= passed <= n:
        raise ValueError(f"expected 0 <= passed <= n and n >= 1, found {passed} of {n}")
    z, rate = critical(level), passed / n
    center, scale = rate + z * z / (2 * n), 1 + z * z / n
    half = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return Bounds(max(0.0, (center - half) / scale), min(1.0, (center + half) / scale))


def differences(d: ArrayLike) -> Floats:
    """Return `d` as an array of n numbers in [-1, 1]; values below the rounding error become 0."""
    values = np.asarray(d, dtype=float)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"d must be a list of at least one difference, found shape {values.shape}")
    wrong = np.flatnonzero(~(np.abs(values) <= 1))
    if len(wrong):
        raise ValueError(f"d[{wrong[0]}] is {values[wrong[0]]}: a difference must lie in [-1, 1]")
    return np.where(np.abs(values) < ROUNDING, 0.0, values)


def _tally(d: ArrayLike) -> tuple[Floats, Integers]:
    """Return the distinct differences and their counts: equal ones weigh the same, and most are 0."""
    values, counts = np.unique(differences(d), return_counts=True)
    return values, counts.astype(np.int64)


def _mean(values: Floats, counts: Integers) -> float:
    return float(counts @ values) / int(counts.sum())


def _share(n: int, effective: Effective | None) -> float:
    """Return the share of n cases that count as independent ones."""
    if effective is not None and not 0 < effective.cases <= n * (1 + TIE):
        raise ValueError(f"the effective number of {n} cases must lie above 0 and be at most {n}, found {effective}")
    return 1.0 if effective is None else effective.cases / n


def _is_pass_fail(values: Floats) -> bool:
    return bool(np.isin(values, (-1.0, 0.0, 1.0)).all())


def _margin_critical(values: Floats, n: int, margin: float, level: float) -> float:
    return (critical_value if _is_pass_fail(values) else graded_critical_value)(n, margin, level)


def _critical(z: float, level: float, effective: Effective | None) -> float:
    """Return the larger of a critical value and that of the clusters."""
    return z if effective is None else max(z, cluster_critical(level, effective.clusters))


def _evidence(values: Floats, counts: Integers, margin: float) -> tuple[float, float]:
    """Return T(margin) and the signed root of the likelihood ratio; -inf if the mean is not above -margin."""
    tilted = _tilted(values, counts, margin)
    if tilted is None:
        return -math.inf, -math.inf
    n, room = int(counts.sum()), 1 - margin
    weights = counts * room / (n * tilted)
    # The variance under the null, not that of the sample: Wald bounds falsely hold 13 % of the time, and have no width
    # if nothing moved. The remaining weight lies on unseen cases at d = -1, whose square is 1: because of them n cases
    # without a flip hold no margin below z^2 / (n + z^2).
    variance = float(weights @ values**2) + (1 - float(weights.sum())) - margin**2
    statistic = (_mean(values, counts) + margin) / math.sqrt(variance / n) if variance > 0 else math.inf
    return statistic, math.sqrt(max(2 * float(counts @ np.log(tilted / room)), 0.0))


def _surplus(values: Floats, counts: Integers, margin: float, z: float, share: float) -> float:
    """Return by how much the evidence for a mean above -margin exceeds its critical value `z`; held if above 0."""
    statistic, root = (math.sqrt(share) * each for each in _evidence(values, counts, margin))
    if _is_pass_fail(values):
        return statistic - z
    return min(statistic - z, root - z - ROOT_ABOVE - ROOT_ABOVE_PER_CASE / int(counts.sum()))


def _tilted(d: Floats, counts: Integers, margin: float) -> Floats | None:
    """Return (1 - margin) (1 + lambda x) of each x = d + margin, or None if the mean is not above -margin.

    The cases, weighted by its inverse, average -margin: t = lambda (1 - margin) is solved for in [0, 1].
    """
    x, room, n = d + margin, 1 - margin, int(counts.sum())

    def tilted(t: float) -> Floats:
        return (1 - t) * room + t * (1 + d)  # without cancellation

    def slope(t: float) -> float:
        return float(counts @ (x / tilted(t)))

    # a mean of exactly -margin lies above or below it only by rounding
    if _mean(d, counts) + margin <= TIE or slope(0.0) <= 0:
        return None
    top = 1.0 if d.min() > -1 else 1 - 1 / (n + 2)  # a case at -1 keeps the root below n / (n + 1)
    # no root up to `top`: no observed loss is large enough, and unseen cases at -1 take the rest of the weight
    return tilted(top if slope(top) >= 0 else root_between(slope, 0.0, top, xtol=1e-15))


def _score_p(d: Floats) -> float:
    return float(norm_above(score_statistic(d, 0.0)))


def _on_lattice(d: Floats) -> Integers | None:
    """Return k d as integers for the smallest k that makes them so, or None."""
    for k in range(1, FINEST_LATTICE + 1):
        steps = np.rint(k * d)
        if (np.abs(k * d - steps) < ROUNDING).all():
            return steps.astype(np.int64)
    return None


def _flip_chances(steps: Integers) -> Floats:
    """Return P(U = u), u = 0 .. sum steps, for U the sum of the steps that a fair coin keeps, by convolution."""
    chances = np.zeros(int(steps.sum()) + 1)
    chances[0] = 1.0
    for step in steps:
        # halved in each step, as 2^n sign patterns overflow a float for n above 1,000
        chances /= 2
        chances[step:] += chances[:-step].copy()
    return chances


def _sampled_flips(moved: Floats, seed: int) -> SignFlip:
    # sorted, so that p does not depend on the order of the cases
    sizes, random = np.sort(np.abs(moved)), np.random.default_rng(seed)
    total, tie = float(moved.sum()), 1e-10 * float(sizes.sum())  # sums that differ by float noise are a tie
    below = above = 0
    rows = max(1, min(FLIPS, FLIP_CELLS // len(sizes)))
    for done in range(0, FLIPS, rows):
        kept = random.integers(0, 2, size=(min(rows, FLIPS - done), len(sizes)), dtype=np.int8)
        sums = 2 * (kept @ sizes) - sizes.sum()
        below += int((sums <= total + tie).sum())
        above += int((sums <= tie - total).sum())  # the mirror image, so that -d swaps the two p
    # + 1: the observed signs are one of the flips, and p must not be 0
    smallest = max(0.5 ** len(sizes), 1 / (FLIPS + 1))
    return SignFlip((1 + below) / (FLIPS + 1), (1 + above) / (FLIPS + 1), smallest)
