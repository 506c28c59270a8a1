"""Rows put aside: which they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.trainers.data.test_duplicates import LONG, row
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.files import digest
from tunegate.trainers.config.recipe import Recipe
from tunegate.trainers.config.sections import Optim
from tunegate.trainers.data.split import split


def of(share: float, seed: int = 0) -> Recipe:
    return Recipe(Path("recipe.yaml"), "desk", (), Path("out"), optim=Optim(validation_split=share), seed=seed)


def test_the_share_is_taken_of_each_unit_and_no_row_stands_on_both_sides():
    rows = [row(f"{unit} {number}", number, unit=unit) for unit in ("triage", "orders") for number in range(1, 31)]

    found = split(rows[:40], of(0.1))

    assert found.units == {"triage": 3, "orders": 1}
    assert sorted([*found.train, *found.validation]) == list(range(40))
    assert found.apart(rows[:40]) == (
        [rows[index] for index in found.train],
        [rows[index] for index in found.validation],
    )


def test_the_seed_decides_which_and_another_unit_does_not():
    rows = [row(f"number {number}", number) for number in range(40)]
    more = [row(f"order {number}", 100 + number, unit="orders") for number in range(9)]

    first = split(rows, of(0.1)).validation

    assert split(rows, of(0.1)).validation == first
    assert split(rows, of(0.1, seed=1)).validation != first
    assert split([*rows, *more], of(0.1)).validation[:4] == first


def test_without_a_share_none_is_put_aside():
    found = split([row("It drips.", 1)], of(0))

    assert (found.train, found.validation, found.render()) == ((0,), (), [])


def test_a_row_is_left_to_train_on_in_each_unit():
    assert split([row("It drips.", 1), row("It leaks.", 2), row("Order.", 3, unit="orders")], of(0.9)).units == {
        "triage": 1
    }


def test_a_share_of_less_than_a_row_is_refused():
    with pytest.raises(
        Refused, match=r"recipe.yaml: optim.validation_split: expected a share of one row or more in a unit"
    ):
        split([row("It drips.", 1)], of(0.1))


def test_rows_that_ask_nearly_the_same_stay_on_one_side_whatever_their_unit_and_however_long_the_chain():
    chain = [LONG, f"{LONG} or so", f"{LONG} or so, I think"]
    others = [row(str(number) * 9, 10 + number) for number in range(12)]
    rows = [*(row(text, line) for line, text in enumerate(chain, 1)), row(LONG, 4, unit="orders"), *others]

    for seed in range(20):
        aside = set(split([*rows, row("an order", 30, unit="orders")], of(0.5, seed)).validation)
        assert aside & {0, 1, 2, 3} in (set(), {0, 1, 2, 3})
        assert aside - {0, 1, 2, 3}


def test_where_all_ask_the_same_none_can_be_put_aside():
    with pytest.raises(Refused, match="of which those with nearly the same input stay together"):
        split([row(LONG, 1), row(LONG.replace("Tuesday", "Monday"), 2)], of(0.5))


def test_the_turns_of_a_conversation_stay_on_one_side():
    rows = [replace(row(digest([number, turn]), number), turn=turn) for number in range(20) for turn in (1, 2)]

    found = split(rows, of(0.2))

    lines = [{rows[index].line for index in part} for part in (found.train, found.validation)]
    assert len(found.validation) == 8
    assert not lines[0] & lines[1]
