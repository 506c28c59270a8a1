from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm

from tunegate.harness.statistics.distributions import (
    binom_at,
    binom_beyond,
    binom_range,
    binom_to,
    norm_above,
    norm_below,
    norm_exceeded,
)

CHANCES = st.floats(1e-6, 1 - 1e-6)


def test_the_normal_distribution_is_that_of_scipy():
    z = np.linspace(-12, 12, 401)

    np.testing.assert_allclose(norm_below(z), norm.cdf(z), rtol=1e-13)
    np.testing.assert_allclose(norm_above(z), norm.sf(z), rtol=1e-13)
    for level in (0.4, 0.04, 0.025, 1e-6):
        assert norm_exceeded(level) == pytest.approx(norm.isf(level), rel=1e-13)


@given(n=st.integers(1, 5_000), p=CHANCES)
def test_the_binomial_distribution_is_that_of_scipy(n, p):
    k = np.arange(-2, n + 3)
    inside = k[2:-2]

    np.testing.assert_allclose(binom_to(k, n, p), binom.cdf(k, n, p), rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(binom_beyond(k, n, p), binom.sf(k, n, p), rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(binom_at(inside, n, p), binom.pmf(inside, n, p), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_sure_things_have_one_count(p):
    assert binom_at([0, 1, 2, 3], 3, p).tolist() == binom.pmf([0, 1, 2, 3], 3, p).tolist()
    assert list(binom_range(3, p, 1e-12)) == [3 * int(p)]


def test_nothing_is_counted_of_no_trials():
    assert (binom_to([-1, 0, 1], 0, 0.5).tolist(), binom_at(0, 0, 0.5).item()) == ([0, 1, 1], 1)


@given(n=st.integers(1, 100_000), p=CHANCES)
def test_what_is_left_out_of_a_range_is_no_more_than_its_tails(n, p):
    counts = binom_range(n, p, 1e-12)

    assert (counts[0], counts[-1]) == (binom.ppf(1e-12, n, p), binom.isf(1e-12, n, p))
