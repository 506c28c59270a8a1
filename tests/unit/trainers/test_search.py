"""What a search says of its choice."""

from __future__ import annotations

import pytest

from tunegate.trainers.search import cannot_choose
from tunegate.trainers.training.trials import Trial


def trial(number: int, score: float | None, lr: float, seed: int = 0) -> Trial:
    settings = {"lr": lr, "schedule": "cosine", "r": 16, "epochs": 3, "seed": seed}
    step = {"step": 5, "loss": 0.5, "score": score, "kl": 0.1}
    return Trial(number, settings, {"validation": [step], "best_step": 5, "seconds": 1})


def test_a_few_rows_cannot_choose_between_settings():
    trials = [trial(1, 0.55, 1e-4), trial(2, 0.59, 2e-4), trial(3, 0.52, 3e-4), trial(4, 0.59, 2e-4, seed=1)]
    assert cannot_choose(trials[1], trials, 27) == (
        "; 27 scored rows cannot choose between it and 2 other settings: the scores differ by at most 0.134"
    )
    assert cannot_choose(trials[1], trials, 2_000) == ""


@pytest.mark.parametrize("rows", [0, 30])
def test_without_scores_nothing_is_said(rows):
    trials = [trial(1, None, 1e-4), trial(2, None, 2e-4)]
    assert cannot_choose(trials[0], trials, rows) == ""
