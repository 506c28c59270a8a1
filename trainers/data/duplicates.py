"""Duplicate and near-duplicate rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from tunegate.harness.checks.outputs.message import read_output
from tunegate.harness.checks.text.near_copies import folded_text, near_copies
from tunegate.harness.rows.examples import Example

NEAR = 0.8  # Jaccard of the characters' 5-grams


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """Two rows with the same or nearly the same input; `alike` is 1.0 if they are the same."""

    first: Example
    second: Example
    alike: float

    @property
    def agrees(self) -> bool:
        """Whether both rows have the same output."""
        if self.first.tools:
            return read_output(self.first.output).key() == read_output(self.second.output).key()
        return folded_text(self.first.output) == folded_text(self.second.output)


def find_duplicates(rows: Sequence[Example]) -> list[DuplicatePair]:
    """Pairs of each row that duplicates an earlier row of its unit with the first such row, most similar first.

    Case and white space are ignored. Duplicates have the same messages, or inputs whose character 5-grams have a
    Jaccard similarity of at least `NEAR`.
    """
    pairs, firsts = [], list[Example]()
    seen: dict[tuple[object, ...], Example] = {}
    for row in rows:
        said = tuple((role, folded_text(text)) for role, text in row.messages)
        first = seen.setdefault((row.unit, said, _offered(row)), row)
        if first is row:
            firsts.append(row)
        else:
            pairs.append(DuplicatePair(first, row, 1.0))
    for _, unit in groupby(sorted(firsts, key=_asked_of), key=_asked_of):
        pairs += _near(list(unit))
    return sorted(pairs, key=lambda pair: -pair.alike)


def _offered(row: Example) -> tuple[str, ...]:
    """The tools of a row: with others, the same words are another question."""
    return tuple(tool.written for tool in row.tools)


def _asked_of(row: Example) -> tuple[str, tuple[str, ...]]:
    return row.unit or "", _offered(row)


def _near(rows: Sequence[Example]) -> Iterator[DuplicatePair]:
    """Each near-duplicate with the most similar earlier row."""
    pairs = near_copies([row.input for row in rows], NEAR)
    for second, of_one in groupby(pairs, key=lambda pair: pair.second):
        nearest = max(of_one, key=lambda pair: pair.alike)
        yield DuplicatePair(rows[nearest.first], rows[second], nearest.alike)
