"""A table of examples, as a spreadsheet or a log exports it: CSV, TSV, or JSONL with one object a line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunegate.harness.authoring.utf8 import read_utf8
from tunegate.harness.authoring.validation import did_you_mean
from tunegate.harness.core.errors import AuthoringError, Problem, UsageError, show_path
from tunegate.harness.core.files import parse_json
from tunegate.harness.core.formatting import listed

DELIMITERS = ",;\t|"
KINDS = (".csv", ".tsv", ".jsonl")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line where it begins, and its cells by column; a cell that is empty is not there."""

    line: int
    cells: Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """Rows, and the columns that they may have. In a `typed` table (JSONL) a value is of the kind that it is."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    typed: bool = False

    def check_columns(self, option: str, names: Sequence[str]) -> None:
        """See that the columns are there, each once.

        Raises:
            UsageError: names the option, and the columns that there are.
        """
        for name in names:
            if self.columns.count(name) == 1:
                continue
            hint = did_you_mean(name, self.columns)
            if name in self.columns:
                raise UsageError(f"{option} {name}: expected one column of that name in {self.name}, found several")
            there = ", ".join(filter(None, self.columns))
            raise UsageError(
                f"{option} {name}: expected a column of {self.name} ({there}), found none of that name"
                + (f"; {hint}" if hint else "")
            )


def read_table(path: Path, named: Collection[str] = ()) -> Table:
    """Read a table.

    Args:
        path: a file that ends in .csv, .tsv or .jsonl.
        named: columns that it should have; they tell which delimiter a CSV has.

    Raises:
        UsageError: another kind of file.
        AuthoringError: no such file, not UTF-8, or rows that are none, with their lines.
    """
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise UsageError(
            f"--from {show_path(path)}: expected a file that ends in {', '.join(KINDS)}, found {kind or 'no ending'}; "
            "a spreadsheet saves as CSV (UTF-8)"
        )
    name, text = show_path(path), read_utf8(path).removeprefix("\ufeff")
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise AuthoringError([Problem(name, line, "", "text", "the byte 0, which no text holds", "export it again")])
    table = _jsonl(name, text) if kind == ".jsonl" else _csv(name, text, named)
    if not table.rows:
        raise AuthoringError([Problem(name, 1, "", "rows below the header" if kind != ".jsonl" else "rows", "none")])
    return table


def _csv(name: str, text: str, named: Collection[str]) -> Table:
    delimiter = _delimiter(text, named)
    header: list[str] = []
    rows: list[Row] = []
    torn: dict[int, list[int]] = {}
    for line, cells in _records(name, text, delimiter):
        filled = [cell.strip() for cell in cells]
        while len(filled) > max(len(header), 1) and header and not filled[-1]:
            filled.pop()  # a delimiter too many, as spreadsheets leave them below a wider row
        if not any(filled):
            continue
        if not header:
            header = filled
        elif len(filled) != len(header):
            torn.setdefault(len(filled), []).append(line)
        else:
            rows.append(Row(line, {column: cell for column, cell in zip(header, filled, strict=True) if cell}))
    if torn:
        raise AuthoringError(list(_torn(name, len(header), torn, delimiter)))
    return Table(name, tuple(header), tuple(rows))


def _delimiter(text: str, named: Collection[str]) -> str:
    """The delimiter that finds most of the columns named in the first line, else most columns at all."""

    def found(delimiter: str) -> tuple[int, int]:
        try:
            columns = [cell.strip() for cell in next(csv.reader(io.StringIO(text), delimiter=delimiter), [])]
        except csv.Error:  # told, with its line, when all of it is read
            columns = []
        return len(set(named) & set(columns)), len(columns)

    return max(DELIMITERS, key=found)


def _records(name: str, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line where it begins: a cell in quotes may go on over several."""
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        hint = 'is there a quote that nothing closes? Inside quotes write "" for "'
        raise AuthoringError([Problem(name, line, "", "a row of CSV", f"{error}", hint)]) from error


def _torn(name: str, width: int, torn: Mapping[int, Sequence[int]], delimiter: str) -> Iterator[Problem]:
    shown = {"\t": "a tab"}.get(delimiter, f"{delimiter!r}")
    for cells, lines in torn.items():
        also = f" (also on line {listed([str(line) for line in lines[1:]])})" if len(lines) > 1 else ""
        hint = f"a text that holds {shown} or a line break stands in quotes"
        yield Problem(name, lines[0], "", f"{width} cells, as the header has", f"{cells}{also}", hint)


def _jsonl(name: str, text: str) -> Table:
    columns: dict[str, None] = {}
    rows: list[Row] = []
    problems: list[Problem] = []
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines would also split at U+2028
        if not line.strip():
            continue
        try:
            cells = {key: _clean(value) for key, value in _object(line).items()}
        except ValueError as error:
            problems.append(Problem(name, number, "", "one JSON object a line", str(error)))
            continue
        columns |= dict.fromkeys(cells)
        rows.append(Row(number, {key: value for key, value in cells.items() if value not in (None, "")}))
    if problems:
        rest = f" (also on line {listed([str(each.line) for each in problems[1:]])})" if problems[1:] else ""
        first = problems[0]
        raise AuthoringError([Problem(name, first.line, "", first.expected, f"{first.found}{rest}")])
    return Table(name, tuple(columns), tuple(rows), typed=True)


def _object(line: str) -> dict[str, Any]:
    try:
        value = parse_json(line)
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise ValueError(f"a mistake in column {error.colno} ({error.msg})") from None
    except UnicodeEncodeError:
        raise ValueError("half a surrogate pair") from None
    except RecursionError:
        raise ValueError("nesting without end") from None
    if not isinstance(value, dict):
        raise ValueError(f"no object but {line.strip()[:40]}")
    return value


def _clean(value: Any) -> Any:
    """A text without space around it and with plain line ends, as a CSV's; anything else as it is."""
    return value.replace("\r\n", "\n").strip() if isinstance(value, str) else value
