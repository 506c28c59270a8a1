"""What the score statistic must exceed: against errors that are enumerated here another way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, multinomial

from tunegate.harness.statistics.critical_values import (
    PROMISED,
    critical,
    critical_value,
    graded_critical_value,
    rate_critical_value,
    tango_statistic,
)
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


def next_error(n: int, margin: float, z: float) -> float:
    """The worst error if the first table below z were held too."""
    tables = [(b, c) for b in range(n + 1) for c in range(n + 1 - b)]
    values = tango_statistic(*np.array(tables).T, n, margin)
    return worst_error(n, margin, float(values[values < z - 1e-9].max()) - 1e-9)


@given(st.integers(1, 30), st.floats(0.01, 0.6), st.sampled_from([0.04, 0.032, 0.0064]))
def test_its_error_is_at_most_the_promised_one(n, margin, level):
    assert worst_error(n, margin, critical_value(n, margin, level)) <= PROMISED * level * 1.01


@given(st.integers(8, 30), st.floats(0.01, 0.4), st.sampled_from([0.04, 0.032, 0.0064]))
def test_one_table_more_would_err_more_often(n, margin, level):
    z = critical_value(n, margin, level)
    assert math.isinf(z) or next_error(n, margin, z) > PROMISED * level * 0.99


@pytest.mark.parametrize("margin", [0.02, 0.05, 0.1])
@pytest.mark.parametrize("n", [50, 100, 200, 400])
def test_many_cases_keep_the_promise_too(n, margin):
    z, counts = critical_value(n, margin, 0.04), np.arange(n + 1)
    held = tango_statistic(counts[:, None], counts, n, margin) > z
    for share in np.linspace(0, 1, 20) ** 2:
        fix = share * (1 - margin) / 2
        lost = binom.pmf(counts, n, fix + margin)
        chances = [binom.pmf(counts, n - b, min(fix / (1 - fix - margin), 1.0)) for b in counts]
        assert sum(lost[b] * chances[b][held[b]].sum() for b in counts if lost[b] > 1e-12) <= 0.0501


def test_the_normals_value_alone_would_err_more_often():
    for n, margin, error in [(10, 0.15, 0.0758), (20, 0.1, 0.0580), (23, 0.3, 0.0538)]:
        assert worst_error(n, margin, critical(0.04)) == pytest.approx(error, abs=2e-4)
        assert worst_error(n, margin, critical_value(n, margin, 0.04)) <= 0.05


def test_it_is_no_higher_than_it_must_be():
    for n in (100, 200, 300, 400, 1000):
        for margin in (0.02, 0.05, 0.1):
            assert critical(0.05) < critical_value(n, margin, 0.04) < critical(0.04)


def test_other_scores_take_the_normals_at_least():
    assert graded_critical_value(100, 0.05, 0.04) == critical(0.04)
    assert graded_critical_value(10, 0.15, 0.04) == critical_value(10, 0.15, 0.04)


def test_most_cases_are_beyond_enumeration():
    assert critical_value(10_001, 0.05, 0.04) == critical(0.04)


@pytest.mark.parametrize("level", [0.04, 0.032, 0.0064])
@pytest.mark.parametrize("rate", [0.5, 0.8, 0.9, 0.95])
def test_a_rate_is_reached_by_chance_as_often_as_promised(rate, level):
    for n in range(4, 80):
        passed = np.arange(n + 1)
        shown = (passed - n * rate) / math.sqrt(n * rate * (1 - rate)) > rate_critical_value(n, rate, level)
        fewest = n - int(shown.sum())
        assert binom.sf(fewest, n, rate) <= PROMISED * level
        assert binom.sf(fewest - 1, n, rate) > PROMISED * level


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
