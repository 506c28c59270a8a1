"""Text files as people save them: UTF-8, or told where they are not."""

from __future__ import annotations

import codecs
from pathlib import Path

from tunegate.harness.core.errors import AuthoringError, Problem

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_utf8(path: Path) -> str:
    """The text of a file, every line ended as on Unix; an order mark stays.

    Raises:
        AuthoringError: no such file, one that cannot be read, or the line of the first byte that is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise AuthoringError([Problem(path, 1, "", "a file", _nothing(path))]) from None
    except UnicodeDecodeError as error:
        line, byte = error.object[: error.start].count(b"\n") + 1, error.object[error.start]
        hint = "save the file with the encoding UTF-8"
        found = f"the byte 0x{byte:02x}, which is something else"
        if error.object.startswith(_UTF16):
            line, found = 1, "UTF-16, as some editors of Windows save it"
        raise AuthoringError([Problem(path, line, "", "UTF-8 text", found, hint)]) from error
    except OSError as error:
        raise AuthoringError([Problem(path, 1, "", "a file that can be read", error.strerror or str(error))]) from error


def _nothing(path: Path) -> str:
    """What stands at a path where no file can be read: a link is there, and what it names is not."""
    return f"a link to {path.readlink()}, where nothing is" if path.is_symlink() else "nothing there"
