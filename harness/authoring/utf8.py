"""Text files as people save them: UTF-8, or told where they are not."""

from __future__ import annotations

from pathlib import Path

from tunegate.harness.core.errors import AuthoringError, Unreadable
from tunegate.harness.core.reading import read_text

MOST_BYTES = 1 << 26  # 64 MB; a fixture file of 10,000 cases is a tenth of it


def read_utf8(path: Path, what: str = "a file") -> str:
    """The text of a file, every line ended as on Unix; an order mark stays.

    Raises:
        AuthoringError: no such file (`what` was expected), one that cannot be read, or the line of the first byte that
            is not UTF-8.
    """
    try:
        return read_text(path, what, MOST_BYTES)
    except Unreadable as error:
        raise AuthoringError([error.problem]) from error
