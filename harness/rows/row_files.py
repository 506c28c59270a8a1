"""Files of rows: JSONL, a JSON list, Parquet, or a data set of the Hub, one document per row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunegate.harness.core.authoring.columnar import MOST_ROWS, hub_name, read_hub, read_parquet
from tunegate.harness.core.authoring.document import Document
from tunegate.harness.core.authoring.json_lines import read_json_lines
from tunegate.harness.core.errors import AuthoringError, Problem, Unreadable
from tunegate.harness.core.reading import read_bytes, read_json
from tunegate.harness.rows.row_forms import without_nulls

KINDS = "a file of rows: .jsonl, .json or .parquet"


def read_row_documents(path: Path, what: str, problems: list[Problem]) -> Iterator[Document]:
    """Yield one document per row of a file, or of a data set of the Hub.

    Lines that are not JSON are added to `problems`. The line is that in a JSONL file, and elsewhere
    the number of the row. `what` names the content in messages.

    Raises:
        AuthoringError: the file cannot be read.
        UsageError: a folder has the name of the data set.
        CouldNotRun: the library is not installed, or the Hub does not deliver the data set.
    """
    if hub_name(path):
        return _numbered(path, map(without_nulls, read_hub(hub_name(path))))
    if path.suffix == ".parquet":
        return _numbered(path, map(without_nulls, read_parquet(path)))
    if path.suffix == ".json" and _begins_a_list(path):
        return _numbered(path, _json_list(path))
    return read_json_lines(path, what, problems)


def _numbered(path: Path, rows: Iterator[Any]) -> Iterator[Document]:
    for number, row in enumerate(rows, start=1):
        if number > MOST_ROWS:
            raise AuthoringError([Problem(path, number, "", f"at most {MOST_ROWS:,} rows", "more")])
        yield Document(path, row, {(): number})


def _begins_a_list(path: Path) -> bool:
    try:
        return read_bytes(path, KINDS).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["
    except Unreadable as error:
        raise AuthoringError([error.problem]) from error


def _json_list(path: Path) -> Iterator[Any]:
    try:
        yield from read_json(path, "a JSON list of rows")
    except Unreadable as error:
        raise AuthoringError([error.problem]) from error
