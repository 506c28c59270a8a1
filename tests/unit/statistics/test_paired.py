"""The decision rule's statistics: published values, second computations, laws and the simulation table."""

import itertools
import math
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, norm

from tunegate.harness.statistics.paired import (
    Effective,
    PValue,
    critical,
    held,
    interval,
    lower_bound,
    p_below,
    p_better,
    p_worse,
    rate_lower_bound,
    score_statistic,
    sign_flip,
    tarone_holm,
    wilson,
    winsorise_differences,
)

scores = st.lists(st.floats(-1, 1), min_size=1, max_size=30)
margins = st.floats(0.005, 0.6)
lattices = st.tuples(st.integers(1, 5), st.lists(st.integers(-5, 5), min_size=1, max_size=9))
tables = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 120)).filter(any)
families = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.2)), min_size=1, max_size=12).map(
    lambda pairs: ([max(pair) for pair in pairs], [least for _, least in pairs])
)


def cases(regressed: int, fixed: int, n: int) -> list[float]:
    return [-1.0] * regressed + [1.0] * fixed + [0.0] * (n - regressed - fixed)


def table(both: int, first: int, second: int, neither: int) -> list[float]:
    """Differences first - second, in the order in which the papers print their counts."""
    return cases(second, first, both + first + second + neither)


# Second computations, written from the papers and not from the module.


def tango(regressed: int, fixed: int, n: int, margin: float) -> float:
    """Tango 1998, eq. 4 to 6, by maximizing the null likelihood over the chance of a fix."""
    low, high = 0.0, (1 - margin) / 2

    def slope(q: float) -> float:
        rest = n - regressed - fixed
        return fixed / q + regressed / (q + margin) - 2 * rest / (1 - 2 * q - margin) if rest else math.inf

    if fixed == 0 and regressed / margin <= 2 * (n - regressed) / (1 - margin):
        high = 0.0
    for _ in range(200):
        q = (low + high) / 2
        if high and slope(q) > 0:
            low = q
        else:
            high = q
    return (n * margin - regressed + fixed) / math.sqrt(n * (2 * high + margin * (1 - margin)))


def literal_statistic(d: list[float], margin: float) -> float:
    """Rule 2 as its text has it, with lambda found by halving."""
    n, low, high = len(d), 0.0, 1 / (1 - margin)
    for _ in range(200):
        root = (low + high) / 2
        if sum((v + margin) / (1 + root * (v + margin)) for v in d) > 0:
            low = root
        else:
            high = root
    w = [1 / (n * (1 + low * (v + margin))) for v in d]
    variance = sum(a * v * v for a, v in zip(w, d, strict=True)) + 1 - sum(w) - margin**2
    return (sum(d) / n + margin) / math.sqrt(variance / n)


def all_flips(steps: list[int], mid: bool) -> tuple[float, float, float]:
    """The p of worse and of better, and the smallest p, over all 2^n sign changes."""
    patterns = itertools.product((-1, 1), repeat=len(steps))
    sums = [sum(a * s for a, s in zip(steps, signs, strict=True)) for signs in patterns]
    tie = 0.5 if mid else 1.0

    def below(at: int, by: int) -> float:
        return sum((by * s < by * at) + tie * (s == at) for s in sums) / len(sums)

    return below(sum(steps), 1), below(sum(steps), -1), below(min(sums), 1)


# Published values.


def test_interval_is_tangos() -> None:
    for counts, level, lower, upper, digits in [
        ((1, 1, 7, 12), 0.05, -0.517, -0.026, 3),
        ((4, 9, 3, 16), 0.05, -0.027, 0.390, 3),
        ((43, 0, 1, 0), 0.10, -0.096, 0.037, 3),
        ((53, 16, 8, 9), 0.05, -0.020, 0.207, 3),
        ((59, 6, 16, 80), 0.05, -0.1240, -0.0054, 4),
    ]:
        found = interval(table(*counts), level)
        assert (round(found.lower, digits), round(found.upper, digits)) == (lower, upper)


def test_cavo_mcnemar() -> None:
    d = table(59, 6, 16, 80)
    assert 2 * sign_flip(d, seed=0, mid=False).p_worse == pytest.approx(0.052479, abs=5e-7)
    assert 2 * sign_flip(d, seed=0).p_worse == pytest.approx(0.034690, abs=5e-7)


def test_nine_regressed_two_fixed() -> None:
    d = cases(9, 2, 100)
    assert sign_flip(d, seed=0, mid=False).p_worse == pytest.approx(0.032715, abs=5e-7)
    assert sign_flip(d, seed=0).p_worse == pytest.approx(0.019287, abs=5e-7)


