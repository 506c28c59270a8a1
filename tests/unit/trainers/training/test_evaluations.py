"""Evaluations on the rows put aside: which step is the best of them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tunegate.trainers.training.evaluations import Evaluation, best_of, evaluations, is_too_far


def of(*found: tuple[float | None, float | None]) -> list[Evaluation]:
    return [Evaluation(step, loss, score, 0.1 * step) for step, (loss, score) in enumerate(found, start=1)]


def test_without_scores_the_lowest_loss_is_chosen_and_the_first_of_equal_ones():
    for losses, chosen in [([3.0, 1.0, 2.0], 2), ([2.0, 2.0], 1), ([None, 5.0], 2), ([1.0], 1)]:
        assert best_of(of(*((loss, None) for loss in losses))).step == chosen


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        ([(1.0, 0.2), (2.0, 0.5), (0.5, 0.4)], 2),  # the score decides, whatever the loss
        ([(1.0, 0.5), (0.5, 0.5), (0.5, 0.5)], 2),  # of equal scores the loss, of equal losses the first
        ([(1.0, 0.0), (0.5, 0.0)], 2),
    ],
)
def test_the_highest_score_is_chosen(found, chosen):
    assert best_of(of(*found)).step == chosen


def test_what_is_too_far_from_the_base_is_not_chosen_nor_what_nobody_measured():
    found = of((1.0, 0.2), (1.0, 0.9))

    assert best_of(found, most_kl=0.1).step == 1
    assert best_of(found, most_kl=0.05) is None
    assert is_too_far(Evaluation(1, 1.0, 0.5, None), 0.5)
    assert not is_too_far(Evaluation(1, 1.0, 0.5, None), None)


def test_a_trainer_s_state_tells_them_all_and_what_is_no_number_is_none():
    state = SimpleNamespace(
        log_history=[
            {"step": 1, "loss": 0.0},
            {"step": 5, "eval_loss": 2.0},
            {"step": 5, "eval_score": 0.5, "eval_kl": 0.25},
            {"step": 9, "eval_loss": float("nan")},
        ]
    )

    assert evaluations(state) == [Evaluation(5, 2.0, 0.5, 0.25), Evaluation(9, None)]
    assert str(evaluations(state)[0]) == "loss 2.0000, score 0.500, KL from the base 0.250"
    assert evaluations(state)[1].as_dict() == {"step": 9, "loss": None, "score": None, "kl": None}
