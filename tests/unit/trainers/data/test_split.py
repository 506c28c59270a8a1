"""Rows put aside: which they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import Refused
from tests.unit.trainers.data.test_duplicates import LONG, row
from trainers.dev import Split, split
from trainers.duplicates import find_duplicates
from trainers.recipe import Optim, Recipe


def of(share: float, seed: int = 0) -> Recipe:
    return Recipe(Path("recipe.yaml"), "desk", (), Path("out"), optim=Optim(dev=share), seed=seed)


def divide(rows: list, recipe: Recipe) -> Split:
    return split(rows, recipe, find_duplicates(rows))


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
