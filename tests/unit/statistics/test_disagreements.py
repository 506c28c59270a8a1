"""Guards by disagreement: the design's own values, a second computation of T, the interval and the conditions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import binom, binomtest

from tests.support.laws import examples
from tunegate.harness.statistics.clusters import cluster_statistic
from tunegate.harness.statistics.critical_values import cluster_critical, critical, tango_statistic
from tunegate.harness.statistics.disagreements import (
    FEWEST_LABELS,
    Disagreements,
    counted_inputs,
    disagreement_statistic,
    effective_topics,
    held_between_topics,
    largest_loss_between_topics,
    needs_no_labels,
    p_of_labels,
)
from tunegate.harness.statistics.paired import LEVEL, sealed_level


@st.composite
def sampled(draw: st.DrawFn) -> Disagreements:
    """Tables with fewer labels than outputs that differ."""
    inputs = draw(st.integers(50, 5_000))
    differing = draw(st.integers(FEWEST_LABELS + 1, inputs))
    labelled = draw(st.integers(FEWEST_LABELS, min(differing - 1, 300)))
    lost = draw(st.integers(0, labelled))
    won = draw(st.integers(0, labelled - lost))
    return Disagreements(inputs, differing, labelled, won, lost, draw(st.floats(0.01, 0.3)))


def by_search(inputs: int, differing: int, labelled: int, won: int, lost: int, margin: float) -> float:
    """T by maximizing the whole likelihood over c and q at once, from several starts."""
    tied, seen = labelled - won - lost, differing / inputs

    def chances(x: np.ndarray) -> tuple[float, float]:
        c = margin + (1 - margin) * float(expit(x[0]))
        return c, (1 - margin / c) / 2 * float(expit(x[1]))

    def unlikely(x: np.ndarray) -> float:
        c, q = chances(x)
        terms = (
            (differing, c), (inputs - differing, 1 - c),
            (won, q), (lost, q + margin / c), (tied, 1 - 2 * q - margin / c),
        )  # fmt: skip
        return -sum(count * math.log(max(chance, 1e-300)) for count, chance in terms if count)

    starts = [(-3.0, -5.0), (-3.0, 0.0), (0.0, 5.0)]
    best = min(
        (minimize(unlikely, x, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11, "maxiter": 4_000})
         for x in starts), key=lambda each: each.fun,
    )  # fmt: skip
    c, q = chances(best.x)
    loss = margin / c
    variance = c**2 * (2 * q + loss - loss**2) / labelled + c * (1 - c) * loss**2 / inputs
    return (seen * (won - lost) / labelled + margin) / math.sqrt(variance)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ((2_000, 200, 50, 20, 22, 0.05), 3.62979),
        ((10_000, 4_000, 200, 60, 70, 0.05), 1.32534),
        ((500, 60, 30, 0, 0, 0.05), 3.62738),
    ],
)
def test_the_statistic_is_that_of_the_design_and_of_a_search_for_the_largest_likelihood(table, expected):
    found = float(disagreement_statistic(*table))
    assert found == pytest.approx(expected, abs=5e-6)
    assert found == pytest.approx(by_search(*table), abs=1e-3)


def test_the_verdict_is_by_the_labels_or_needs_none():
    table = Disagreements(2_000, 200, 50, 20, 22, 0.05)
    assert table.critical == pytest.approx(1.7507 + 0.05 + 0.1, abs=1e-4)
    assert (table.held, table.difference) == (True, -0.004)
    assert not Disagreements(2_000, 200, 50, 5, 30, 0.05).held
    few = Disagreements(2_000, 80, 0, 0, 0, 0.05)
    bound = binomtest(80, 2_000).proportion_ci(1 - 2 * LEVEL, "exact").high
    assert few.held == (bound < 0.05) == needs_no_labels(2_000, 80, 0.05)
    assert few.bounds.upper == -few.bounds.lower == pytest.approx(bound)
    assert not Disagreements(2_000, 200, 0, 0, 0, 0.05).held
    assert Disagreements(2_000, 80, 20, 0, 20, 0.05).held  # whatever the labels say


def test_where_all_that_differ_are_labelled_it_is_the_rule_of_paired_cases():
    table = Disagreements(400, 40, 40, 14, 18, 0.05)
    assert table.statistic(0.05) == pytest.approx(float(tango_statistic(np.array(18), np.array(14), 400, 0.05)))
    assert table.critical == pytest.approx(critical(LEVEL) + 0.05)


def test_a_loss_in_the_sample_is_shown_by_mcnemar():
    table = Disagreements(2_000, 400, 40, 4, 16, 0.05)
    assert table.p_worse.p == pytest.approx(0.00295, abs=1e-5)
    assert table.p_worse.smallest < 1e-5
    assert table.mirrored.p_worse.p == pytest.approx(1 / 1.25)


@pytest.mark.parametrize("labelled", [10, 15, 20, 25, 40])
@pytest.mark.parametrize("tied", [0.0, 0.05, 0.2, 0.5])
def test_an_equal_model_is_seldom_worse_however_many_labels_are_ties(labelled, tied):
    worse = 0.0
    for decided in range(labelled + 1):
        chance = binom.pmf(decided, labelled, 1 - tied)
        shown = [won for won in range(decided + 1) if p_of_labels(won, decided, labelled) <= LEVEL]
        worse += chance * binom.pmf(shown, decided, 0.5).sum()
    assert worse <= 0.05


def test_tries_spend_the_level():
    levels = [sealed_level(number) for number in range(1, 8)]
    assert levels[:3] == pytest.approx([0.032, 0.0064, 0.00128])
    assert sum(levels) < LEVEL
    tables = [Disagreements(2_000, 200, 50, 20, 22, 0.05, level) for level in levels]
    assert [each.held for each in tables] == [True, True, True, True, False, False, False]


@pytest.mark.parametrize(
    "change",
    [{"inputs": 0}, {"differing": 2_001}, {"margin": 0.0}, {"margin": 1.0}, {"level": 0.5}, {"labelled": 9, "lost": 0},
     {"won": -1}, {"won": 40}, {"labelled": 201}],
)  # fmt: skip
def test_what_no_rule_can_be_is_refused(change):
    good = {"inputs": 2_000, "differing": 200, "labelled": 50, "won": 5, "lost": 22, "margin": 0.05, "level": 0.04}
    Disagreements(**good)
    with pytest.raises(ValueError, match="found"):
        Disagreements(**(good | change))


@examples(8, 200)
@example(Disagreements(inputs=50, differing=50, labelled=10, won=10, lost=0, margin=0.25))
@given(sampled())
def test_the_interval_holds_what_is_held_and_nothing_else(table: Disagreements):
    bounds = table.bounds
    assert bounds.lower <= table.difference <= bounds.upper
    assert (bounds.lower > -table.margin) == table.held
    assert table.mirrored.bounds.lower == pytest.approx(-bounds.upper, abs=1e-6)


@examples(25)
@given(sampled())
def test_more_losses_never_help(table: Disagreements):
    # otherwise no label is looked at; there, far above what is held, T may rise by .002
    assume(not needs_no_labels(table.inputs, table.differing, table.margin))
    decided = table.won + table.lost
    lost = np.arange(decided + 1)
    n, share = counted_inputs(table.inputs, table.margin), table.differing / table.inputs
    found = disagreement_statistic(n, share * n, table.labelled, decided - lost, lost, table.margin)
    assert np.isfinite(found).all()
    assert (np.diff(found) < 1e-6).all()


def test_many_inputs_count_for_no_more_than_the_margin_bears():
    assert [counted_inputs(n, m) for n, m in ((500, 0.1), (10**6, 0.1), (10**6, 0.01))] == [500, 2_000, 10_000]


def test_a_loss_that_some_topics_bear_is_not_held_between_topics():
    table = Disagreements(2_000, 200, 40, 8, 12, 0.05)
    sizes, stands_for = np.full(50, 40), 200 / 40
    evenly = np.array([1] * 8 + [-1] * 12 + [0] * 30) * stands_for
    borne = np.array([4, 4, -6, -6] + [0] * 46) * stands_for
    assert (table.held, effective_topics(sizes), effective_topics([90, 10])) == (True, 50, pytest.approx(1 / 0.82))
    assert held_between_topics(table, evenly, sizes)
    assert not held_between_topics(table, borne, sizes)


@examples(25)
@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(4, 60)), min_size=2, max_size=12), st.floats(0.02, 0.3))
def test_the_largest_loss_between_topics_agrees_with_held(topics: list[tuple[int, int]], margin: float):
    changes, sizes = zip(*topics, strict=True)
    table = Disagreements(2_000, 200, 40, 8, 12, margin)
    loss = largest_loss_between_topics(table, changes, sizes)
    assert (loss < margin) == held_between_topics(table, changes, sizes)
    assert -sum(changes) / sum(sizes) - 1e-6 <= loss <= 1


def test_the_condition_between_topics_is_a_t_test_where_no_topic_lost_the_margin():
    sums, sizes = np.array([1.0, 0.0, 2.0, -0.5]), np.full(4, 20)
    excess = sums + 2.0
    assert cluster_statistic(sums, sizes, 0.1) == pytest.approx(excess.mean() / excess.std(ddof=1) * 2)
    assert cluster_statistic(-sums - 10, sizes, 0.1) == -math.inf
    assert cluster_statistic(0 * sums, sizes, 0.1) == math.inf
    assert cluster_critical(LEVEL, 50) == pytest.approx(1.788, abs=1e-3)
    with pytest.raises(ValueError, match="two clusters"):
        cluster_statistic([1.0], [20], 0.1)


def test_without_labels_nothing_is_held():
    assert list(disagreement_statistic(600, [60, 0, 60], [0, 0, 30], [0, 0, 9], [0, 0, 9], 0.05))[:2] == [-np.inf] * 2


def test_without_a_difference_nothing_speaks_of_a_loss():
    assert p_of_labels(0, 0, 0) == 1.0
