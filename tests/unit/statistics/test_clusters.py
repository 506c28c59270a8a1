"""Changes that differ between clusters: published values, second computations, laws and small worlds."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import t

from tunegate.harness.statistics.clusters import REAL, _null_weights, spread
from tunegate.harness.statistics.critical_values import cluster_critical
from tunegate.harness.statistics.paired import score_statistic

units = st.lists(st.tuples(st.floats(-1, 1), st.integers(0, 6)), min_size=1, max_size=40)
margins = st.floats(0.005, 0.6)


def even(clusters: int, size: int) -> list[int]:
    return [label for label in range(clusters) for _ in range(size)]


def bearing(clusters: int, size: int, losers: int, lost: int) -> list[float]:
    """So many clusters lose so many cases each; the others none."""
    return [-1.0 if label < losers and case < lost else 0.0 for label in range(clusters) for case in range(size)]


def test_a_loss_that_one_cluster_bears_is_a_real_spread_and_leaves_few_cases():
    found = spread(bearing(10, 20, 1, 8), even(10, 20), 0.05, seed=1)
    assert (found.clusters, found.real, found.p) == (10, True, 0.001)
    assert found.effective < 40


def test_losses_that_lie_evenly_leave_all_cases():
    found = spread(bearing(10, 20, 10, 1), even(10, 20), 0.05, seed=1)
    assert (found.real, found.effective) == (False, 200)


def test_without_a_spread_to_see_there_is_none():
    for d, labels in [
        ([0.0] * 40, even(10, 4)),
        ([-1.0] * 4 + [0.0] * 36, [0] * 40),
        ([-1.0] * 4 + [0.0] * 36, list(range(40))),
        ([-1.0] * 40, even(10, 4)),
        ([1.0], [3]),
    ]:
        found = spread(d, labels, 0.05, seed=1)
        assert (found.p, found.real, found.effective) == (1.0, False, len(d))


def test_the_permutation_test_agrees_with_all_permutations():
    # one loss each in the cluster of two and in that of four; all 15 pairs of places are equally likely
    d, labels = [-1.0, 0, -1, 0, 0, 0], [0, 0, 1, 1, 1, 1]
    squares = {(i, j): _squares(i, j) for i in range(6) for j in range(i)}
    exact = np.mean([value >= squares[2, 0] - 1e-9 for value in squares.values()])
    assert spread(d, labels, 0.05, seed=3).p == pytest.approx(exact, abs=0.05)


def _squares(*lost: int) -> float:
    first = sum(case < 2 for case in lost)
    return first**2 / 2 + (len(lost) - first) ** 2 / 4


def test_the_weights_are_the_likeliest_that_average_nothing():
    excess = np.array([-3.0, 1, 2, 0.5, 4, -1])
    weights = _null_weights(excess)
    bounds = [(1e-9, 1)] * len(excess)
    sums = ({"type": "eq", "fun": lambda w: w.sum() - 1}, {"type": "eq", "fun": lambda w: w @ excess})
    likeliest = minimize(lambda w: -np.log(w).sum(), np.full(6, 1 / 6), bounds=bounds, constraints=sums).x
    assert weights == pytest.approx(likeliest, abs=1e-4)
    assert weights.sum() == pytest.approx(1)
    assert weights @ excess == pytest.approx(0, abs=1e-9)


def test_one_cluster_that_lost_counts_for_as_many_as_a_loss_of_the_margin_needs():
    # one of 20 lost a third of its cases; where the loss is .05, 3 in 20 do: T is that of one in 20 against .15
    found = spread(bearing(20, 30, 1, 10), even(20, 30), 0.05, seed=1)
    by_clusters = (0.05 - 1 / 60) / np.sqrt((0.15 * 0.85 / 9) / 19)
    by_cases = score_statistic(bearing(20, 30, 1, 10), 0.05)
    assert by_cases / np.sqrt(600 / found.effective) == pytest.approx(by_clusters, rel=1e-6)


@given(units, margins, st.integers(0, 9), st.randoms(use_true_random=False))
@example([(-1.0, 0), (-1.0, 0), (1.0, 1)], 0.5, 0, None)
def test_neither_the_order_nor_the_names_of_the_clusters_count(unit, margin, seed, random):
    shuffled = list(unit)
    if random:
        random.shuffle(shuffled)
    first = spread(*zip(*unit, strict=True), margin, seed=seed)
    d, labels = zip(*shuffled, strict=True)
    second = spread(d, [100 - 7 * label for label in labels], margin, seed=seed)
    assert (second.p, second.real, second.clusters) == (first.p, first.real, first.clusters)
    assert second.effective == pytest.approx(first.effective, rel=1e-6)


@given(units, margins, st.integers(0, 9))
def test_there_are_never_more_effective_cases_than_cases(unit, margin, seed):
    d, labels = zip(*unit, strict=True)
    found = spread(d, labels, margin, seed=seed, level=1.0)
    assert 0 < found.p <= 1
    assert 0 < found.effective <= len(d)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30))
@example([-1e-13, 1.0])
@example([-5.0, 5.000001])
def test_the_weights_add_up_and_average_nothing_where_a_cluster_lost_more_than_the_margin(excess):
    values = np.array(excess)
    weights = _null_weights(values)
    assert weights.sum() == pytest.approx(1, abs=1e-6)
    assert (weights > 0).all()
    if values.min() < -1e-6 and values.sum() > 1e-6:
        assert weights @ values == pytest.approx(0, abs=1e-5)


def test_the_critical_value_is_students():
    for clusters in [2, 10, 50]:
        assert cluster_critical(0.04, clusters) == pytest.approx(t.isf(0.04, clusters - 1))


def test_a_spread_that_is_none_is_taken_for_real_as_often_as_is_said():
    random, labels = np.random.default_rng(11), even(10, 20)
    found = [spread(random.choice([-1.0, 0, 1], 200, p=[0.05, 0.9, 0.05]), labels, 0.05, seed=i) for i in range(300)]
    assert np.mean([each.real for each in found]) <= REAL + 3 * np.sqrt(REAL * (1 - REAL) / 300)


def test_bad_input_is_refused():
    for d, labels, margin, said in [
        ([0.0, 1.0], [1], 0.05, "of one length"),
        ([0.0], [[1]], 0.05, "of one length"),
        ([2.0], [1], 0.05, "must lie in"),
        ([], [], 0.05, "at least one"),
        ([-1.0] * 8 + [0.0] * 8, even(4, 4), 1.5, "margin"),
    ]:
        with pytest.raises(ValueError, match=said):
            spread(d, labels, margin, seed=1)


def test_a_critical_value_of_nothing_is_refused():
    for level, clusters in [(0.04, 1), (0.0, 5), (0.5, 5)]:
        with pytest.raises(ValueError, match="two clusters or more"):
            cluster_critical(level, clusters)
