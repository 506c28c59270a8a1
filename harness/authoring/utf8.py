"""Read text files as UTF-8, with a clear error for other encodings."""

from __future__ import annotations

from pathlib import Path

from tunegate.harness.core.errors import AuthoringError, Unreadable
from tunegate.harness.core.reading import read_text

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
        raise AuthoringError([error.problem]) from error
