"""Turn rows into examples: inputs with their expected values, each input once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tunegate.harness.begin.scaffold.ambiguous import NO_VALUE, misread
from tunegate.harness.begin.scaffold.chat_rows import FORM
from tunegate.harness.begin.scaffold.infer import cell_values
from tunegate.harness.begin.scaffold.table import Table, TableRow
from tunegate.harness.cases.conversation import ASSISTANT, USER, Written, joined, read_input
from tunegate.harness.core.authoring.document import show_value
from tunegate.harness.core.errors import AuthoringError, Problem, UsageError
from tunegate.harness.core.files import canonical
from tunegate.harness.core.formatting import listed, quantity

_NO_NAME = re.compile(r"[^A-Za-z0-9_.+-]+")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that options name.

    Values of a `text` column are texts, whatever they look like; those of a `label` column are all that there are. An
    empty cell of an `absent` column says that the output has no such key; in other columns it is not scored.
    """

    input: str
    expect: tuple[str, ...]
    id: str | None = None
    text: tuple[str, ...] = ()
    label: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A future case, worked example or training row: an input, and the expected values by column.

    `name` may still be empty, and so may `tags`.
    """

    line: int
    input: Written
    expected: dict[str, Any]
    name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

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


def check_roles(table: Table, columns: Columns) -> None:
    """Check that a table has the columns that options name, and that its inputs are texts or turns.

    Raises:
        UsageError: a column is missing, or has two roles.
        AuthoringError: an input is neither; names all of them.
    """
    table.check_columns("--input", [columns.input])
    table.check_columns("--expect", columns.expect)
    if columns.id:
        table.check_columns("--id", [columns.id])
    if columns.input in columns.expect or len(set(columns.expect)) < len(columns.expect):
        raise UsageError("--input, --expect: expected a column each, found one twice")
    if other := next((name for name in columns.absent if name not in columns.expect), None):
        raise UsageError(
            f"--absent {other}: expected one of {', '.join(columns.expect)}, found no --expect of that name"
        )
    _check_inputs(table, columns)
    if both := [name for name in columns.text if name in columns.label]:
        raise UsageError(f"--text, --label: expected one of them for {both[0]}, found both")


def read_drafts(table: Table, columns: Columns) -> Drafts:
    """Read the examples of a table: each input once, and none with contradictory expectations.

    Raises:
        AuthoringError: no row is usable, or ids are not valid.
    """
    table = _with_values(table, columns)
    kept, notes = _each_once(table, columns)
    if not kept:
        raise AuthoringError([Problem(table.path, 1, "", "rows with an input and an expected value", "none")])
    return Drafts(table, columns, tuple(named_drafts(table, columns, kept)), (*notes, *_misread(kept, columns)))


def _misread(rows: Sequence[TableRow], columns: Columns) -> Iterator[str]:
    """A note on texts that an earlier program damaged; a person may also have written to us like that."""
    texts = ((row.line, row.cells.get(column)) for row in rows for column in (columns.input, *columns.expect))
    lines, word = misread([(line, text) for line, text in texts if isinstance(text, str)])
    if lines:
        looks = "looks" if len(lines) == 1 else "look"
        yield (
            f"{quantity(len(lines), 'row')} {looks} like UTF-8 that was read as Windows-1252 ({word!r} in line "
            f"{lines[0]}): export the table again if it was not written so"
        )


def _with_values(table: Table, columns: Columns) -> Table:
    """The table with JSON values in place of their text, in the expected columns where every cell holds one."""
    found: list[dict[str, Any]] = [dict(row.cells) for row in table.rows]
    for column in columns.expect:
        filled = [cells for cells in found if column in cells and column not in columns.text]
        for cells, value in zip(filled, cell_values([cells[column] for cells in filled]), strict=True):
            cells[column] = value
    rows = (replace(row, cells=cells) for row, cells in zip(table.rows, found, strict=True))
    return replace(table, rows=tuple(rows))


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
    """The usable rows, those of one input as one, and a note for each kind of unusable ones."""
    void, empty, kept, repeated, disputed = [], [], [], [], []
    by_input: dict[str, list[TableRow]] = {}
    for row in table.rows:
        if not _is_whole(row, columns):
            empty.append(row)
        elif isinstance(given := row.cells[columns.input], str) and given in NO_VALUE:
            void.append(row)
        else:
            by_input.setdefault(canonical(given), []).append(row)
    for rows in by_input.values():
        if _contradict(rows, columns):
            disputed += rows
        else:
            whole = {key: cell for row in reversed(rows) for key, cell in row.cells.items()}
            kept.append(replace(rows[0], cells=whole))
            repeated += rows[1:]
    left_out = (
        (void, "whose input is a spreadsheet's error or stands for an empty cell"),
        (empty, "without an input, or without an expected value"),
        (repeated, "repeated"),
        (disputed, "with contradictory expectations for the same input: decide which is right"),
    )
    return kept, [
        f"left out: {quantity(len(rows), 'row')} {why} (line {_lines(rows)})" for rows, why in left_out if rows
    ]


def _contradict(rows: Sequence[TableRow], columns: Columns) -> bool:
    """Whether rows have different values in one column; a cell that is not scored agrees with any."""
    return any(
        len({canonical(row.cells.get(column)) for row in rows if column in row.cells or column in columns.absent}) > 1
        for column in columns.expect
    )


def _is_whole(row: TableRow, columns: Columns) -> bool:
    return columns.input in row.cells and any(
        column in row.cells or column in columns.absent for column in columns.expect
    )


def as_part(value: Any) -> str:
    """A cell as a part of a prompt; the passages of a list stand one below the other."""
    [value] = cell_values([value])
    return "\n\n".join(map(str, value)) if isinstance(value, list) else str(value)


def _expected(row: TableRow, columns: Columns) -> dict[str, Any]:
    return {column: row.cells[column] for column in columns.expect if column in row.cells}


def _lines(rows: Sequence[TableRow]) -> str:
    return listed([str(line) for line in sorted(row.line for row in rows)])


def named_drafts(table: Table, columns: Columns, rows: Sequence[TableRow]) -> Iterator[Draft]:
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
                expected = "an id with a letter or digit"
                problems.append(Problem(table.path, row.line, columns.id, expected, repr(found), hint))
            elif other is not row:
                again = f"{name!r} again (first on line {other.line})"
                problems.append(Problem(table.path, row.line, columns.id, "an id that is unique", again, hint))
        yield Draft(row.line, row.cells[columns.input], _expected(row, columns), name, row.tags)
    if problems:
        raise AuthoringError(problems)
