"""Read a table of examples: CSV, TSV, JSONL, a JSON list of objects, Parquet, or a data set of the Hub."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from tunegate.harness.begin.scaffold.chat_rows import MESSAGES, split_messages
from tunegate.harness.begin.scaffold.infer import cell_values
from tunegate.harness.checks.outputs.message import listed_completions
from tunegate.harness.core.authoring.columnar import HUB, as_json, read_hub, read_parquet
from tunegate.harness.core.authoring.document import show_value
from tunegate.harness.core.authoring.json_lines import read_json_lines
from tunegate.harness.core.authoring.utf8 import MOST_BYTES, read_utf8, unread
from tunegate.harness.core.authoring.validation import did_you_mean
from tunegate.harness.core.errors import AuthoringError, Problem, Unreadable, UsageError, show_path
from tunegate.harness.core.reading import UTF16, read_bytes, read_json, schema_mistakes

TAB = "\t"
DELIMITERS = f",;{TAB}|"
SAID = re.compile(rf"sep=([{DELIMITERS}])\n")  # the first line of some spreadsheets' CSV
RULE = frozenset(":-")  # of a Markdown table
ROWS = {"type": "array", "items": {"type": "object"}}
MOST_OF_HUB = 100_000  # rows
TYPED = (".jsonl", ".json", ".parquet")
KINDS = (".csv", ".tsv", *TYPED)


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row: the line where it begins, its cells by column without empty ones, and the tags of its case."""

    line: int
    cells: Mapping[str, Any]
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """Rows and their possible columns. In a `typed` table (JSONL, Parquet, the Hub) values keep their type."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]
    typed: bool = False

    @property
    def name(self) -> str:
        """Its path as shown in messages."""
        return show_path(self.path)

    def check_columns(self, option: str, names: Sequence[str]) -> None:
        """Check that the table has each column exactly once.

        Raises:
            UsageError: names the option, and the existing columns.
        """
        for name in names:
            if self.columns.count(name) == 1:
                continue
            hint = did_you_mean(name, self.columns)
            if name in self.columns:
                raise UsageError(f"{option} {name}: expected one column of that name in {self.name}, found several")
            there = ", ".join(filter(None, self.columns))
            raise UsageError(
                f"{option} {name}: expected a column of {self.name} ({there}), found no such column"
                + (f"; {hint}" if hint else "")
            )


def read_table(source: Path | str, named: Collection[str] = ()) -> Table:
    """Read a table.

    Args:
        source: a file that ends in .csv, .tsv, .jsonl, .json (a list of objects) or .parquet, or
            `hub:NAME@REVISION#SPLIT`, of which the first 100,000 rows are read.
        named: expected columns, by which the delimiter of a CSV is detected.

    Raises:
        UsageError: another kind of file, or a data set without its revision.
        AuthoringError: no such file, not UTF-8 or UTF-16, or invalid rows, with their lines.
        CouldNotRun: a library is missing, or the data set cannot be loaded.
    """
    path = Path(source)
    kind = path.suffix.lower()
    if is_typed(source):
        table = _of_rows(path, read_typed_rows(source))
    elif kind in KINDS:
        table = _csv(path, _text(path), named)
    else:
        raise UsageError(
            f"--from {show_path(path)}: expected a file that ends in {', '.join(KINDS)}, or {HUB}NAME@REVISION, found "
            f"{kind or 'no ending'}; export the spreadsheet as CSV (UTF-8)"
        )
    if not table.rows:
        raise AuthoringError([Problem(path, 1, "", "rows" if table.typed else "rows below the header", "none")])
    return table


def is_typed(source: Path | str) -> bool:
    """Whether the values of a source keep their type."""
    return str(source).startswith(HUB) or Path(source).suffix.lower() in TYPED


def read_typed_rows(source: Path | str) -> list[tuple[int, Mapping[str, Any]]]:
    """Read the rows of a source that `is_typed`, each with its line or number.

    Raises:
        AuthoringError, CouldNotRun: see `read_table`.
    """
    path, is_hub = Path(source), str(source).startswith(HUB)
    if path.suffix.lower() == ".jsonl" and not is_hub:
        return _jsonl(path)
    if path.suffix.lower() == ".json" and not is_hub:
        return list(enumerate(_listed(path), start=1))
    found = islice(read_hub(str(source)), MOST_OF_HUB) if is_hub else read_parquet(path)
    return list(enumerate(as_json(path, found), start=1))


def _text(path: Path) -> str:
    """The text of a CSV: UTF-8, or UTF-16 with its byte order mark, as spreadsheets write "Unicode text"."""
    try:
        content = read_bytes(path, most=MOST_BYTES)
    except Unreadable as error:
        raise unread(path, error) from error
    if content.startswith(UTF16):
        try:
            text = content.decode("utf-16")
        except UnicodeDecodeError as error:
            raise AuthoringError([Problem(path, 1, "", "UTF-16 text", "one that ends inside a character")]) from error
    else:
        text = read_utf8(path)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise AuthoringError([Problem(path, line, "", "text", "a null byte", "export it again as UTF-8")])
    return text


def _csv(path: Path, text: str, named: Collection[str]) -> Table:
    said = SAID.match(text)
    delimiter = said[1] if said else _delimiter(text, named)
    hint = f"put a text with {'a tab' if delimiter == TAB else repr(delimiter)} or a line break in quotes"
    header: list[str] = []
    rows: list[TableRow] = []
    torn: list[Problem] = []
    for line, cells in _records(path, text, delimiter):
        filled = [cell.strip() for cell in cells]
        if said and line == 1:
            continue
        while len(filled) > max(len(header), 1) and header and not filled[-1]:
            filled.pop()  # surplus delimiters, which spreadsheets write below a wider row
        if not any(filled):
            continue
        if not header:
            header = filled
        elif RULE.issuperset("".join(filled)) and all(len(cell) > 1 for cell in filter(None, filled)) and not rows:
            mistake = "a rule of a Markdown table", "delete the line, and the | at both ends of the others"
            torn.append(Problem(path, line, "", "a row of CSV", *mistake))
        elif len(filled) != len(header):
            torn.append(Problem(path, line, "", f"{len(header)} cells, as the header has", str(len(filled)), hint))
        else:
            rows.append(TableRow(line, {column: cell for column, cell in zip(header, filled, strict=True) if cell}))
    if torn:
        raise AuthoringError(torn)
    return Table(path, tuple(header), _with_messages(rows))


def _with_messages(rows: Sequence[TableRow]) -> tuple[TableRow, ...]:
    """The rows of a CSV; a column of messages in JSON is split like those of JSONL."""
    found = cell_values([row.cells.get(MESSAGES) for row in rows])
    if not any(isinstance(value, list) for value in found):
        return tuple(rows)
    pairs = zip(rows, found, strict=True)
    return tuple(TableRow(row.line, split_messages({**row.cells, MESSAGES: value})) for row, value in pairs)


def _delimiter(text: str, named: Collection[str]) -> str:
    """The delimiter with most of the `named` columns in the first line, then with most columns."""

    def found(delimiter: str) -> tuple[int, int]:
        try:
            columns = [cell.strip() for cell in next(csv.reader(io.StringIO(text), delimiter=delimiter), [])]
        except csv.Error:  # reported with its line when the whole file is read
            columns = []
        return len(set(named) & set(columns)), len(columns)

    return max(DELIMITERS, key=found)


def _records(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line where it begins: a quoted cell may span several."""
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        hint = 'is there an unclosed quote? Inside quotes write "" for "'
        raise AuthoringError([Problem(path, line, "", "a row of CSV", f"{error}", hint)]) from error


