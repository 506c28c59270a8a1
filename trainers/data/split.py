"""The validation split: rows that are not trained on, to choose the checkpoint; it contains no fixtures."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from tunegate.harness.checks.text.near_copies import near_copies
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.files import digest
from tunegate.harness.rows.examples import Example
from tunegate.trainers.config.recipe import Recipe
from tunegate.trainers.data.duplicates import NEAR
from tunegate.trainers.data.preference import Data


@dataclass(frozen=True, slots=True)
class Split:
    """The indices of the training rows and of the validation split, in order; `units` counts the latter by unit."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    units: dict[str, int]

    def apart(self, data: Data) -> tuple[Data, Data]:
        """Split `data`, which is in the order of the rows, into training and validation data."""
        trained, aside = ([data[index] for index in part] for part in (self.train, self.validation))
        return cast(Data, trained), cast(Data, aside)

    def render(self) -> list[str]:
        """A line on the validation split; none if it is empty."""
        if not self.validation:
            return []
        units = ", ".join(f"{unit} {count}" for unit, count in self.units.items())
        rows = f"{len(self.validation)} row{'s' if len(self.validation) > 1 else ''}"
        return [f"  validation split to choose the checkpoint: {rows} ({units})"]

    def as_dict(self) -> dict[str, Any]:
        """For the training record."""
        return {"rows": len(self.validation), "units": self.units}


def split(rows: Sequence[Example], recipe: Recipe) -> Split:
    """Select the recipe's share of each unit's rows for validation, by the seed.

    Rows with nearly the same input, and those of one conversation, stay on one side, whatever their
    units; otherwise the training would include paraphrases of validation rows.

    Raises:
        Refused: the share is too small for a single validation row.
    """
    counts = Counter(map(_unit, rows))
    # at least one row of each unit stays for training
    left = {unit: min(round(recipe.optim.validation_split * count), count - 1) for unit, count in counts.items()}
    validation: list[int] = []
    # by digest, so that new rows do not move existing ones to the other side
    for group in sorted(_groups(rows) if any(left.values()) else (), key=lambda each: _lot(recipe.seed, each, rows)):
        taken = Counter(_unit(rows[index]) for index in group)
        if all(count <= left[unit] for unit, count in taken.items()):
            validation += group
            left = {unit: free - taken[unit] for unit, free in left.items()}
    if recipe.optim.validation_split and not validation:
        raise Refused(
            f"{show_path(recipe.path)}: optim.validation_split: expected a share of one row or more in a unit, found "
            f"{recipe.optim.validation_split} of {len(rows)} rows, of which those with nearly the same input stay "
            "together; raise it, or remove it"
        )
    aside = tuple(sorted(validation))
    return Split(
        train=tuple(sorted(set(range(len(rows))).difference(aside))),
        validation=aside,
        units=dict(Counter(_unit(rows[index]) for index in aside)),
    )


def _unit(row: Example) -> str:
    return row.unit or "messages"


def _groups(rows: Sequence[Example]) -> list[list[int]]:
    """The indices of the rows, grouped by nearly the same input or by conversation, transitively."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first: dict[tuple[str, int], int] = {}
    for index, row in enumerate(rows):
        first.setdefault((row.file, row.line), index)
    pairs = [(index, index) for index in range(len(rows))]
    pairs += [(index, first[row.file, row.line]) for index, row in enumerate(rows) if row.turn]
    pairs += [(pair.first, pair.second) for pair in near_copies([row.input for row in rows], NEAR)]
    alike = coo_array(([1] * len(pairs), tuple(zip(*pairs, strict=True))))
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for index, label in enumerate(connected_components(alike, directed=False)[1].tolist()):
        groups[label].append(index)
    return list(groups.values())


def _lot(seed: int, group: Sequence[int], rows: Sequence[Example]) -> str:
    return digest([seed, [[rows[index].unit, rows[index].messages, rows[index].output] for index in group]])
