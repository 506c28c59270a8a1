"""Files as nobody should leave them: every kind of thing that is no file, and every text that is no JSON of ours."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

Make = Callable[[Path], object]


def _write(content: bytes) -> Make:
    return lambda path: path.write_bytes(content)


def _listen(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


def _circle(path: Path) -> None:
    other = path.with_name(f"{path.name}.other")
    path.symlink_to(other)
    other.symlink_to(path)


def _sparse(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(2 << 30)  # weights may be as long: they are read by pieces, at the speed of a digest


#: What stands at the path instead of a regular file.
NO_FILES: Mapping[str, Make] = {
    "nothing": lambda path: None,
    "a folder": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),  # when it is called: Windows has none
    "a socket": _listen,
    "a device without end": lambda path: path.symlink_to("/dev/zero"),
    "a device that is empty": lambda path: path.symlink_to("/dev/null"),
    "a terminal": lambda path: path.symlink_to("/dev/tty"),
    "a link to itself": lambda path: path.symlink_to(path),
    "links in a circle": _circle,
    "a link to nothing": lambda path: path.symlink_to("gone"),
    "a link to a pipe": lambda path: (os.mkfifo(path.with_name("pipe")), path.symlink_to("pipe")),
    "a file of 2 GB": _sparse,
    "a file of the kernel that waits": lambda path: path.symlink_to("/proc/kmsg"),
}

#: Bytes that are no JSON that may pass.
NO_JSON: Mapping[str, Make] = {
    name: _write(content)
    for name, content in {
        "an empty file": b"",
        "white space": b" \n\t\n ",
        "null bytes": b"\x00" * 4096,
        "noise": bytes(range(256)) * 16,
        "UTF-16": '{"a": 1}'.encode("utf-16"),
        "Latin-1": b'{"a": "caf\xe9"}',
        "half a character, raw": b'{"a": "\xed\xa0\x80"}',
        "half a character, escaped": b'{"a": "\\ud800"}',
        "a word": b"hello",
        "a brace": b"{",
        "a text without end": b'{"a": "' + b"x" * 100_000,
        "brackets": b"[" * 200_000,
        "brackets, closed": b"[" * 200_000 + b"]" * 200_000,
        "objects, deep": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        "a hundred and one levels": b"[" * 101 + b"]" * 101,
        "a number of a million digits": b'{"a": ' + b"9" * 1_000_000 + b"}",
        "a fraction of a million digits": b'{"a": 0.' + b"9" * 1_000_000 + b"}",
        "a number too large": b'{"a": 1e999}',
        "NaN": b'{"a": NaN}',
        "minus infinity": b'{"a": [-Infinity]}',
        "a key twice": b'{"a": 1, "a": 2}',
        "two values": b"{} {}",
        "a merge conflict": b'<<<<<<< HEAD\n{"a": 1}\n=======\n{"a": 2}\n>>>>>>> theirs\n',
        "a pickle": b"\x80\x04K\x01.",
        "a control character in a text": b'{"a": "\x01"}',
        "a list": b"[]",
        "a text": b'"text"',
        "a number": b"7",
        "null": b"null",
        "an object of others": b'{"unexpected": true}',
    }.items()
}
