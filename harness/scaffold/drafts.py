"""Turn rows into examples: inputs with their expected values, each input once, and a sample of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunegate.harness.authoring.document import show_value
from tunegate.harness.cases.conversation import ASSISTANT, USER, Written, joined, read_input
from tunegate.harness.core.errors import AuthoringError, Problem, UsageError
from tunegate.harness.core.files import canonical
from tunegate.harness.core.formatting import listed
from tunegate.harness.scaffold.chat_rows import FORM
from tunegate.harness.scaffold.table import Table, TableRow

SHOTS = ((20, 3), (6, 1))  # from this many examples on, this many become `shots`
_NO_NAME = re.compile(r"[^A-Za-z0-9_.+-]+")


@dataclass(frozen=True, slots=True)
class Columns:
    """The roles of the columns."""

    input: str
    expect: tuple[str, ...]
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A future case: an input, and the expected values by column; `name` may still be empty."""

    line: int
    input: Written
    expected: dict[str, Any]
    name: str = ""

    @property
    def text(self) -> str:
        """The input as text for comparison; all turns of a conversation."""
        return joined(*read_input(self.input))


@dataclass(frozen=True)
class Drafts:
    """The usable examples of a table, and notes on the other rows."""

    table: Table
    columns: Columns
    all: tuple[Draft, ...]
    notes: tuple[str, ...]


def read_drafts(table: Table, columns: Columns) -> Drafts:
    """Read the examples of a table: each input once, and none with contradictory expectations.

    Raises:
        UsageError: a column is missing.
        AuthoringError: no row is usable, an input is not text, or ids are not valid.
    """
    table.check_columns("--input", [columns.input])
    table.check_columns("--expect", columns.expect)
    if columns.id:
        table.check_columns("--id", [columns.id])
    if columns.input in columns.expect or len(set(columns.expect)) < len(columns.expect):
        raise UsageError("--input, --expect: expected a column each, found one twice")
    _check_inputs(table, columns)
    kept, notes = _each_once(table, columns)
    if not kept:
        raise AuthoringError([Problem(table.path, 1, "", "rows with an input and an expected value", "none")])
    return Drafts(table, columns, tuple(_named(table, columns, kept)), tuple(notes))


def _check_inputs(table: Table, columns: Columns) -> None:
    wrong = [
        Problem(table.path, row.line, columns.input, FORM, show_value(row.cells[columns.input]))
        for row in table.rows
        if not _is_input(row.cells.get(columns.input, ""))
    ]
    if wrong:
        raise AuthoringError(wrong)


def _is_input(cell: Any) -> bool:
    """Whether a cell is a case's input: a text, or turns as `split_messages` returns them."""
    turns = cell if isinstance(cell, list) else [None]
    return isinstance(cell, str) or all(isinstance(each, dict) and [*each] in ([USER], [ASSISTANT]) for each in turns)


def _each_once(table: Table, columns: Columns) -> tuple[list[TableRow], list[str]]:
    """The usable rows, and a note for each kind of unusable ones."""
    empty = [row for row in table.rows if not _is_whole(row, columns)]
    by_input: dict[str, list[TableRow]] = {}
    for row in table.rows:
        if _is_whole(row, columns):
            by_input.setdefault(canonical(row.cells[columns.input]), []).append(row)
    kept, repeated, disputed = [], [], []
    for rows in by_input.values():
        if len({canonical(_expected(row, columns)) for row in rows}) > 1:
            disputed += rows
        else:
            kept.append(rows[0])
            repeated += rows[1:]
    left_out = (
        (empty, "without an input, or without an expected value"),
        (repeated, "repeated"),
        (disputed, "with contradictory expectations for the same input: decide which is right"),
    )
    return kept, [f"left out: {_rows(rows)} {why} (line {_lines(rows)})" for rows, why in left_out if rows]


def _is_whole(row: TableRow, columns: Columns) -> bool:
    return columns.input in row.cells and bool(_expected(row, columns))


def _expected(row: TableRow, columns: Columns) -> dict[str, Any]:
    return {column: row.cells[column] for column in columns.expect if column in row.cells}


def _rows(rows: Sequence[TableRow]) -> str:
    return f"{len(rows):,} row{'s' if len(rows) > 1 else ''}"


def _lines(rows: Sequence[TableRow]) -> str:
    return listed([str(line) for line in sorted(row.line for row in rows)])


def _named(table: Table, columns: Columns, rows: Sequence[TableRow]) -> Iterator[Draft]:
    """Each row as an example, named by the column of ids if there is one."""
    seen: dict[str, TableRow] = {}
    problems = []
    hint = "without --id, cases are numbered"
    for row in rows:
        name = ""
        if columns.id:
            found = str(row.cells.get(columns.id, ""))
            name = _NO_NAME.sub("-", found).strip("-._+")
            other = seen.setdefault(name, row)
            if not name:
                problems.append(
                    Problem(table.path, row.line, columns.id, "an id with a letter or digit", repr(found), hint)
                )
            elif other is not row:
                again = f"{name!r} again (first on line {other.line})"
                problems.append(Problem(table.path, row.line, columns.id, "an id that is unique", again, hint))
        yield Draft(row.line, row.cells[columns.input], _expected(row, columns), name)
    if problems:
        raise AuthoringError(problems)


def draw(drafts: Drafts, limit: int, with_shots: bool = True) -> tuple[list[Draft], list[Draft]]:
    """Draw the examples that become cases, at most `limit`, and the few that become `shots`.

    A digest of the input decides, so the draw does not depend on the order of rows, and a new row moves at most one
    other.
    """
    drawn = sorted(drafts.all, key=lambda each: hashlib.sha256(each.text.encode()).hexdigest())
    spared = next((count for least, count in SHOTS if len(drawn) >= least), 0) if with_shots else 0
    shots = _differing(drawn)[:spared]
    rest = [each for each in drawn if each not in shots]
    cases = sorted(rest[:limit], key=lambda each: each.line)
    width = max(3, len(str(len(cases))))
    return [
        replace(each, name=each.name or f"case-{number:0{width}}") for number, each in enumerate(cases, start=1)
    ], shots


def _differing(drawn: Sequence[Draft]) -> list[Draft]:
    """The first examples with different expectations, for a prompt; only short ones, which cost fewer tokens."""
    middle = sorted(len(each.text) for each in drawn)[len(drawn) // 2]
    first: dict[str, Draft] = {}
    for each in drawn:
        if len(each.text) <= middle:
            first.setdefault(canonical(each.expected), each)
    return list(first.values())
