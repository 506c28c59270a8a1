"""Strata of labels: a second computation, the parts of a sample, and what strata save or cost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import binomtest

from tunegate.harness.statistics.critical_values import tango_statistic
from tunegate.harness.statistics.disagreements import held_between_topics
from tunegate.harness.statistics.label_strata import (
    StratifiedDisagreements,
    Stratum,
    _constrained,
    allocate_labels,
    labels_saved,
    stratified_statistic,
)

GOOD = (Stratum(60, 12, 2, 9), Stratum(80, 16, 4, 4), Stratum(60, 12, 9, 2))


def by_search(shares: np.ndarray, labels: np.ndarray, loss: float) -> np.ndarray:
    """The chances of the largest likelihood under the constraint, by sequential quadratic programming."""

    def chances(x: np.ndarray) -> np.ndarray:
        powers = np.exp(x.reshape(labels.shape))
        return powers / powers.sum(axis=1, keepdims=True)

    def change(x: np.ndarray) -> float:
        found = chances(x)
        return float(shares @ (found[:, 0] - found[:, 1])) + loss

    start = np.log(labels + 1.0).ravel()
    found = minimize(
        lambda x: -(labels * np.log(chances(x) + 1e-300)).sum(), start, method="SLSQP", bounds=[(-18, 18)] * len(start),
        constraints=[{"type": "eq", "fun": change}], options={"maxiter": 1_000, "ftol": 1e-12},
    )  # fmt: skip
    return chances(found.x)


@pytest.mark.parametrize(
    ("labels", "shares", "loss"),
    [
        ([[3, 9, 2], [5, 4, 10], [6, 0, 1]], [0.3, 0.5, 0.2], 0.4),
        ([[0, 3, 0], [2, 0, 10], [6, 0, 0]], [0.2, 0.6, 0.2], 0.5),
        ([[0, 0, 5], [0, 0, 10], [0, 0, 5]], [0.3, 0.4, 0.3], 0.3),
    ],
)
def test_the_chances_are_those_of_a_search_for_the_largest_likelihood(labels, shares, loss):
    counts, weights = np.array(labels, float), np.array(shares)
    won, lost = (each[0] for each in _constrained(weights, counts[None], loss))
    assert np.column_stack([won, lost]) == pytest.approx(by_search(weights, counts, loss)[:, :2], abs=1e-4)


def test_the_statistic_is_that_of_the_design_s_formula():
    shares, labels = np.array([0.3, 0.5, 0.2]), np.array([[3, 9, 2], [5, 4, 10], [6, 0, 1]], float)
    chances = by_search(shares, labels, 0.4)
    means, k = chances[:, 0] - chances[:, 1], labels.sum(axis=1)
    variance = (shares**2 * (chances[:, 0] + chances[:, 1] - means**2) / k).sum()
    variance += ((shares * means**2).sum() - (shares @ means) ** 2) / 150
    seen = shares @ ((labels[:, 0] - labels[:, 1]) / k)
    found = stratified_statistic(shares, labels[None], 0.4, 150)
    assert found == pytest.approx((seen + 0.4) / np.sqrt(variance), abs=1e-4)


def test_one_stratum_is_tangos_statistic_of_the_labels():
    found = stratified_statistic(np.ones(1), np.array([[[10.0, 12.0, 18.0]]]), 0.4, 10**9)
    assert found == pytest.approx(tango_statistic(np.array([12]), np.array([10]), 40, 0.4), abs=1e-6)


def test_the_verdict_the_interval_and_the_p_of_strata():
    table = StratifiedDisagreements(2_000, 200, GOOD, 0.05)
    assert (table.labelled, table.held) == (40, True)
    assert table.difference == pytest.approx(0.0)
    assert table.critical == pytest.approx(1.7507 + 0.08 + 6.5 / 40, abs=1e-4)
    bound = binomtest(200, 2_000).proportion_ci(0.99, "exact").high
    assert table.statistic(bound) == np.inf
    assert table.bounds.lower == pytest.approx(-table.bounds.upper, abs=1e-6)
    assert table.bounds.lower > -0.05
    lost = StratifiedDisagreements(2_000, 200, tuple(Stratum(e.differing, e.labelled, 0, 8) for e in GOOD), 0.05)
    assert (lost.held, lost.p_worse.p < 1e-4, table.p_worse.p > 0.5) == (False, True, True)
    assert lost.p_worse.p == lost.p_worse.smallest
    assert held_between_topics(table, np.zeros(40), np.full(40, 50))


def test_a_verdict_without_inputs_changes_nothing():
    table = StratifiedDisagreements(2_000, 200, GOOD, 0.05)
    more = StratifiedDisagreements(2_000, 200, (*GOOD, Stratum(0, 0, 0, 0)), 0.05)
    assert more.statistic(0.05) == table.statistic(0.05)
    shares, labels = np.array([0.4, 0.6, 0.0]), np.array([[[4.0, 5, 6], [9, 2, 4], [0, 0, 0]]])
    assert stratified_statistic(shares, labels, 0.3, 90) == pytest.approx(
        stratified_statistic(shares[:2], labels[:, :2], 0.3, 90)
    )


@given(st.lists(st.integers(1, 400), min_size=1, max_size=3), st.integers(20, 200))
def test_a_sample_is_in_proportion_and_takes_three_of_each(sizes, labels):
    parts = allocate_labels(sizes, labels)
    assert sum(parts) == min(labels, sum(sizes))
    assert all(min(3, size) <= part <= size for part, size in zip(parts, sizes, strict=True))
    for part, size in zip(parts, sizes, strict=True):
        assert part <= max(3, labels * size / sum(sizes) + 1) or sum(sizes) <= labels


def test_verdicts_that_tell_nothing_cost_labels_and_good_ones_save_some():
    useless, good = (labels_saved(2_000, 200, 40, 0.05, 0.2, explained) for explained in (0.0, 0.7))
    assert useless < 0 < 20 < good
    assert labels_saved(2_000, 120, 100, 0.05, 0.2, 0.7) == 20  # more than all that differ are never saved


@pytest.mark.parametrize("few", [GOOD[:1], (Stratum(20, 19, 0, 0),), ()])
def test_few_labels_are_refused(few):
    with pytest.raises(ValueError, match="found"):
        StratifiedDisagreements(2_000, 200, few, 0.05)
    with pytest.raises(ValueError, match="20 labels"):
        allocate_labels([100, 100], 19)
    with pytest.raises(ValueError, match="3 labels"):
        Stratum(60, 2, 0, 0)
