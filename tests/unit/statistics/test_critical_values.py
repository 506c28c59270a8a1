"""What the score statistic must exceed: against errors that are enumerated here another way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multinomial

from tunegate.harness.statistics.critical_values import critical, critical_value, tango_statistic
from tunegate.harness.statistics.paired import score_statistic


def worst_error(n: int, margin: float, z: float) -> float:
    """How often T(margin) exceeds z at the worst chance of a fix, where a loss of the margin is true."""
    tables = [(b, c) for b in range(n + 1) for c in range(n + 1 - b)]
    passing = [(b, c, n - b - c) for b, c in tables if tango_statistic(np.array(b), np.array(c), n, margin) > z]
    chances = (
        multinomial.pmf(passing, n, (fix + margin, fix, 1 - margin - 2 * fix)).sum() if passing else 0.0
        for fix in np.linspace(0, (1 - margin) / 2, 60)
    )
    return float(max(chances))


@given(st.integers(1, 30), st.floats(0.01, 0.6), st.sampled_from([0.04, 0.032, 0.0064]))
def test_it_errs_at_most_a_quarter_more_than_its_level(n, margin, level):
    z = critical_value(n, margin, level)
    assert z >= critical(level)
    assert worst_error(n, margin, z) <= 1.25 * level * 1.01


def test_the_normals_value_alone_would_err_more_often():
    for n, margin, error in [(10, 0.15, 0.0758), (20, 0.1, 0.0580), (23, 0.3, 0.0538)]:
        assert worst_error(n, margin, critical(0.04)) == pytest.approx(error, abs=2e-4)
        assert worst_error(n, margin, critical_value(n, margin, 0.04)) <= 0.05


def test_it_is_the_normals_where_that_keeps_the_promise():
    assert critical_value(100, 0.05, 0.04) == critical(0.04)
    assert critical_value(201, 0.05, 0.04) == critical(0.04)


def test_too_few_cases_hold_nothing():
    assert math.isinf(critical_value(1, 0.6, 0.04))
    with pytest.raises(ValueError, match="n must be at least 1, found 0"):
        critical_value(0, 0.05, 0.04)


@given(st.integers(0, 15), st.integers(0, 15), st.integers(1, 15), st.floats(0.01, 0.6))
def test_the_closed_form_is_the_statistic_of_pass_fail_scores(regressed, fixed, same, margin):
    d = [-1.0] * regressed + [1.0] * fixed + [0.0] * same
    found = float(tango_statistic(np.array(regressed), np.array(fixed), len(d), margin))
    if found > 1e-6:
        assert score_statistic(d, margin) == pytest.approx(found, abs=1e-6)
