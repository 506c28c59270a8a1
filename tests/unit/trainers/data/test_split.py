"""Rows put aside: which they are, that the checkpoint with their lowest loss is the adapter, also after a kill."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.killed import IN_A_FILE, Killed, same
from tests.support.training import Place
from tests.unit.trainers.data.test_duplicates import LONG, row
from tunegate.harness.core.errors import Refused
from tunegate.trainers.config.recipe import Optim, Recipe
from tunegate.trainers.data.duplicates import find_duplicates
from tunegate.trainers.data.split import Split, split
from tunegate.trainers.training.checkpoints import chosen_step

# a rate so high that the loss jumps about: the last step is not the best; no schedule, so that a step is the same step
# however many come after it
OPTIM = {"lr": 0.1, "epochs": 8, "batch": 4, "dev": 0.2, "schedule": "constant", "warmup": 0, "checkpoint_steps": 8}
ROWS, ASIDE, PASS = 22, 4, 5


def of(share: float, seed: int = 0) -> Recipe:
    return Recipe(Path("recipe.yaml"), "desk", (), Path("out"), optim=Optim(dev=share), seed=seed)


def divide(rows: list, recipe: Recipe) -> Split:
    return split(rows, recipe, find_duplicates(rows))


# which rows


def test_the_share_is_taken_of_each_unit_and_no_row_stands_on_both_sides():
    rows = [row(f"{unit} {number}", number, unit=unit) for unit in ("triage", "orders") for number in range(1, 31)]

    found = divide(rows[:40], of(0.1))

    assert found.units == {"triage": 3, "orders": 1}
    assert sorted([*found.train, *found.dev]) == list(range(40))
    assert found.apart(rows[:40]) == ([rows[index] for index in found.train], [rows[index] for index in found.dev])


def test_the_seed_decides_which_and_another_unit_does_not():
    rows = [row(f"number {number}", number) for number in range(40)]
    more = [row(f"order {number}", 100 + number, unit="orders") for number in range(9)]

    first = divide(rows, of(0.1)).dev

    assert divide(rows, of(0.1)).dev == first
    assert divide(rows, of(0.1, seed=1)).dev != first
    assert divide([*rows, *more], of(0.1)).dev[:4] == first


def test_without_a_share_none_is_put_aside():
    found = divide([row("It drips.", 1)], of(0))

    assert (found.train, found.dev, found.in_words()) == ((0,), (), [])


def test_a_row_is_left_to_train_on_in_each_unit():
    assert divide([row("It drips.", 1), row("It leaks.", 2), row("Order.", 3, unit="orders")], of(0.9)).units == {
        "triage": 1
    }


def test_a_share_of_less_than_a_row_is_refused():
    with pytest.raises(Refused, match=r"recipe.yaml: optim.dev: expected a share of at least one row in some unit"):
        divide([row("It drips.", 1)], of(0.1))


def test_a_row_put_aside_that_repeats_one_trained_on_is_said():
    rows = [row(LONG, 1), row(LONG.replace("Tuesday", "Monday"), 2)]

    found = divide(rows, of(0.5))

    assert found.as_dict() == {"rows": 1, "units": {"triage": 1}, "leaks": 1}
    put, warning = found.in_words()
    assert put == "  put aside to choose the checkpoint on: 1 row (triage 1)"
    assert (
        "rows that ask nearly the same, one put aside and one trained on: 1 (rows.jsonl:1 and rows.jsonl:2" in warning
    )


# which step


@pytest.mark.parametrize(
    ("losses", "chosen"), [([3.0, 1.0, 2.0], 2), ([2.0, 2.0], 1), ([float("nan"), 5.0], 2), ([1.0], 1)]
)
def test_the_lowest_loss_is_chosen_and_the_first_of_equal_ones(losses, chosen):
    entries = [{"step": step, "eval_loss": loss} for step, loss in enumerate(losses, start=1)]

    assert chosen_step(SimpleNamespace(log_history=[{"step": 1, "loss": 0.0}, *entries])) == chosen


# the training


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
    return json.loads(place.read("adapter/training.json"))["training"]["chosen_step"]


def test_the_adapter_is_that_of_the_best_pass(whole, place):
    record = json.loads(whole.read("adapter/training.json"))
    losses = {each["step"]: each["loss"] for each in record["training"]["dev"]}
    assert list(losses) == list(range(PASS, 8 * PASS + 1, PASS))
    assert losses[chosen(whole)] == min(losses.values()) < losses[8 * PASS]
    assert (record["dev"]["rows"], record["training"]["steps"]) == (ASIDE, 8 * PASS)
    said = whole.read("said.txt")
    assert f"Training on {ROWS - ASIDE} rows, steps: {8 * PASS}\n" in said
    assert f"  dev loss after step {PASS} of {8 * PASS}: {losses[PASS]:.4f}" in said
    assert f"the adapter of step {chosen(whole)} is kept: its dev loss is the lowest\n" in said

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
        json.loads(place.read("adapter/training.json"))["training"]["dev"]
        == (json.loads(whole.read("adapter/training.json"))["training"]["dev"])
    )
