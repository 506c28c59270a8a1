"""The checkpoint with the lowest loss."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tunegate.trainers.training.checkpoints import best_step

# which step


@pytest.mark.parametrize(
    ("losses", "chosen"), [([3.0, 1.0, 2.0], 2), ([2.0, 2.0], 1), ([float("nan"), 5.0], 2), ([1.0], 1)]
)
def test_the_lowest_loss_is_chosen_and_the_first_of_equal_ones(losses, chosen):
    entries = [{"step": step, "eval_loss": loss} for step, loss in enumerate(losses, start=1)]

    assert best_step(SimpleNamespace(log_history=[{"step": 1, "loss": 0.0}, *entries])) == chosen
