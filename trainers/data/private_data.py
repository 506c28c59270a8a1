"""Secrets and personal data in rows: a model may recite what it was trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.progress import Watch
from tunegate.harness.privacy.detectors import find_private
from tunegate.trainers.config.recipe import Recipe
from tunegate.trainers.config.sections import DROP, REFUSE
from tunegate.trainers.data.examples import Example

SHOWN = 5


@dataclass(frozen=True, slots=True)
class PrivateData:
    """A secret or a person's data in a row; `found` is shown to nobody whole."""

    row: Example
    kind: str
    found: str

    def __str__(self) -> str:
        return f"{self.row.place}: {self.kind} ({self.found[:2]}..., {len(self.found)} characters)"


def find_private_data(rows: Sequence[Example], watch: Watch) -> list[PrivateData]:
    """Every secret and every person's data in rows, each once a row, in their order.

    Raises:
        CouldNotRun: the libraries that find them are not installed.
    """
    found = list[PrivateData]()
    with watch("Looking for secrets and personal data", len(rows)) as done:
        for row in rows:
            texts = [text for text in _texts(row) if text]
            every = dict.fromkeys(each for text in texts for each in find_private(text))
            found += [PrivateData(row, *each) for each in every]
            done(1)
    return found


def settle_private_data(rows: Sequence[Example], found: Sequence[PrivateData], recipe: Recipe) -> list[Example]:
    """The rows to train on: all of them, or without those that hold private data where the recipe drops them.

    Raises:
        Refused: rows hold some and the recipe neither drops them nor overrides that, or none would be left.
    """
    if found and recipe.private_data == REFUSE:
        raise Refused(_refusal(found, recipe))
    if recipe.private_data != DROP:
        return list(rows)
    holding = {id(each.row) for each in found}
    left = [row for row in rows if id(row) not in holding]
    if not left:
        raise Refused(f"{show_path(recipe.path)}: private_data: expected a row without, found none of {len(rows)}")
    return left


def render_private_data(found: Sequence[PrivateData], recipe: Recipe) -> Iterator[str]:
    """What was found and what becomes of it, a line each; none where nothing was."""
    if found:
        kinds = ", ".join(f"{number} {kind}" for kind, number in Counter(each.kind for each in found).most_common())
        rule = recipe.private_data
        does = rule if isinstance(rule, str) else f"trained on all the same, as the recipe says: {rule['override']}"
        rows = len({id(each.row) for each in found})
        yield f"  secrets and personal data in {rows} {'row' if rows == 1 else 'rows'} ({kinds}): {does}"


def private_data_as_dict(found: Sequence[PrivateData], recipe: Recipe) -> dict[str, Any]:
    """For the training record and the report: which rows hold what, and what the recipe does with them; no values."""
    return {
        "policy": recipe.private_data,
        "rows": len({id(each.row) for each in found}),
        "found": [{"row": each.row.place, "kind": each.kind} for each in found],
    }


def _refusal(found: Sequence[PrivateData], recipe: Recipe) -> str:
    lines = [f"  {each}" for each in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"  and {len(found) - SHOWN} more; --report FILE.json lists them all")
    rows = len({id(each.row) for each in found})
    return (
        f"Training rows with secrets or personal data: {rows}; a model may recite them. Take them out, or write in "
        f"{show_path(recipe.path)} `private_data: drop` to train without these rows or `private_data: {{override: "
        '"the reason"}` to train on them; a secret that stood in a file is best revoked:\n' + "\n".join(lines)
    )


def _texts(row: Example) -> Iterator[str]:
    """What a row teaches and is asked; the system prompt of a unit stands in its fixtures."""
    yield from (text for role, text in row.messages if role != "system" or row.unit is None)
    yield row.output
    yield row.rejected or ""
