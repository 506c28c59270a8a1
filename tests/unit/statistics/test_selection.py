"""The best of several equally good candidates."""

from __future__ import annotations

import numpy as np
import pytest

from tunegate.harness.statistics.selection import excess_of_best


def test_it_is_what_simulation_shows():
    for k, flip_rate in [(2, 0.1), (24, 0.1), (24, 0.4)]:
        random = np.random.default_rng(7)
        excesses, told = [], []
        for _ in range(400):
            steady = random.random(200) < 0.8
            rows = (steady ^ (random.random((k, 200)) < flip_rate / 2)).astype(float)
            truth = np.where(steady, 1 - flip_rate / 2, flip_rate / 2).mean()
            excesses.append(rows.mean(axis=1).max() - truth)
            told.append(excess_of_best(rows.tolist()))
        assert np.mean(told) == pytest.approx(np.mean(excesses), rel=0.06)


def test_candidates_that_answer_alike_are_not_lucky():
    assert excess_of_best([[1.0, 0.0, 1.0]] * 3) == 0.0


def test_too_few_are_refused():
    for scores in [[], [[1.0, 0.0]], [[1.0], [0.0]]]:
        with pytest.raises(ValueError, match="expected at least 2 candidates of at least 2 observations"):
            excess_of_best(scores)
