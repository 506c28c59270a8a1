"""Turn rows into examples: inputs with their expected values, each input once, and a sample of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tunegate.harness.authoring.document import show_value
from tunegate.harness.cases.conversation import ASSISTANT, USER, Written, joined, read_input
from tunegate.harness.core.errors import AuthoringError, Problem, Refused, UsageError
from tunegate.harness.core.files import canonical
from tunegate.harness.core.formatting import listed, quantity
from tunegate.harness.scaffold.chat_rows import FORM
from tunegate.harness.scaffold.infer import cell_values
from tunegate.harness.scaffold.table import Table, TableRow
from tunegate.harness.text.traces import Passage, Rarity, plain_words

MOST_TRIED, MOST_SHOWN = 4, 6  # examples that may become shots for each expectation, and expectations
MOST_COMPARED = 500  # inputs that each of them is compared with
SHOTS = ((20, 3), (6, 1))  # from this many examples on, this many become `shots`
_NO_NAME = re.compile(r"[^A-Za-z0-9_.+-]+")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that options name.

    Values of a `text` column are texts, whatever they look like; those of a `label` column are all that there are.
    """

    input: str
    expect: tuple[str, ...]
    id: str | None = None
    text: tuple[str, ...] = ()
    label: tuple[str, ...] = ()


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
    return Drafts(table, columns, tuple(_named(table, columns, kept)), tuple(notes))


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
    return kept, [
        f"left out: {quantity(len(rows), 'row')} {why} (line {_lines(rows)})" for rows, why in left_out if rows
    ]


def _is_whole(row: TableRow, columns: Columns) -> bool:
    return columns.input in row.cells and bool(_expected(row, columns))


def as_part(value: Any) -> str:
    """A cell as a part of a prompt; the passages of a list stand one below the other."""
    [value] = cell_values([value])
    return "\n\n".join(map(str, value)) if isinstance(value, list) else str(value)


def _expected(row: TableRow, columns: Columns) -> dict[str, Any]:
    return {column: row.cells[column] for column in columns.expect if column in row.cells}


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
                expected = "an id with a letter or digit"
                problems.append(Problem(table.path, row.line, columns.id, expected, repr(found), hint))
            elif other is not row:
                again = f"{name!r} again (first on line {other.line})"
                problems.append(Problem(table.path, row.line, columns.id, "an id that is unique", again, hint))
        yield Draft(row.line, row.cells[columns.input], _expected(row, columns), name, row.tags)
    if problems:
        raise AuthoringError(problems)


@dataclass(frozen=True)
class Drawn:
    """The examples by what they become; those that are left become nothing."""

    cases: list[Draft]
    shots: list[Draft]
    rows: list[Draft]


def draw(drafts: Drafts, limit: int, with_shots: bool = True, rows: int = 0) -> Drawn:
    """Draw the examples that become cases, at most `limit`, the few that become `shots`, and so many training `rows`.

    A digest of the input decides, so the draw does not depend on the order of rows, and a new row moves few others.

    Raises:
        Refused: no example would be left for a case.
    """
    drawn = sorted(drafts.all, key=lambda each: hashlib.sha256(each.text.encode()).hexdigest())
    spared = next((count for least, count in SHOTS if len(drawn) >= least), 0) if with_shots else 0
    shots = _shots(drawn, spared)
    taken = {each.line for each in shots}
    rest = [each for each in drawn if each.line not in taken]
    if rows and rows >= len(rest):
        left = f"{len(rest)} rows besides the worked examples"
        raise Refused(f"{drafts.table.name}: --rows {rows}: expected fewer than the {left}, so that cases are left")
    kept = rest[len(rest) - rows :]
    cases = sorted(rest[: min(limit, len(rest) - rows)], key=lambda each: each.line)
    width = max(3, len(str(len(cases))))
    named = [replace(each, name=each.name or f"case-{number:0{width}}") for number, each in enumerate(cases, start=1)]
    return Drawn(named, shots, sorted(kept, key=lambda each: each.line))


def _shots(drawn: Sequence[Draft], count: int) -> list[Draft]:
    """Examples with different expectations, for a prompt; short ones, which cost fewer tokens.

    Those whose input is least like any other: a shot like a case would show the case's output.
    """
    if not count:
        return []
    middle = sorted(len(each.text) for each in drawn)[len(drawn) // 2]
    tried: dict[str, list[Draft]] = {}
    for each in drawn:
        if len(each.text) <= middle and len(of_one := tried.setdefault(canonical(each.expected), [])) < MOST_TRIED:
            of_one.append(each)
    others = [(each.line, plain_words(each.text)) for each in drawn[:MOST_COMPARED]]
    rarity = Rarity.of([words for _, words in others])

    def likeness(draft: Draft) -> float:
        """The evidence that a prompt with this example holds another one, as lint reckons it, in nats."""
        shown = Passage(plain_words(draft.text))
        traces = (shown.traces(words, rarity) for line, words in others if line != draft.line and words)
        return max((each.evidence for found in traces for each in found), default=0.0)

    found = [min(of_one, key=likeness) for of_one in [*tried.values()][:MOST_SHOWN]]
    return sorted(found, key=likeness)[:count]
