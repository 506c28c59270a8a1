"""How many labels it takes: the design's table, and chances beside drawn tables."""

from __future__ import annotations

import numpy as np
import pytest

from tunegate.harness.statistics.disagreements import Disagreements
from tunegate.harness.statistics.labels_needed import labels_needed, prob_held_by_labels


@pytest.mark.parametrize(
    ("share", "margin", "tied", "expected"),
    [
        (0.02, 0.05, 0.0, 0), (0.04, 0.05, 0.0, 10), (0.1, 0.05, 0.0, 29), (0.1, 0.05, 0.5, 17), (0.2, 0.05, 0.0, 114),
        (0.2, 0.05, 0.5, 60), (0.6, 0.05, 0.0, 1_010), (0.04, 0.03, 0.0, 13), (0.1, 0.03, 0.0, 82),
        (0.6, 0.03, 0.0, None),
    ],
)  # fmt: skip
def test_labels_are_those_of_the_design(share, margin, tied, expected):
    found = labels_needed(share, margin, tied, 2_000)
    assert found == (expected if not expected else pytest.approx(expected, rel=0.02, abs=1))


def test_no_number_of_labels_is_named_beyond_what_differs():
    # the design's own table has 1,251 here, of which only 800 differ
    assert labels_needed(0.4, 0.03, 0.0, 2_000) is None


@pytest.mark.parametrize("design", [(300, 20, 0.1, 0.12, 0.3, 0.4), (2_000, 30, 0.05, 0.1, 0.2, 0.3)])
def test_the_chance_is_that_of_drawn_tables(design):
    inputs, labels, margin, share, won, lost = design
    random, held, draws = np.random.default_rng(7), 0, 1_500
    for differing in random.binomial(inputs, share, draws).tolist():
        labelled = min(labels, differing)
        wins, losses, _ = random.multinomial(labelled, (won, lost, 1 - won - lost)).tolist()
        held += Disagreements(inputs, differing, labelled, wins, losses, margin).held
    found = prob_held_by_labels(inputs, labels, margin, share, won, lost, bins=400)
    assert held / draws == pytest.approx(found, abs=3.5 * np.sqrt(found * (1 - found) / draws))
    assert prob_held_by_labels(inputs, labels, margin, share, won, lost) == pytest.approx(found, abs=0.005)
