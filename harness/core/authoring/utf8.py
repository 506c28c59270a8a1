"""Read text files as UTF-8, with a clear error for other encodings."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import islice
from pathlib import Path

from tunegate.harness.core.authoring.validation import did_you_mean
from tunegate.harness.core.errors import AuthoringError, Unreadable
from tunegate.harness.core.reading import read_text

MOST_BESIDE = 1000  # files of a folder that are looked through
MOST_BYTES = 1 << 26  # 64 MB; a fixture file of 10,000 cases has a tenth of that


def read_utf8(path: Path, what: str = "a file", most: int = MOST_BYTES) -> str:
    """Read a file with Unix line endings; a byte order mark is kept.

    Raises:
        AuthoringError: no such file (`what` was expected), an unreadable file, or the line of the first byte that
                is not UTF-8.
    """
    try:
        return read_text(path, what, most)
    except Unreadable as error:
        raise unread(path, error) from error


def unread(path: Path, error: Unreadable) -> AuthoringError:
    """The error of a file that people write; of one that is missing, with the file beside it that may be meant."""
    hint = near_file(path) if error.is_missing and not path.is_symlink() else error.problem.hint
    return AuthoringError([replace(error.problem, hint=hint)])


def near_file(path: Path, but: Collection[Path] = ()) -> str:
    """A hint with the file beside a path, other than those of `but`, whose name resembles it; empty without any."""
    beside = (each.name for each in path.parent.glob("*") if each not in but)
    return did_you_mean(path.name, islice(beside, MOST_BESIDE))
