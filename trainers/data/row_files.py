"""Files of rows: JSONL, a JSON list, Parquet, or a data set of the Hub, one document per row."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunegate.harness.authoring.document import Document
from tunegate.harness.authoring.json_lines import read_json_lines
from tunegate.harness.core.errors import AuthoringError, CouldNotRun, Problem, Refused, Unreadable
from tunegate.harness.core.extras import need
from tunegate.harness.core.reading import MOST_BYTES, read_bytes, read_json
from tunegate.trainers.config.row_sources import HUB_FORM, HUB_NAME, hub_name
from tunegate.trainers.data.row_forms import without_nulls

KINDS = "a file of rows: .jsonl, .json or .parquet"
MOST_ROWS = 1_000_000


def read_row_documents(path: Path, what: str, problems: list[Problem]) -> Iterator[Document]:
    """Yield one document per row; the line is that in a JSONL file, and elsewhere the number of the row.

    Args:
        path: the file, or the name of a data set of the Hub.
        what: the content, for messages.
        problems: receives lines that are not JSON.

    Raises:
        AuthoringError: the file cannot be read.
        CouldNotRun: the library is not installed, or the Hub does not deliver the data set.
    """
    if hub_name(path):
        return _numbered(path, _from_hub(path))
    if path.suffix == ".parquet":
        return _numbered(path, _from_parquet(path))
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


def _from_parquet(path: Path) -> Iterator[Any]:
    parquet = need("pyarrow.parquet")
    try:
        content = read_bytes(path, KINDS)
        file = parquet.ParquetFile(need("pyarrow").BufferReader(content))
        size = sum(file.metadata.row_group(at).total_byte_size for at in range(file.metadata.num_row_groups))
        if size > MOST_BYTES:
            raise AuthoringError([Problem(path, 1, "", f"at most {MOST_BYTES:,} bytes of rows", f"{size:,}")])
        for batch in file.iter_batches(1_000):
            yield from map(without_nulls, batch.to_pylist())
    except Unreadable as error:
        raise AuthoringError([error.problem]) from error
    except (OSError, ValueError) as error:  # pyarrow's errors are kinds of these
        raise AuthoringError([Problem(path, 1, "", "a Parquet file", f"{error}"[:200])]) from error


def _from_hub(path: Path) -> Iterator[Any]:
    name = hub_name(path)
    found = HUB_NAME.fullmatch(name)
    if not found:
        raise Refused(f"{name}: expected {HUB_FORM}")
    if os.path.exists(found["name"]):  # noqa: PTH110  (datasets would read the folder instead)
        raise Refused(f"{name}: expected a data set of the Hub, found a folder here of that name; rename the folder")
    datasets = need("datasets")
    try:
        rows = datasets.load_dataset(found["name"], revision=found["revision"], split=found["split"] or "train")
    except Exception as error:  # the Hub's client raises many kinds of errors; all mean the same to the user
        raise CouldNotRun(f"{name}: the Hub did not deliver it: {error}") from error
    yield from (without_nulls(dict(row)) for row in rows)
