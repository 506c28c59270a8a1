"""JSON as other programs write it: NaN and Infinity are values, and so is half a character."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import Unreadable
from tunegate.harness.core.reading import MOST_BYTES, NotJson, open_file, parse_foreign_json

CUT = "was the file cut off?"


def parse_file(path: Path, content: bytes, what: str) -> Any:
    """The value of a JSON file.

    Raises:
        Unreadable: it is no UTF-8 or no JSON; says where.
    """
    text = decoded(path, content, what)
    try:
        return parse_foreign_json(text)
    except NotJson as error:
        raise Unreadable(path, what, str(error), CUT, error.line) from None


def decoded(path: Path, content: bytes, what: str, line: int = 0) -> str:
    """UTF-8 text, without its byte order mark.

    Raises:
        Unreadable: it is something other.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"the byte 0x{content[error.start]:02x} at {error.start:,}, which is no UTF-8"
        raise Unreadable(path, what, found, CUT, line) from None


def lines_of(path: Path, what: str) -> Iterator[tuple[int, Any]]:
    """The value of each line of a JSONL file that is not blank, with its number.

    Raises:
        Unreadable: a line is no JSON; says which.
    """
    with os.fdopen(open_file(path, what), "rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MOST_BYTES), b""), start=1):
            if not line.strip():
                continue
            try:
                yield number, parse_foreign_json(decoded(path, line, what, number))
            except NotJson as error:
                raise Unreadable(path, what, str(error), CUT, number) from None