def _jsonl(path: Path) -> list[tuple[int, Mapping[str, Any]]]:
    rows: list[tuple[int, Mapping[str, Any]]] = []
    problems: list[Problem] = []
    for line in read_json_lines(path, "examples", problems):
        listed = listed_completions(line.data)
        if isinstance(listed, list) and listed is not line.data and all(isinstance(each, dict) for each in listed):
            rows += [(line.line(()), each) for each in listed]
        elif isinstance(line.data, dict):
            rows.append((line.line(()), line.data))
        else:
            problems.append(line.problem((), "one JSON object", show_value(line.data)))
    if problems:
        raise AuthoringError(problems)
    return rows


def _listed(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON file with a list of them, or with a page of a list of OpenAI's API."""
    what = "a list of objects"
    try:
        found = listed_completions(read_json(path, what))
        if mistakes := schema_mistakes(found, ROWS):
            raise Unreadable(path, what, "; ".join(mistakes))
        return list(found)
    except Unreadable as error:
        raise AuthoringError([error.problem]) from error


def _of_rows(path: Path, numbered: Sequence[tuple[int, Mapping[str, Any]]]) -> Table:
    columns: dict[str, None] = {}
    rows: list[TableRow] = []
    for line, values in numbered:
        cells = split_messages({key: _clean(value) for key, value in values.items()})
        columns |= dict.fromkeys(cells)
        rows.append(TableRow(line, {key: value for key, value in cells.items() if value not in (None, "")}))
    return Table(path, tuple(columns), tuple(rows), typed=True)


def _clean(value: Any) -> Any:
    """A text stripped and with plain line ends, like a CSV's; other values unchanged."""
    return value.replace("\r\n", "\n").strip() if isinstance(value, str) else value
