"""What the columns are used for that no option names: parts of the prompt, tags of the cases, or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunegate.harness.begin.scaffold.chat_rows import ANSWER, MESSAGES, SYSTEM
from tunegate.harness.begin.scaffold.drafts import Columns, as_part
from tunegate.harness.begin.scaffold.infer import are_labels, cell_values
from tunegate.harness.begin.scaffold.table import Table, TableRow
from tunegate.harness.core.errors import AuthoringError, Problem, Refused, UsageError
from tunegate.harness.core.formatting import listed

INSTRUCTION, INPUT, CONTEXT, METADATA = "instruction", "input", "context", "metadata"
PROMPTFOO = (
    "__expected", "__prefix", "__suffix", "__description", "__metric", "__threshold", "__metadata", "__provider",
)  # fmt: skip


@dataclass(frozen=True)
class Roles:
    """The table with its inputs put together, and what its other columns give.

    Attributes:
        system: the system message of all rows; None without one.
        instruction: the instruction of all rows, which stands before what the suite asks for; empty without one.
        notes: a line for each column that is used without an option, and one that names the unused ones.
    """

    table: Table
    system: str | None = None
    instruction: str = ""
    notes: tuple[str, ...] = ()


def read_roles(table: Table, columns: Columns, system: str | None = None) -> Roles:
    """Find out what the other columns are for, by their names.

    Args:
        table: the table.
        columns: those that options name; they have no other role.
        system: the system message that an option gives, which replaces a column of it.

    Raises:
        UsageError: columns of promptfoo, for which there is a command.
        Refused: several system messages, or some rows without one.
    """
    if magic := [name for name in table.columns if name.startswith(PROMPTFOO)]:
        raise UsageError(
            f"--from {table.name}: expected columns of inputs and expected values, found those of promptfoo "
            f"({listed(magic)}); run: tunegate import {table.name}"
        )
    found = _Found(table, columns)
    message = None if system else found.system()
    instruction = found.instruction()
    found.context()
    tags = found.tags()
    if unused := found.unused():
        found.notes.append(f"not used: {', '.join(unused)}")
    return Roles(replace(table, rows=tuple(found.rows(tags))), message, instruction, tuple(found.notes))


class _Found:
    """The columns without an option, taken one by one."""

    def __init__(self, table: Table, columns: Columns) -> None:
        self._named = named = {columns.input, *columns.expect, columns.id}
        self.table, self.columns = table, columns
        self.notes: list[str] = []
        self._free = {name.lower(): name for name in table.columns if name and name not in named}
        self._is_text = all(isinstance(row.cells.get(columns.input, ""), str) for row in table.rows)
        self._above: list[str] = []
        self._below: list[str] = []

    def _take(self, name: str) -> str | None:
        same = [each for each in self.table.columns if each.lower() == name and each not in self._named]
        if len(same) > 1:
            hint = "rename the others, or delete them"
            found = f"several: {', '.join(same)}"
            raise AuthoringError([Problem(self.table.path, 1, "", f"one column {name!r}", found, hint)])
        return self._free.pop(name, None)

    def _cells(self, name: str) -> list[Any]:
        return [row.cells.get(name) for row in self.table.rows]

    def system(self) -> str | None:
        """The system message of all rows; part of rows of messages, which have no other column for it."""
        if not (name := self._take(SYSTEM)):
            return None
        values = {value for value in self._cells(name) if value is None or isinstance(value, str)}
        if len(values) > 1:
            raise Refused(
                f"{self.table.name}: {name}: expected one system message in all rows, found {len(values)}; give one "
                "with --system"
            )
        return next(iter(values), None)

    def instruction(self) -> str:
        """The instruction of all rows; where they have several, each stands above its input."""
        if self.columns.input.lower() == INSTRUCTION and self._is_text and (name := self._take(INPUT)):
            self._below.append(name)
            self.notes.append(f"{name}: stands below the {self.columns.input} of its row")
        if not self._is_text or not (name := self._take(INSTRUCTION)):
            return ""
        first, *others = self._cells(name)
        if isinstance(first, str) and all(each == first for each in others):
            self.notes.append(f"{name}: the same in all rows, part of the system message")
            return first
        self._above.append(name)
        self.notes.append(f"{name}: stands above the input of its row")
        return ""

    def context(self) -> None:
        """Put a context above the input of its row."""
        if self._is_text and (name := self._take(CONTEXT)):
            self._above.append(name)
            self.notes.append(f"{name}: stands above the input of its row")

    def tags(self) -> list[dict[str, str]]:
        """The tags of each row from its metadata: values that repeat as labels do, and so make slices."""
        rows: list[dict[str, str]] = [{} for _ in self.table.rows]
        if not (name := self._take(METADATA)):
            return rows
        cells = [each if isinstance(each, Mapping) else {name: each} for each in cell_values(self._cells(name))]
        keys = Counter(key for each in cells for key in each)
        texts = {key: [str(each[key]) for each in cells if each.get(key) not in (None, "")] for key in keys}
        kept = [key for key, values in texts.items() if key and are_labels(values, len(rows))]
        for row, each in zip(rows, cells, strict=True):
            row |= {key: str(each[key]) for key in kept if each.get(key) not in (None, "")}
        if kept:
            self.notes.append(f"{name}: {listed(kept)} as tags of the cases")
        if others := [key for key in keys if key not in kept]:
            self.notes.append(f"{name}: not used: {listed(others)}, whose values do not repeat")
        return rows

    def unused(self) -> list[str]:
        """The columns without a role. A row of messages brings a system text and a last turn of its own."""
        of_messages = {SYSTEM, ANSWER} if self.columns.input == MESSAGES else set()
        return [name for key, name in self._free.items() if key not in of_messages]

    def rows(self, tags: Sequence[Mapping[str, str]]) -> Iterator[TableRow]:
        """The rows, each with its whole input and its tags."""
        place = self.columns.input
        for row, tagged in zip(self.table.rows, tags, strict=True):
            cells = dict(row.cells)
            if self._above or self._below:
                parts = [cells.get(name) for name in (*self._above, place, *self._below)]
                if text := "\n\n".join(as_part(part) for part in parts if part):
                    cells[place] = text
            yield TableRow(row.line, cells, tagged)
