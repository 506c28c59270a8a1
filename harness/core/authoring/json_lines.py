"""JSONL files: one JSON object per line, with line numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tunegate.harness.core.authoring.document import Document
from tunegate.harness.core.authoring.utf8 import read_utf8
from tunegate.harness.core.errors import AuthoringError, Problem
from tunegate.harness.core.reading import MOST_BYTES, NotJson, parse_json

MOST_MISTAKES = 100_000  # more than this is the wrong file


def read_json_lines(path: Path, what: str, problems: list[Problem]) -> Iterator[Document]:
    """Yield one document per line of JSON; mistakes are appended to `problems`.

    Args:
        path: the file, UTF-8; empty lines are skipped.
        what: the content, for the message about a missing file.
        problems: receives invalid lines; the caller may append others.

    Raises:
        AuthoringError: no such file, it cannot be read, or there are `MOST_MISTAKES` already.
    """
    text = read_utf8(path, f"a JSONL file of {what}", MOST_BYTES).removeprefix("\ufeff")  # as some editors write
    yield from parse_json_lines(path, text, what, problems)


def parse_json_lines(path: Path, text: str, what: str, problems: list[Problem]) -> Iterator[Document]:
    """Yield one document per line of the text of the file at `path`; see `read_json_lines`."""
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines would split at U+2028
        if len(problems) >= MOST_MISTAKES:
            found = f"{len(problems):,} mistakes in the lines so far"
            raise AuthoringError([Problem(path, number, "", f"a file of {what}", found), *problems])
        if line.strip():
            try:
                yield Document(path, parse_json(line), {(): number})
            except NotJson as error:
                problems.append(Problem(path, number, "", "one JSON object", str(error)))
