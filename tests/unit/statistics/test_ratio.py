"""The ratio of two paired means: known values, and agreement with the t-test that it inverts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from tunegate.harness.statistics.ratio import ratio

AMOUNTS = st.lists(st.tuples(st.floats(0.1, 10), st.floats(0, 10)), min_size=3, max_size=30)


def test_a_constant_share_is_known_exactly():
    found = ratio([2.0, 3.0, 4.0], [1.0, 1.5, 2.0])
    assert found.estimate == pytest.approx(0.5)
    assert found.interval == pytest.approx((0.5, 0.5), abs=1e-6)


def test_a_constant_before_gives_the_t_interval_of_after():
    after = [1.0, 2.0, 4.0, 5.0]
    found = ratio([2.0] * 4, after)
    low, high = ttest_1samp(after, 0).confidence_interval(0.95)
    assert found.interval == pytest.approx((max(0.0, low) / 2, high / 2))


@given(AMOUNTS)
def test_the_ends_are_where_the_paired_t_test_has_p_of_the_level(pairs):
    before, after = (np.array(side) for side in zip(*pairs, strict=True))
    found = ratio(before, after)
    if found.interval is None:  # unbounded where the mean before may be nothing
        assert ttest_1samp(before, 0).pvalue >= 0.05 - 1e-9
        return
    low, high = found.interval
    assert low <= found.estimate + 1e-9 <= high + 2e-9
    for end in (low, high):
        left = after - end * before
        if end > 0 and left.std() > 1e-6:
            assert ttest_1samp(left, 0).pvalue == pytest.approx(0.05, abs=1e-4)


@given(AMOUNTS, st.floats(1e-6, 1e6))
def test_the_currency_does_not_matter(pairs, rate):
    before, after = (np.array(side) for side in zip(*pairs, strict=True))
    here, there = ratio(before, after), ratio(before * rate, after * rate)
    assert here.estimate == pytest.approx(there.estimate)
    if here.interval and there.interval and here.interval[1] < 100:
        assert here.interval == pytest.approx(there.interval, rel=1e-4, abs=1e-6)


def test_nothing_before_has_no_ratio():
    assert ratio([0.0, 0.0], [1.0, 2.0]) is None


def test_one_case_has_no_interval():
    assert ratio([2.0], [1.0]).interval is None


def test_a_mean_before_that_may_be_nothing_bounds_no_ratio():
    assert ratio([0.0, 0.0, 0.0, 5.0], [1.0, 1.0, 1.0, 1.0]).interval is None


def test_what_is_no_amount_is_refused():
    for before, after in [([], []), ([1.0], [1.0, 2.0]), ([-1.0], [1.0]), ([1.0], [float("nan")])]:
        with pytest.raises(ValueError, match="before and after must be"):
            ratio(before, after)


def test_the_interval_covers_the_true_ratio_as_often_as_it_says():
    random = np.random.default_rng(7)
    hits = 0
    for _ in range(1000):
        before = random.gamma(4, 25, 40)
        after = 0.3 * before * random.gamma(9, 1 / 9, 40)
        low, high = ratio(before, after).interval
        hits += low <= 0.3 <= high
    assert 0.92 <= hits / 1000 <= 0.975
