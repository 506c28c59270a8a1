"""JSONL files: one JSON object a line, each with its line number."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tunegate.harness.authoring.document import Document
from tunegate.harness.core.errors import AuthoringError, Problem
from tunegate.harness.core.files import parse_json


def read_json_lines(path: Path, what: str, problems: list[Problem]) -> Iterator[Document]:
    """The lines of a file that hold JSON, one document each; those that do not are added to `problems`.

    Args:
        path: the file, UTF-8; empty lines are passed over.
        what: what it holds, for the message where there is none.
        problems: takes the lines that are not JSON.

    Raises:
        AuthoringError: there is no such file, or it cannot be read.
    """
    for number, text in enumerate(_read_text(path, what).split("\n"), start=1):  # splitlines would split at U+2028
        if text.strip():
            try:
                yield Document(path, parse_json(text), {(): number})
            except (ValueError, RecursionError) as error:
                problems.append(Problem(path, number, "", "one JSON object", _said(error)))


def _read_text(path: Path, what: str) -> str:
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise AuthoringError([Problem(path, 1, "", f"a JSONL file of {what}", "nothing there")]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise AuthoringError([Problem(path, 1, "", "a readable UTF-8 file", str(error))]) from error


def _said(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"a mistake in column {error.colno} ({error.msg})"
    return "nesting without end" if isinstance(error, RecursionError) else str(error)
