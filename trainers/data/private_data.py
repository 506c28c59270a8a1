"""Secrets and personal data in rows, which a model may memorize."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tunegate.harness.core.errors import show_path
from tunegate.harness.core.progress import Watch
from tunegate.harness.rows.examples import Example, parsed_output
from tunegate.harness.rows.privacy.detectors import find_private
from tunegate.trainers.config.recipe import Recipe
from tunegate.trainers.data.validation import settle_rows


@dataclass(frozen=True, slots=True)
class PrivateData:
    """A secret or personal data in a row; `found` is never shown in full."""

    row: Example
    kind: str
    found: str

    def __str__(self) -> str:
        return f"{self.row.place}: {self.kind} ({self.found[:2]}..., {len(self.found)} characters)"


def find_private_data(rows: Sequence[Example], watch: Watch) -> list[PrivateData]:
    """Find all secrets and personal data in rows, each once per row, in order.

    Raises:
        CouldNotRun: the detection libraries are not installed.
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
    """The rows to train on; rows with private data are dropped if the recipe says so.

    Raises:
        Refused: rows contain private data and the recipe neither drops nor overrides, or no row is left.
    """
    refusal = (
        f"Training rows with secrets or personal data: {_rows_of(found)}; a model may memorize them. Remove them, or "
        f"set in {show_path(recipe.path)} `private_data: drop` to train without these rows or `private_data: "
        '{override: "the reason"}` to train on them; revoke any secret that was stored in a file:'
    )
    wrong = [(each.row, str(each)) for each in found]
    return settle_rows(rows, wrong, recipe, "private_data", "a row without any", refusal)


def _rows_of(found: Sequence[PrivateData]) -> int:
    return len({id(each.row) for each in found})


def render_private_data(found: Sequence[PrivateData], recipe: Recipe) -> Iterator[str]:
    """Yield a line on the findings and what the recipe does with them; none without findings."""
    if found:
        kinds = ", ".join(f"{number} {kind}" for kind, number in Counter(each.kind for each in found).most_common())
        rule = recipe.private_data
        does = rule if isinstance(rule, str) else f"kept, as overridden in the recipe: {rule['override']}"
        rows = _rows_of(found)
        yield f"  secrets and personal data in {rows} {'row' if rows == 1 else 'rows'} ({kinds}): {does}"


def private_data_as_dict(found: Sequence[PrivateData], recipe: Recipe) -> dict[str, Any]:
    """For the training record and the report: the rows, the kinds found, and the recipe's policy; no values."""
    return {
        "policy": recipe.private_data,
        "rows": _rows_of(found),
        "found": [{"row": each.row.place, "kind": each.kind} for each in found],
    }


def _texts(row: Example) -> Iterator[str]:
    """The texts of a row, without a unit's system prompt, which is part of the fixtures."""
    asked = [text for role, text in row.messages if role != "system" or row.unit is None]
    outputs = [row.output, row.rejected or ""]
    yield from (*asked, *outputs)
    if row.tools:  # JSON writes some characters of an argument in another way, such as a line end
        yield from (text for each in (*asked, *outputs) for text in _strings(parsed_output(each)))
        yield from (tool.written for tool in row.tools if row.unit is None)


def _strings(value: Any) -> Iterator[str]:
    """The texts in a value that was JSON, without the value itself."""
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from (each,) if isinstance(each, str) else _strings(each)
