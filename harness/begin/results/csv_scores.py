"""CSV files of scores: a column `id`, and a column for each metric.

Commas, semicolons, tabs or bars; UTF-8 with or without a byte order mark, or UTF-16. With semicolons a comma may be the
decimal point. The columns `input`, `expected`, `output` and `group` are texts, and so is any other without a number.
Rows of one input or group are one observation.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunegate.harness.begin.results.directions import is_amount
from tunegate.harness.begin.results.foreign_json import decoded
from tunegate.harness.begin.results.samples import ResultFile, ScoredSample, groups_of, question_of, score_of, text_of
from tunegate.harness.core.errors import AuthoringError, Problem, Unreadable
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.reading import UTF16

TOOL = "CSV"
A_FILE = "a CSV file with a column `id` and a column for each metric"
DELIMITERS = ",;\t|"
ID, INPUT, EXPECTED, OUTPUT, GROUP = "id", "input", "expected", "output", "group"
TEXTS = (INPUT, EXPECTED, OUTPUT, GROUP)
WORDS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "pass": 1.0, "fail": 0.0}
EMPTY = frozenset({"", "nan", "none", "null", "na", "n/a", "-"})
CUT_OFF = "does not end with a line break: if it was cut off, its last number may be a shorter one"
MOST_CELL = 1 << 24  # characters
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


@dataclass(frozen=True)
class _Rows:
    """The cells of a file: the header, and each row with its line."""

    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    delimiter: str

    def column(self, name: str) -> Iterator[tuple[int, str]]:
        """The cells of a column, each with its line."""
        place = self.header.index(name)
        yield from ((line, cells[place]) for line, cells in self.rows)


def csv_text(path: Path, content: bytes) -> str:
    """The text of a CSV file, in UTF-8 or UTF-16.

    Raises:
        Unreadable: it is neither, or holds the byte 0.
    """
    if content.startswith(UTF16):
        try:
            text = content.decode("utf-16")
        except UnicodeDecodeError as error:
            raise Unreadable(path, A_FILE, f"broken UTF-16 ({error.reason})", "was the file cut off?") from None
    else:
        text = decoded(path, content, A_FILE)
    if "\0" in text:
        raise Unreadable(path, A_FILE, "the byte 0, which no text holds", "", text[: text.index("\0")].count("\n") + 1)
    return text


def is_scores(text: str) -> bool:
    """Whether a text is a CSV file with a column `id` and at least one more."""
    header = _header(text, _delimiter(text))
    return ID in header and len(header) > 1


def read_scores(path: Path, text: str) -> ResultFile:
    """Read a CSV file of scores.

    Raises:
        AuthoringError: rows or cells that are none, with their lines.
        Unreadable: it has no rows, or no column with a number.
    """
    rows = _rows(path, text)
    if not rows.rows:
        raise Unreadable(path, A_FILE, "no rows below the header")
    numbers = {name: dict(_numbers(rows, name)) for name in rows.header if name not in {ID, *TEXTS}}
    texts = [name for name, found in numbers.items() if not any(each is not None for each in found.values())]
    empty = [name for name in texts if all(cell.lower() in EMPTY for _, cell in rows.column(name))]
    metrics = [name for name in numbers if name not in texts or name in empty]
    _check_cells(path, rows, [name for name in metrics if name not in empty])
    if not metrics:
        raise Unreadable(path, A_FILE, f"the columns {listed(list(rows.header))}, none of them with a number")
    samples = tuple(_sample(rows, line, cells, numbers, metrics) for line, cells in rows.rows)
    return ResultFile(
        path, TOOL, samples, amounts=frozenset(filter(is_amount, metrics)),
        left_out={name: "the column has no numbers" for name in texts if name not in empty},
        notes=() if text.endswith(("\n", "\r")) else (f"{path.name} {CUT_OFF}",),
    )  # fmt: skip


def _sample(
    rows: _Rows, line: int, cells: Sequence[str], numbers: Mapping[str, Mapping[int, float | None]],
    metrics: Sequence[str],
) -> ScoredSample:  # fmt: skip
    by_name = dict(zip(rows.header, cells, strict=True))
    asked, expected, group = (by_name.get(name, "") for name in (INPUT, EXPECTED, GROUP))
    return ScoredSample(
        by_name[ID], {name: numbers[name][line] for name in metrics}, _question(asked, expected, group),
        text_of(asked), text_of(expected), text_of(by_name[OUTPUT]) if OUTPUT in by_name else None,
        groups=groups_of(question_of(asked), group and f"{GROUP} {group}"), line=line,
    )  # fmt: skip


def _question(asked: str, expected: str, group: str) -> str:
    """A group belongs to the question: NEW cannot have others than OLD."""
    return question_of(asked, expected, group) if group else question_of(asked, expected)


def _numbers(rows: _Rows, name: str) -> Iterator[tuple[int, float | None]]:
    for line, cell in rows.column(name):
        yield line, _number(cell, rows.delimiter)


def _number(cell: str, delimiter: str) -> float | None:
    if cell.lower() in WORDS:
        return WORDS[cell.lower()]
    if delimiter == ";" and _DECIMAL_COMMA.fullmatch(cell):
        cell = cell.replace(",", ".")
    return score_of(cell)


def _check_cells(path: Path, rows: _Rows, metrics: Sequence[str]) -> None:
    """See that each cell of a metric is a number or is empty.

    Raises:
        AuthoringError: every cell that is something other.
    """
    problems = [
        Problem(path, line, name, "a number, true, false or nothing", repr(cell[:40]))
        for name in metrics
        for line, cell in rows.column(name)
        if cell.lower() not in EMPTY and _number(cell, rows.delimiter) is None and not _is_unbounded(cell)
    ]
    if problems:
        raise AuthoringError(problems)


def _is_unbounded(cell: str) -> bool:
    """Whether a cell is a number without an end, such as `inf` or 1e999, which is no score."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _rows(path: Path, text: str) -> _Rows:
    delimiter = _delimiter(text)
    header = _header(text, delimiter)
    if twice := [name for name in header if header.count(name) > 1]:
        raise AuthoringError([Problem(path, 1, "", "each column once", f"{twice[0]!r} twice")])
    found: list[tuple[int, tuple[str, ...]]] = []
    torn: list[Problem] = []
    for line, cells in _records(path, text, delimiter):
        if line == 1 or not any(cells):
            continue
        if len(cells) != len(header) or not cells[header.index(ID)]:
            what = f"{len(cells)} cells" if len(cells) != len(header) else "none"
            torn.append(Problem(path, line, "", f"{len(header)} cells, as the header has, and an id", what))
        found.append((line, tuple(cells)))
    if torn:
        raise AuthoringError(torn)
    return _Rows(tuple(header), tuple(found), delimiter)


def _records(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line where it begins."""
    before = csv.field_size_limit(MOST_CELL)  # of the whole process
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            yield line, [cell.strip() for cell in cells]
            line = reader.line_num + 1
    except csv.Error as error:
        hint = "is there a quote that nothing closes, or was the file cut off?"
        raise AuthoringError([Problem(path, line, "", "a row of CSV", str(error), hint)]) from None
    finally:
        csv.field_size_limit(before)


def _header(text: str, delimiter: str) -> list[str]:
    """The names of the columns; `id` and the columns of texts in small letters."""
    try:
        cells = next(csv.reader(io.StringIO(text[:MOST_CELL], newline=""), delimiter=delimiter), [])
    except csv.Error:
        return []
    names = [cell.strip() for cell in cells]
    return [name.lower() if name.lower() in {ID, *TEXTS} else name for name in names]


def _delimiter(text: str) -> str:
    """The delimiter that makes most columns of the first line, one of them `id`."""

    def found(delimiter: str) -> tuple[bool, int]:
        header = _header(text, delimiter)
        return ID in header, len(header)

    return max(DELIMITERS, key=found)
