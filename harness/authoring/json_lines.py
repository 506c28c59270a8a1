"""JSONL files: one JSON object a line, each with its line number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tunegate.harness.authoring.document import Document
from tunegate.harness.core.errors import AuthoringError, Problem, Unreadable
from tunegate.harness.core.reading import NotJson, parse_json, read_text

MOST_MISTAKES = 100_000  # whoever has so many has named another file


def read_json_lines(path: Path, what: str, problems: list[Problem]) -> Iterator[Document]:
    """The lines of a file that hold JSON, one document each; those that do not are added to `problems`.

    Args:
        path: the file, UTF-8; empty lines are passed over.
        what: what it holds, for the message where there is none.
        problems: takes the lines that are not JSON, and whatever else is wrong with lines.

    Raises:
        AuthoringError: there is no such file, it cannot be read, or there are `MOST_MISTAKES` already.
    """
    try:
        # an order mark at the start is some editor's
        text = read_text(path, f"a JSONL file of {what}").removeprefix("\ufeff")
    except Unreadable as error:
        raise AuthoringError([error.problem]) from error
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines would split at U+2028
        if len(problems) >= MOST_MISTAKES:
            found = f"{len(problems):,} mistakes in the lines before, as far as it was read"
            raise AuthoringError([Problem(path, number, "", f"a file of {what}", found), *problems])
        if line.strip():
            try:
                yield Document(path, parse_json(line), {(): number})
            except NotJson as error:
                problems.append(Problem(path, number, "", "one JSON object", str(error)))
