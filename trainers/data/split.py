"""The validation split: rows put aside and never trained on, to choose the checkpoint; fixtures stay out of it."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from tunegate.harness.core.errors import Refused, show_path
from tunegate.trainers.config.recipe import Recipe
from tunegate.trainers.data.duplicates import DuplicatePair
from tunegate.trainers.data.examples import Example
from tunegate.trainers.data.preference import Data


@dataclass(frozen=True, slots=True)
class Split:
    """Which rows are trained on and which are put aside.

    Attributes:
        train: the indices of the rows that are trained on, in order.
        validation: those of the rows put aside, in order.
        units: how many are put aside, by unit.
        leaks: pairs of rows that ask nearly the same, one on either side.
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    units: dict[str, int]
    leaks: tuple[DuplicatePair, ...]

    def apart(self, data: Data) -> tuple[Data, Data]:
        """What the rows became, in the same order: that of the rows to train on, and that of those put aside."""
        trained, aside = ([data[index] for index in part] for part in (self.train, self.validation))
        return cast(Data, trained), cast(Data, aside)

    def render(self) -> list[str]:
        """A line, and one more if rows on both sides ask the same."""
        if not self.validation:
            return []
        units = ", ".join(f"{unit} {count}" for unit, count in self.units.items())
        rows = f"{len(self.validation)} row{'s' if len(self.validation) > 1 else ''}"
        lines = [f"  put aside to choose the checkpoint on: {rows} ({units})"]
        if self.leaks:
            places = [f"{row.file}:{row.line}" for row in (self.leaks[0].first, self.leaks[0].second)]
            lines.append(
                "  warning: pairs of rows that ask nearly the same, one put aside and one trained on: "
                f"{len(self.leaks)} ({' and '.join(places)} first); the validation loss is too low for that"
            )
        return lines

    def as_dict(self) -> dict[str, Any]:
        """For the training record."""
        return {"rows": len(self.validation), "units": self.units, "leaks": len(self.leaks)}


def split(rows: Sequence[Example], recipe: Recipe, duplicates: Sequence[DuplicatePair]) -> Split:
    """Put the recipe's share of each unit's rows aside; the seed decides which.

    Args:
        rows: the rows of the recipe.
        recipe: says how large a share, and the seed.
        duplicates: rows that ask the same, or nearly.

    Raises:
        Refused: a share so small that no unit has a row to put aside.
    """
    units: defaultdict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        units[row.unit or "messages"].append(index)
    validation: set[int] = set()
    for unit, indices in units.items():
        # each unit by itself, so that new rows of one unit put no others aside in another
        draw = random.Random(f"{recipe.seed}/{unit}")  # noqa: S311  (the same rows each time; nothing secret)
        validation.update(
            # a row of each unit stays at least, or the unit would be tested and never trained
            draw.sample(indices, min(round(recipe.optim.validation_split * len(indices)), len(indices) - 1))
        )
    if recipe.optim.validation_split and not validation:
        raise Refused(
            f"{show_path(recipe.path)}: optim.validation_split: expected a share of one row or more in a unit, found "
            f"{recipe.optim.validation_split} of {len(rows)} rows; raise it, or leave it out"
        )
    return Split(
        train=tuple(index for index in range(len(rows)) if index not in validation),
        validation=tuple(sorted(validation)),
        units=dict(Counter(rows[index].unit or "messages" for index in sorted(validation))),
        leaks=tuple(_leaks(rows, validation, duplicates)),
    )


def _leaks(rows: Sequence[Example], validation: set[int], duplicates: Sequence[DuplicatePair]) -> list[DuplicatePair]:
    # rows that were dropped are in neither part
    is_validation = {(row.file, row.line): index in validation for index, row in enumerate(rows)}
    found = []
    for pair in duplicates:
        sides = {is_validation.get((row.file, row.line)) for row in (pair.first, pair.second)}
        if sides == {True, False}:
            found.append(pair)
    return found