def test_five_repeats_of_sixty_cases() -> None:
    d = [-0.2] * 3 + [0.2] * 2 + [0.0] * 55
    assert score_statistic(d, 0.05) == pytest.approx(1.71679, abs=5e-6)
    assert lower_bound(d) == pytest.approx(-0.05177, abs=5e-6)
    assert not held(d, 0.05)


def test_critical_value() -> None:
    assert critical(0.04) == pytest.approx(1.7507, abs=5e-5)


def test_bound_without_a_flip() -> None:
    for n in [1, 7, 59, 400]:
        z = norm.isf(0.04)
        assert lower_bound([0.0] * n) == pytest.approx(-(z**2) / (n + z**2), abs=1e-9)


# The statistic.


@given(tables, margins)
def test_pass_fail_statistic_is_tangos(counts: tuple[int, int, int], margin: float) -> None:
    regressed, fixed, same = counts
    n = regressed + fixed + same
    found = score_statistic(cases(regressed, fixed, n), margin)
    if (regressed - fixed) / n >= margin:
        assert found == -math.inf or found == pytest.approx(0, abs=1e-6)
    else:
        assert found == pytest.approx(tango(regressed, fixed, n, margin), rel=1e-6, abs=1e-6)


@given(scores, margins)
def test_statistic_is_the_rules_text(d: list[float], margin: float) -> None:
    if sum(d) / len(d) > -margin + 1e-6:
        assert score_statistic(d, margin) == pytest.approx(literal_statistic(d, margin), rel=1e-6, abs=1e-6)


