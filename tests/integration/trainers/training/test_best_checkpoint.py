"""The checkpoint that is the best on the rows put aside is the adapter, also after a kill."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.support.killed import IN_A_FILE, Killed, same
from tests.support.training import Place

# a rate so high that the loss jumps about: the last step is not the best; no schedule, so that a step is the same step
# however many come after it
OPTIM = {
    "lr": 0.2,
    "epochs": 8,
    "batch": 4,
    "validation_split": 0.2,
    "schedule": "constant",
    "warmup": 0,
    "checkpoint_steps": 5,
}
ROWS, ASIDE, PASS = 22, 4, 5  # which pass is the best is another one on another processor


@pytest.fixture(scope="module")
def whole(recorded, tmp_path_factory) -> Killed:
    """A place with the adapter of a training that nobody killed, and what it said."""
    place = Killed(shutil.copytree(recorded.path, tmp_path_factory.mktemp("whole") / "place"))
    place.recipe(optim=OPTIM, seed=1)
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
    assert (
        f"  after step {PASS} of {8 * PASS}, on the validation split: loss {losses[PASS]:.4f}, score 0.000, KL" in said
    )
    # the tiny model never answers in JSON, so that the loss decides
    assert f"the adapter of step {chosen(whole)} is kept: it has the highest score by the task's own checks" in said

    place.recipe(optim={**OPTIM, "epochs": chosen(whole) // PASS})  # ends with the step that was chosen
    place.finish()

    assert chosen(place) == chosen(whole)
    assert same(place.path / "adapter", whole.path / "adapter")


def test_the_best_so_far_outlives_a_kill(whole, place):
    best = chosen(whole)  # it was the best already when the training is killed, at the end of the next pass
    process = place.start(IN_A_FILE.replace("checkpoint-24", f"checkpoint-{best + PASS}"))
    process.communicate()

    assert f"resuming at step {best} of {8 * PASS}\n" in place.finish()

    assert same(place.path / "adapter", whole.path / "adapter")
    assert (
        json.loads(place.read("adapter/training.json"))["training"]["validation"]
        == (json.loads(whole.read("adapter/training.json"))["training"]["validation"])
    )


def test_every_evaluation_tells_how_far_it_is_from_the_base_and_is_drawn(whole, place):
    facts = json.loads(whole.read("adapter/training.json"))["training"]
    divergences = [each["kl"] for each in facts["validation"]]

    assert facts["chosen_by"] == "score"
    assert min(divergences) > 0
    place.recipe(optim={**OPTIM, "lr": 1e-6, "epochs": 1})  # hardly moves
    place.finish()
    [hardly] = json.loads(place.read("adapter/training.json"))["training"]["validation"]
    assert hardly["kl"] < min(divergences)
    assert f"step {chosen(whole)} was chosen" in whole.read("adapter/training.svg")


def test_rows_of_no_unit_are_chosen_among_by_the_loss_and_it_is_said(place, monkeypatch):
    monkeypatch.chdir(place.path)
    rows = [
        {"messages": [{"role": "user", "content": f"Ticket {each}?"}, {"role": "assistant", "content": "{}"}]}
        for each in range(20)
    ]
    (place.path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    place.recipe(optim={**OPTIM, "epochs": 1})

    done = place.train()

    assert done.exit_code == 0, done.output
    assert "  4 of them are not scored: rows of messages name no unit\n" in done.output
    assert "  the checkpoint is chosen by validation loss: no check of the task can score these rows\n" in done.output
    facts = json.loads(place.read("adapter/training.json"))["training"]
    assert (facts["chosen_by"], facts["validation"][0]["score"]) == ("loss", None)
    assert facts["validation"][0]["kl"] > 0


def test_a_training_stops_where_it_is_too_far_from_the_base_and_keeps_what_was_near(whole, place, monkeypatch):
    monkeypatch.chdir(place.path)
    found = json.loads(whole.read("adapter/training.json"))["training"]["validation"]
    most = found[0]["kl"] + 1e-6
    place.recipe(stop={"kl": most})

    done = place.train()

    assert done.exit_code == 0, done.output
    assert f"stopped: the KL divergence from the base is above stop.kl = {most}\n" in done.output
    facts = json.loads(place.read("adapter/training.json"))["training"]
    beyond = next(each["step"] for each in found if each["kl"] > most)
    assert (facts["steps"], facts["stopped_early"]) == (beyond, True)
    assert facts["best_step"] < beyond


def test_where_nothing_is_near_enough_nothing_is_kept(place, monkeypatch):
    monkeypatch.chdir(place.path)
    place.recipe(stop={"kl": 1e-6})

    done = place.train()

    assert done.exit_code == 4
    assert "stop.kl: expected an evaluation with a KL divergence from the base of at most 1e-06, found" in done.output
    assert not (place.path / "adapter").exists()


def test_one_seed_is_said_to_be_no_measurement(whole):
    assert whole.read("said.txt").splitlines()[-3].startswith("one seed is not a measurement: ")
    assert json.loads(whole.read("adapter/training.json"))["seeds"]["tried"] == [1]
