"""The benchmark of several processes: its promises and its report; the trainings are those of
tests/services/test_accelerate.py."""

from __future__ import annotations

from benchmarks.frame import Usage
from benchmarks.processes import Outcome, Trained, report


def trained(processes: int, scores: list[float], loss: float = 0.4, steps: int = 30) -> Trained:
    facts = {"processes": processes, "steps": steps, "first_loss": 1.5, "last_loss": loss, "tokens_per_second": 130.0}
    return Trained(Usage(90.0, 150.0, 900.0), facts, scores)


def outcome(two: Trained) -> Outcome:
    return Outcome(120, trained(1, [1.0, 0.0] * 30), two)


def test_scores_within_chance_keep_the_promise():
    found = outcome(trained(2, [0.0, 1.0] * 30))

    assert list(found.broken()) == []
    said = report(found, "made so")
    assert "| 2 | 30 | 1.500 | 0.400 | 50.0 % | 130 | 90 |" in said
    assert "Two less one: +0.0 points, 95 % interval [-" in said
    assert "cases that differ: 60." in said


def test_scores_losses_and_steps_that_differ_break_it():
    (scores, losses, steps) = outcome(trained(2, [0.0] * 60, loss=0.6, steps=31)).broken()

    assert scores.startswith("the scores differ beyond chance ([-0.")
    assert (losses, steps) == ("the losses differ", "the numbers of steps differ")