@given(scores, margins, margins)
def test_statistic_grows_with_the_margin(d: list[float], one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert score_statistic(d, low) <= score_statistic(d, high) + 1e-9


@given(tables, margins)
def test_mending_a_regressed_case_never_hurts(counts: tuple[int, int, int], margin: float) -> None:
    regressed, fixed, same = counts
    n = regressed + fixed + same + 1
    before, after = cases(regressed + 1, fixed, n), cases(regressed, fixed, n)
    assert score_statistic(after, margin) >= score_statistic(before, margin)


@given(scores, margins, st.sampled_from([0.05, 0.04, 0.02, 0.04 / 24]))
def test_held_is_a_bound_above_the_margin(d: list[float], margin: float, level: float) -> None:
    bound = interval(d, 2 * level, margin).lower
    assert -1 <= bound <= sum(d) / len(d) + 1e-9
    if abs(bound + margin) > 1e-6:
        assert held(d, margin, level) == (bound > -margin)


@given(scores, st.sampled_from([0.02, 0.05, 0.2]))
def test_interval_mirrors_and_holds_the_mean(d: list[float], level: float) -> None:
    found, mirrored = interval(d, level), interval([-v for v in d], level)
    assert found.lower - 1e-9 <= sum(d) / len(d) <= found.upper + 1e-9
    assert (found.lower, found.upper) == pytest.approx((-mirrored.upper, -mirrored.lower), abs=1e-9)


@given(st.floats(-0.95, 0.95), st.integers(1, 50), st.floats(0.01, 0.9))
def test_constant_scores_have_a_closed_form(constant: float, n: int, margin: float) -> None:
    constant = round(constant, 6)
    z = critical(0.04)
    # the score statistic's bound, and that of the likelihood ratio: 2 n log((1 + c) / (1 - m)) = z'^2
    by_root = (1 + constant) * math.exp(-((z + 0.03 + 2 / n) ** 2) / (2 * n)) - 1
    expected = (n * constant - z**2) / (n + z**2) if constant == 0 else min((n * constant - z**2) / (n + z**2), by_root)
    assert lower_bound([constant] * n) == pytest.approx(expected, abs=1e-7)
    if constant + margin > 1e-6:
        expected = math.sqrt(n * (constant + margin) / (1 - margin))
        assert score_statistic([constant] * n, margin) == pytest.approx(expected, rel=1e-6)


def test_statistic_at_the_edges() -> None:
    for d, margin, expected in [
        ([0.0], 0.5, 1.0),
        ([0.0] * 9, 0.0, -math.inf),
        ([-1.0], 0.5, -math.inf),
        ([-1.0] * 30, 0.9, -math.inf),
        ([1.0], 0.0, 1.0),
        ([1.0] * 9 + [-1.0] * 2, 0.0, 7 / math.sqrt(11)),
        ([-0.05] * 20, 0.05, -math.inf),
    ]:
        assert score_statistic(d, margin) == pytest.approx(expected)


def test_bounds_at_the_edges() -> None:
    assert lower_bound([-1.0] * 30) == -1
    assert interval([1.0] * 30).upper == 1
    assert -1 < lower_bound([-1.0] * 59 + [1.0]) < -0.9
    assert -1 < lower_bound([0.3]) < 0.3


@given(lattices, st.integers(1, 12))
def test_a_loss_of_exactly_the_margin_is_not_held(lattice: tuple[int, list[int]], times: int) -> None:
    k, steps = lattice
    d = [max(-1.0, min(1.0, step / k)) for step in steps] * times
    margin = -sum(Fraction(max(-k, min(k, step)), k) for step in steps) / len(steps)
    if 0 < margin < 1:
        # up to rounding, the mean lies above -margin or below it: both are no evidence
        for near in (float(margin), float(margin) * (1 + 1e-15), float(margin) * (1 - 1e-15)):
            assert not held(d, near)
            assert interval(d, margin=near).lower <= -near + 1e-9


@given(scores, st.floats(1e-6, 0.999), st.sampled_from([0.04, 0.032, 0.0064, 1e-4, 1e-9]), st.floats(0.01, 1))
def test_any_scores_are_judged(d: list[float], margin: float, level: float, share: float) -> None:
    found = interval(d, 2 * level, margin, Effective(share * len(d), 9))
    assert -1 <= found.lower <= found.upper <= 1
    assert held(d, margin, level, Effective(share * len(d), 9)) == (found.lower > -margin)
    # fewer independent cases never hold more
    assert not held(d, margin, level, Effective(share * len(d), 9)) or held(d, margin, level)


def test_few_that_gain_a_lot_do_not_make_up_for_all_that_lose_a_little() -> None:
    # Were 1.65 in 200 to gain a point, the true loss would be the margin; four or more do so 9 % of the time.
    d = [-0.21] * 196 + [1.0] * 4
    assert score_statistic(d, 0.2) > critical(0.04)
    assert not held(d, 0.2)


@given(st.integers(0, 60), st.integers(1, 60), st.floats(0.02, 0.98))
def test_the_p_of_a_score_below_its_minimum(passed: int, n: int, rate: float) -> None:
    passed = min(passed, n)
    found = p_below(passed, n, rate)
    assert found.p == pytest.approx(binom.cdf(passed, n, rate) / 1.25, abs=1e-12)
    assert found.smallest <= found.p


@pytest.mark.parametrize("target", [0.5, 0.7, 0.75, 0.8, 0.9, 0.95])
def test_a_target_score_is_reached_by_chance_at_most_as_often_as_promised(target: float) -> None:
    for n in (8, 13, 20, 30, 44, 100):
        reached = [rate_lower_bound([1.0] * k + [0.0] * (n - k), target) >= target for k in range(n + 1)]
        assert binom.pmf(np.arange(n + 1), n, target)[reached].sum() <= 0.05
        assert reached == sorted(reached)


def test_graded_scores_reach_a_target_as_before() -> None:
    scores = [0.9, 0.8, 1.0, 0.95] * 20
    assert rate_lower_bound(scores, 0.8) == 1 + lower_bound([each - 1 for each in scores], 0.04)


# The sign-flip test.


@given(lattices, st.booleans())
def test_sign_flip_is_all_sign_changes(lattice: tuple[int, list[int]], mid: bool) -> None:
    k, steps = lattice
    k = max(k, *map(abs, steps))
    found = sign_flip([step / k for step in steps], seed=0, mid=mid)
    assert (found.p_worse, found.p_better) == pytest.approx(all_flips(steps, mid)[:2], abs=1e-12)
    assert found.smallest == pytest.approx((0.5 if mid else 1) * 0.5 ** np.count_nonzero(steps))


@given(st.integers(0, 60), st.integers(0, 60))
def test_pass_fail_sign_flip_is_mcnemars(regressed: int, fixed: int) -> None:
    found = sign_flip(cases(regressed, fixed, 130), seed=0)
    flips = regressed + fixed
    expected = binom.sf(regressed, flips, 0.5) + binom.pmf(regressed, flips, 0.5) / 2
    assert found.p_worse == pytest.approx(expected, abs=1e-12)
    assert found.p_worse + found.p_better == pytest.approx(1)


def test_sampled_flips_are_near_all_flips() -> None:
    d = [-0.5123, -0.3337, 0.1011, -0.0457, -0.2719, 0.0891, -0.1543, -0.0101]
    found = sign_flip(d, seed=3)
    exact = all_flips([round(10_000 * v) for v in d], mid=False)
    assert found.p_worse == pytest.approx(exact[0], abs=4 * math.sqrt(exact[0] / 9_999))
    assert found.p_better == pytest.approx(exact[1], abs=4 * math.sqrt(exact[1] / 9_999))
    assert found.smallest == 0.5**8


def test_sampled_flips_repeat_and_ignore_the_order() -> None:
    d = np.random.default_rng(5).normal(-0.02, 0.1, 80).clip(-1, 1)
    assert sign_flip(d, seed=1) == sign_flip(d[::-1], seed=1)
    assert sign_flip(d, seed=1) != sign_flip(d, seed=2)
    assert sign_flip(-d, seed=1).p_worse == sign_flip(d, seed=1).p_better
    assert sign_flip(-np.abs(d), seed=1).p_worse == sign_flip(d, seed=1).smallest == 1 / 10_000


def test_float_noise_is_no_flip() -> None:
    noise = (0.1 + 0.2) - 0.3
    assert sign_flip([noise] * 20 + [-1.0], seed=0) == sign_flip([-1.0], seed=0)


def test_nothing_moved_is_neither_worse_nor_better() -> None:
    assert p_worse([0.0] * 40, seed=0) == p_better([0.0] * 40, seed=0) == PValue(1.0, 1.0)


@given(lattices, st.booleans())
def test_no_sign_pattern_beats_the_smallest_p(lattice: tuple[int, list[int]], mid: bool) -> None:
    k, steps = max(lattice[0], 5), lattice[1]
    d = [step / k for step in steps]
    found, mirrored = p_worse(d, seed=0, mid=mid), p_better([-v for v in d], seed=0, mid=mid)
    assert found == mirrored
    assert found.p >= found.smallest - 1e-12
    assert p_worse([-abs(v) for v in d], seed=0, mid=mid).p == pytest.approx(found.smallest)


def test_worse_is_the_larger_of_two_tests() -> None:
    d = cases(9, 2, 100)
    assert p_worse(d, seed=0).p == pytest.approx(max(0.019287, norm.sf(7 / math.sqrt(11))), abs=5e-7)
    few = cases(12, 0, 100)
    assert p_worse(few, seed=0).p == pytest.approx(norm.sf(math.sqrt(12)))
    assert p_worse(few, seed=0).p > sign_flip(few, seed=0).p_worse


# Families.


def plain_holm(p: list[float], level: float) -> list[bool]:
    order, rejected = sorted(range(len(p)), key=p.__getitem__), [False] * len(p)
    for rank, i in enumerate(order):
        if p[i] > level / (len(p) - rank):
            break
        rejected[i] = True
    return rejected


def test_tarone_holm_by_hand() -> None:
    # K = 1: four members reach .04. K = 2: three reach .02. K = 3: three reach .0133, so K = 3.
    # Holm among those three: .012 <= .0133, .015 <= .02, .05 > .04.
    p, smallest = [0.012, 0.05, 0.03, 0.015, 0.6], [0.001, 0.002, 0.03, 0.003, 0.5]
    assert tarone_holm(p, smallest) == (True, False, False, True, False)
    assert plain_holm(p, 0.04) == [False] * 5


def test_ten_slices_that_could_never_matter_cost_nothing() -> None:
    assert tarone_holm([0.5**7] + [1.0] * 10, [0.5**7] + [0.25] * 10, 0.02)[0]


def test_a_family_of_one_and_of_none() -> None:
    assert tarone_holm([0.04], [0.001]) == (True,)
    assert tarone_holm([0.0401], [0.001]) == (False,)
    assert tarone_holm([], []) == ()


@given(families, st.sampled_from([0.01, 0.02, 0.04]))
def test_tarone_holm_lies_between_bonferroni_and_no_correction(
    family: tuple[list[float], list[float]], level: float
) -> None:
    p, _ = family
    for value, significant in zip(p, tarone_holm(*family, level), strict=True):
        assert not (significant and value > level)
        assert significant or value > level / len(p)


@given(families)
def test_where_all_are_testable_tarone_holm_is_holm(family: tuple[list[float], list[float]]) -> None:
    p, _ = family
    assert list(tarone_holm(p, [0.0] * len(p))) == plain_holm(p, 0.04)


def test_holm_can_reject_a_member_that_tarone_leaves_out() -> None:
    p = [0.001, 0.039]
    assert plain_holm(p, 0.04) == [True, True]
    assert tarone_holm(p, p) == (True, False)


@given(families, st.integers(0, 11))
def test_a_smaller_p_never_loses_significance(family: tuple[list[float], list[float]], at: int) -> None:
    p, smallest = family
    i = at % len(p)
    lower = [*p[:i], smallest[i], *p[i + 1 :]]
    before, after = tarone_holm(p, smallest), tarone_holm(lower, smallest)
    assert all(now or not then for then, now in zip(before, after, strict=True))


# Rates, flip rate and size.


@given(st.integers(1, 500), st.floats(0, 1), st.sampled_from([0.05, 0.025, 0.01]))
def test_wilson_is_scipys(n: int, share: float, level: float) -> None:
    passed = round(share * n)
    found, expected = wilson(passed, n, level), binomtest(passed, n).proportion_ci(1 - 2 * level, "wilson")
    assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_continuous_drop_of_the_margin_is_seldom_held() -> None:
    for draw in [
        (lambda rng: -0.1 * rng.beta(0.5, 0.5, 80)),
        (lambda rng: np.where(rng.random(80) < 0.08, -0.625, 0.0)),
        (lambda rng: rng.normal(-0.05, 0.15, 80).clip(-1, 1)),
    ]:
        rng = np.random.default_rng(11)
        assert np.mean([held(draw(rng), 0.05) for _ in range(1_500)]) <= 0.055


@cache
def verdict_parts(regressed: int, fixed: int, n: int) -> tuple[PValue, bool]:
    d = cases(regressed, fixed, n)
    return p_worse(d, seed=0), held(d, 0.05)


def simulate(n: int, flip_rate: float, drop: float, draws: int, seed: int) -> tuple[float, float, float]:
    """Percent of draws with the first of five units regressed, held, and with any other unit regressed."""
    rng, counts = np.random.default_rng(seed), np.zeros(3)
    flip = max(flip_rate, drop)
    chances = [[(flip + drop) / 2, (flip - drop) / 2, 1 - flip]] + [[flip_rate / 2, flip_rate / 2, 1 - flip_rate]] * 4
    for _ in range(draws):
        parts = [verdict_parts(*map(int, rng.multinomial(n, row)[:2]), n) for row in chances]
        worse = tarone_holm([part.p for part, _ in parts], [part.smallest for part, _ in parts])
        regressed = [is_worse and not fine for is_worse, (_, fine) in zip(worse, parts, strict=True)]
        counts += regressed[0], parts[0][1], any(regressed[1:])
    return tuple(100 * counts / draws)


def test_simulation_table_verdicts() -> None:
    for n, flip_rate, drop, regressed, fine in [
        (100, 0.02, 0.05, 66, 4),
        (100, 0.04, 0.10, 96, 0),
        (200, 0.02, 0.025, 48, 43),
        (200, 0.02, 0.05, 96, 3),
        (200, 0.04, 0.0, 1, 91),
    ]:
        found = simulate(n, flip_rate, drop, 2_000, seed=7)
        assert found[:2] == pytest.approx((regressed, fine), abs=3.0)
        assert found[2] <= 4.7


# Unbounded scores and bad input.


def test_winsorising_counts_the_cases_it_met() -> None:
    found = winsorise_differences([0, 0, 5, 5, 0], [1, -30, 5, 25, -20], span=20)
    assert found.d == (0.05, -1.0, 0.0, 1.0, -1.0)
    assert (found.lost, found.gained) == (2, 1)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.floats(1e-3, 1e3))
def test_winsorising_is_blind_to_the_unit(change: list[float], margin: float) -> None:
    zero = [0.0] * len(change)
    found = winsorise_differences(zero, change, margin)
    scaled = winsorise_differences(zero, [8 * v for v in change], 8 * margin)
    assert found == scaled
    assert all(-1 <= v <= 1 for v in found.d)


def test_bad_input_is_named() -> None:
    for call, message in [
        (lambda: score_statistic([], 0.05), "at least one"),
        (lambda: score_statistic([0.0, 1.5], 0.05), r"d\[1\] is 1.5"),
        (lambda: score_statistic([math.nan], 0.05), r"d\[0\] is nan"),
        (lambda: score_statistic([0.0], 1.0), "margin"),
        (lambda: held([0.0], 0.05, 0.5), "level"),
        (lambda: tarone_holm([0.1], []), "one length"),
        (lambda: tarone_holm([math.nan], [0.1]), "every p"),
        (lambda: wilson(5, 4), "5 of 4"),
        (lambda: winsorise_differences([1], [1, 2], 1), "one length"),
        (lambda: winsorise_differences([1], [2], 0), "above 0"),
        (lambda: winsorise_differences([1], [math.inf], 1), "finite"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
