"""The checkpoint with the lowest loss of the rows put aside is the adapter, also after a kill."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.support.killed import IN_A_FILE, Killed, same
from tests.support.training import Place

# a rate so high that the loss jumps about: the last step is not the best; no schedule, so that a step is the same step
# however many come after it
OPTIM = {
    "lr": 0.1,
    "epochs": 8,
    "batch": 4,
    "validation_split": 0.2,
    "schedule": "constant",
    "warmup": 0,
    "checkpoint_steps": 8,
}
ROWS, ASIDE, PASS = 22, 4, 5


@pytest.fixture(scope="module")
def whole(recorded, tmp_path_factory) -> Killed:
    """A place with the adapter of a training that nobody killed, and what it said."""
    place = Killed(shutil.copytree(recorded.path, tmp_path_factory.mktemp("whole") / "place"))
    place.recipe(optim=OPTIM)
    (place.path / "said.txt").write_text(place.finish())
    return place


@pytest.fixture
def place(whole, tmp_path) -> Killed:
    """A place with the same recipe and no adapter yet."""
    shutil.copytree(whole.path, tmp_path / "place")
    shutil.rmtree(tmp_path / "place/adapter")
    return Killed(tmp_path / "place")


def chosen(place: Place) -> int:
    return json.loads(place.read("adapter/training.json"))["training"]["best_step"]


def test_the_adapter_is_that_of_the_best_pass(whole, place):
    record = json.loads(whole.read("adapter/training.json"))
    losses = {each["step"]: each["loss"] for each in record["training"]["validation"]}
    assert list(losses) == list(range(PASS, 8 * PASS + 1, PASS))
    assert losses[chosen(whole)] == min(losses.values()) < losses[8 * PASS]
    assert (record["validation"]["rows"], record["training"]["steps"]) == (ASIDE, 8 * PASS)
    said = whole.read("said.txt")
    assert f"Training on {ROWS - ASIDE} rows, steps: {8 * PASS}\n" in said
    assert f"  validation loss after step {PASS} of {8 * PASS}: {losses[PASS]:.4f}" in said
    assert f"the adapter of step {chosen(whole)} is kept: its validation loss is the lowest\n" in said

    place.recipe(optim={**OPTIM, "epochs": chosen(whole) // PASS})  # ends with the step that was chosen
    place.finish()

    assert chosen(place) == chosen(whole)
    assert same(place.path / "adapter", whole.path / "adapter")


def test_the_best_so_far_outlives_a_kill(whole, place):
    process = place.start(IN_A_FILE)
    process.communicate()
    assert chosen(whole) <= 16  # it was the best already when the training was killed

    assert "resuming at step 16 of 40\n" in place.finish()

    assert same(place.path / "adapter", whole.path / "adapter")
    assert (
        json.loads(place.read("adapter/training.json"))["training"]["validation"]
        == (json.loads(whole.read("adapter/training.json"))["training"]["validation"])
    )
