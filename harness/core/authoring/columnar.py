"""Rows of Parquet files and of data sets of the Hub, as JSON data; their libraries are loaded on first use."""

from __future__ import annotations

import datetime
import decimal
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import AuthoringError, CouldNotRun, Problem, Unreadable, UsageError
from tunegate.harness.core.extras import need
from tunegate.harness.core.reading import MOST_BYTES, read_bytes

HUB = "hub:"
MOST_ROWS, BATCH = 1_000_000, 1_000
HUB_FORM = f"{HUB}NAME@REVISION or {HUB}NAME@REVISION#SPLIT, the revision a commit of 40 digits"
HUB_NAME = re.compile(
    r"hub:(?P<name>\w[\w.-]*(/\w[\w.-]*)?)@(?P<revision>[0-9a-f]{40})(#(?P<split>[\w.-]+))?", re.ASCII
)


def hub_name(path: Path) -> str:
    """The name of a data set of the Hub that stands in place of a file; empty for a file."""
    name = path.as_posix()
    return name if name.startswith(HUB) else ""


def read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file, with the values of Arrow.

    Raises:
        AuthoringError: no such file, not Parquet, or too many rows or bytes.
        CouldNotRun: pyarrow is missing; it comes with `datasets`.
    """
    arrow, parquet = need("pyarrow"), need("pyarrow.parquet")
    try:
        yield from _unpacked(path, parquet.ParquetFile(arrow.BufferReader(read_bytes(path, "a Parquet file"))))
    except Unreadable as error:
        raise AuthoringError([error.problem]) from error
    except (arrow.ArrowException, OSError) as error:
        raise AuthoringError([Problem(path, 1, "", "a Parquet file", f"another one ({error})")]) from error


def _unpacked(path: Path, file: Any) -> Iterator[dict[str, Any]]:
    """The rows, as long as they are not too many: a small file may unpack to a lot, whatever it says of itself."""
    count, size = file.metadata.num_rows, 0
    for batch in file.iter_batches(BATCH) if count <= MOST_ROWS else ():
        size += batch.nbytes
        if size > MOST_BYTES:
            break
        yield from batch.to_pylist()
    if count > MOST_ROWS or size > MOST_BYTES:
        most = f"at most {MOST_ROWS:,} rows in {MOST_BYTES:,} bytes"
        raise AuthoringError([Problem(path, 1, "", most, f"{count:,} rows in {size:,} bytes or more")])


def read_hub(source: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of `hub:NAME@REVISION#SPLIT`, without a split those of `train`; no code of it is run.

    Raises:
        UsageError: it is not of that form, or a folder of that name is here.
        CouldNotRun: `datasets` is missing, or the data set cannot be loaded.
    """
    found = HUB_NAME.fullmatch(source)
    if not found:
        raise UsageError(f"{source}: expected {HUB_FORM}, so that the rows stay the same; found another form")
    name, revision, split = found["name"], found["revision"], found["split"] or "train"
    if Path(name).exists():  # the library would read it instead, whatever the revision
        raise UsageError(f"{source}: expected no file or folder {name} here, found one; run it elsewhere")
    library = need("datasets")
    try:
        yield from map(dict, library.load_dataset(name, revision=revision, split=split, streaming=True))
    except Exception as error:  # the library raises what each of its own libraries does
        raise CouldNotRun(f"{source}: expected a data set, the hub did not deliver it: {error}") from error


def as_json(path: Path, rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield rows of Arrow as JSON data; what is not finite is null.

    Raises:
        AuthoringError: a value that JSON does not have.
    """
    for number, row in enumerate(rows, start=1):
        try:
            yield {key: _plain(value) for key, value in row.items()}
        except TypeError as error:
            problem = Problem(path, number, "", "texts, numbers, lists and objects", str(error))
            raise AuthoringError([problem]) from error


def _plain(value: Any) -> Any:
    """A value of Arrow as JSON data.

    Raises:
        TypeError: JSON has no such value.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return None  # how pandas writes an empty cell
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return float(value)
    raise TypeError(type(value).__name__)
