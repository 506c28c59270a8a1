"""Rows put aside: which they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.trainers.data.test_duplicates import LONG, row
from tunegate.harness.core.errors import Refused
from tunegate.trainers.config.recipe import Optim, Recipe
from tunegate.trainers.data.duplicates import find_duplicates
from tunegate.trainers.data.split import Split, split


def of(share: float, seed: int = 0) -> Recipe:
    return Recipe(Path("recipe.yaml"), "desk", (), Path("out"), optim=Optim(validation_split=share), seed=seed)


def divide(rows: list, recipe: Recipe) -> Split:
    return split(rows, recipe, find_duplicates(rows))


def test_the_share_is_taken_of_each_unit_and_no_row_stands_on_both_sides():
    rows = [row(f"{unit} {number}", number, unit=unit) for unit in ("triage", "orders") for number in range(1, 31)]

    found = divide(rows[:40], of(0.1))

    assert found.units == {"triage": 3, "orders": 1}
    assert sorted([*found.train, *found.validation]) == list(range(40))
    assert found.apart(rows[:40]) == (
        [rows[index] for index in found.train],
        [rows[index] for index in found.validation],
    )


def test_the_seed_decides_which_and_another_unit_does_not():
    rows = [row(f"number {number}", number) for number in range(40)]
    more = [row(f"order {number}", 100 + number, unit="orders") for number in range(9)]

    first = divide(rows, of(0.1)).validation

    assert divide(rows, of(0.1)).validation == first
    assert divide(rows, of(0.1, seed=1)).validation != first
    assert divide([*rows, *more], of(0.1)).validation[:4] == first


def test_without_a_share_none_is_put_aside():
    found = divide([row("It drips.", 1)], of(0))

    assert (found.train, found.validation, found.render()) == ((0,), (), [])


def test_a_row_is_left_to_train_on_in_each_unit():
    assert divide([row("It drips.", 1), row("It leaks.", 2), row("Order.", 3, unit="orders")], of(0.9)).units == {
        "triage": 1
    }


def test_a_share_of_less_than_a_row_is_refused():
    with pytest.raises(
        Refused, match=r"recipe.yaml: optim.validation_split: expected a share of one row or more in a unit"
    ):
        divide([row("It drips.", 1)], of(0.1))


def test_a_row_put_aside_that_repeats_one_trained_on_is_said():
    rows = [row(LONG, 1), row(LONG.replace("Tuesday", "Monday"), 2)]

    found = divide(rows, of(0.5))

    assert found.as_dict() == {"rows": 1, "units": {"triage": 1}, "leaks": 1}
    put, warning = found.render()
    assert put == "  put aside to choose the checkpoint on: 1 row (triage 1)"
    assert (
        "rows that ask nearly the same, one put aside and one trained on: 1 (rows.jsonl:1 and rows.jsonl:2" in warning
    )
