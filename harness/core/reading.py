"""Reading of foreign files: regular files only, of limited size, without waiting.

A record, a baseline, a manifest or a configuration may come from anywhere. Its path may be a pipe without a writer,
an endless device, a circular link, or invalid JSON. Each is refused by name.
"""

from __future__ import annotations

import errno
import functools
import json
import math
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

from tunegate.harness.core.errors import Unreadable
from tunegate.harness.core.escaping import HALF

MOST_BYTES = 1 << 29  # per file; a record of 10,000 long outputs has a tenth of it
MOST_SETTINGS = 1 << 24  # per settings file
MOST_LEVELS = 100  # of nesting, as in YAML
MOST_DIGITS = 300  # per number; floats end there too
SHOWN_DIGITS = 100  # of a number to search for in the text: a pattern of a million digits takes seconds
MOST_MISTAKES = 3  # reported per file that violates its schema
MOST_SHOWN = 200  # characters per mistake
CHUNK = 1 << 20
#: Non-blocking, not inherited and (on Windows) binary, where the system supports it.
READ_ONLY = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))

KINDS: Mapping[int, str] = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
TROUBLE: Mapping[int, str] = {
    errno.ELOOP: "a circular link",
    errno.ENAMETOOLONG: "a name that is too long",
    errno.ENOTDIR: "a path through a file",
    errno.EACCES: "one that may not be read (permission denied)",
    errno.EPERM: "one that may not be read (permission denied)",
    errno.ENXIO: "a socket",
}
UTF16 = (b"\xff\xfe", b"\xfe\xff")


def open_file(path: Path, what: str = "a file") -> int:
    """Open the regular file at `path` and return its descriptor, without waiting; Unreadable if there is none."""
    try:
        _check_kind(path, what, path.stat().st_mode)  # before opening: opening a device may have effects
        handle = os.open(path, READ_ONLY)
    except FileNotFoundError:
        found = f"a broken link to {path.readlink()}" if path.is_symlink() else "nothing there"
        raise Unreadable(path, what, found, is_missing=True) from None
    except ValueError:  # a null character
        raise Unreadable(path, what, "a name that is invalid for files") from None
    except OSError as error:
        raise Unreadable(path, what, _trouble(error)) from error
    try:
        _check_kind(path, what, os.fstat(handle).st_mode)  # again: it may have been replaced
    except Unreadable:
        os.close(handle)
        raise
    return handle


def _check_kind(path: Path, what: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        found = KINDS.get(stat.S_IFMT(mode), "not a regular file")
        hint = "" if stat.S_ISDIR(mode) else "write it to a file first"
        raise Unreadable(path, what, found, hint)


def _trouble(error: OSError) -> str:
    return TROUBLE.get(error.errno or 0, f"one that cannot be read ({error.strerror or error})")


def read_bytes(path: Path, what: str = "a file", most: int = MOST_BYTES) -> bytes:
    """Read a regular file; Unreadable if there is none, or it has more than `most` bytes."""
    handle = open_file(path, what)
    try:
        size, pieces = os.fstat(handle).st_size, []
        left = most + 1
        while size <= most and left and (piece := os.read(handle, min(CHUNK, left))):
            pieces.append(piece)
            left -= len(piece)
    except OSError as error:
        raise Unreadable(path, what, _trouble(error)) from error
    finally:
        os.close(handle)
    if size > most or not left:
        raise Unreadable(path, what, f"one of more than {most:,} bytes", "larger files are not read")
    return b"".join(pieces)


def read_text(path: Path, what: str = "a file", most: int = MOST_BYTES) -> str:
    """Read UTF-8 text, with Unix line breaks; Unreadable as in `read_bytes`, or with the line that is not UTF-8."""
    content = read_bytes(path, what, most)
    try:
        return content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        hint = "save the file as UTF-8"
        if content.startswith(UTF16):
            raise Unreadable(path, "UTF-8 text", "UTF-16, which some Windows editors write", hint, 1) from None
        found = f"the byte 0x{content[error.start]:02x}, which is not UTF-8"
        raise Unreadable(path, "UTF-8 text", found, hint, content.count(b"\n", 0, error.start) + 1) from None


def read_json(path: Path, what: str = "JSON", schema: Mapping[str, Any] | None = None, most: int = MOST_BYTES) -> Any:
    """Read a JSON file; Unreadable if it is not strict JSON (see `parse_json`), or violates the schema."""
    text = read_text(path, what, most).removeprefix("\ufeff")  # as some editors write
    try:
        value = parse_json(text)
    except NotJson as error:
        raise Unreadable(path, what, str(error), line=error.line) from None
    if schema is not None and (mistakes := schema_mistakes(value, schema)):
        raise Unreadable(path, what, "; ".join(mistakes))
    return value


def read_object(
    path: Path, what: str = "a JSON object", schema: Mapping[str, Any] | None = None, most: int = MOST_BYTES
) -> dict[str, Any]:
    """Read a JSON file that contains an object; see `read_json`."""
    value = read_json(path, what, schema, most)
    if not isinstance(value, dict):
        raise Unreadable(path, what, f"{_json_type(value)}, not an object")
    return value


def _json_type(value: Any) -> str:
    kinds = {list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


class NotJson(ValueError):
    """A text is not JSON: `found` describes the mistake; `line` counts from 1, 0 if unknown."""

    def __init__(self, found: str, line: int = 0) -> None:
        super().__init__(found)
        self.line = line


def parse_json(text: str) -> Any:
    """Parse strict JSON; NotJson names the mistake.

    Python's parser accepts more: NaN, infinity, duplicate keys, lone surrogates, numbers of any
    length, any nesting.
    """
    value = _decoded(text, _DECODER)
    if half := _half_character(text, value):
        raise NotJson(f"half a character (the surrogate {half})")
    return value


def parse_foreign_json(text: str) -> Any:
    """JSON as other programs write it: NaN, Infinity and half a character are values; the rest as in `parse_json`."""
    return _decoded(text, _FOREIGN)


def _decoded(text: str, decoder: json.JSONDecoder) -> Any:
    try:
        value = decoder.decode(text)
    except json.JSONDecodeError as error:
        at_end = ", where the text ends" if decoder is _FOREIGN and not text[error.pos :].strip() else ""
        raise NotJson(f"a mistake in column {error.colno} ({error.msg}{at_end})", error.lineno) from None
    except _Flaw as flaw:
        raise NotJson(str(flaw), _line_of(text, flaw.token)) from None
    except RecursionError:
        raise NotJson(TOO_DEEP) from None
    if _is_too_deep(value):
        raise NotJson(TOO_DEEP)
    return value


TOO_DEEP = f"more than {MOST_LEVELS} levels of nesting"
_ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")


class _Flaw(Exception):
    """Raised inside the decoder; `token` is a pattern for the mistake in the text."""

    def __init__(self, found: str, token: str) -> None:
        super().__init__(found)
        self.token = token


def _each_key_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    # a bad merge leaves two lines for one case; Python's parser silently uses the last
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        if len(twice) > SHOWN_DIGITS:  # only its start: see `SHOWN_DIGITS`
            raise _Flaw(f"the key {twice[:SHOWN_DIGITS]!r}... twice", re.escape(json.dumps(twice[:SHOWN_DIGITS])[:-1]))
        raise _Flaw(f"the key {twice!r} twice", rf"{re.escape(json.dumps(twice))}\s*:")
    return found


def _not_a_number(name: str) -> NoReturn:
    raise _Flaw(f"{name}, which is not a number", rf"(?<![\w\"]){name}\b")


def _whole(digits: str) -> int:
    count = len(digits.removeprefix("-"))
    if count > MOST_DIGITS:
        raise _Flaw(f"a number of {count:,} digits", rf"{re.escape(digits[:SHOWN_DIGITS])}[\d.eE+-]*")
    return int(digits)


def _decimal(digits: str) -> float:
    value = float(digits)
    if len(digits) > MOST_DIGITS or not math.isfinite(value):
        short = digits if len(digits) <= MOST_DIGITS else f"of {len(digits):,} digits"
        raise _Flaw(
            f"a number that is too large or too long ({short})", rf"{re.escape(digits[:SHOWN_DIGITS])}[\d.eE+-]*"
        )
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_each_key_once, parse_constant=_not_a_number, parse_int=_whole, parse_float=_decimal
)
_FOREIGN = json.JSONDecoder(object_pairs_hook=_each_key_once, parse_int=_whole)


def _line_of(text: str, token: str) -> int:
    """Return the line of a token (the second of two), 0 if there are more and it is ambiguous."""
    places = [seen.start() for _, seen in zip(range(3), re.finditer(token, text), strict=False)]
    return text.count("\n", 0, places[-1]) + 1 if 0 < len(places) < 3 else 0


def _is_too_deep(value: Any) -> bool:
    level, depth = [value], 0
    while level := [each for each in level if isinstance(each, (dict, list))]:
        depth += 1
        if depth > MOST_LEVELS:
            return True
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    return False


def _half_character(text: str, value: Any) -> str:
    """Return the first lone surrogate in a value; pairs are already combined."""
    if not _ESCAPED_HALF.search(text) and not HALF.search(text):
        return ""
    half = HALF.search(json.dumps(value, ensure_ascii=False))
    return f"U+{ord(half[0]):04X}" if half else ""


def schema_mistakes(value: Any, schema: Mapping[str, Any], most: int = MOST_MISTAKES) -> list[str]:
    """Return the first few schema violations of a value; empty if it is valid."""
    return mistake_finder(schema)(value, most)


def mistake_finder(schema: Mapping[str, Any]) -> Callable[[Any, int], list[str]]:
    """Return `schema_mistakes` for one schema and many values: compiling a schema takes as long as validating."""
    quick, slow = _validators(json.dumps(schema))

    def mistakes(value: Any, most: int) -> list[str]:
        if quick(value):
            return []
        errors = islice(slow(value), most)
        return [f"{error.json_path[:MOST_SHOWN]}: {error.message[:MOST_SHOWN]}" for error in errors]

    return mistakes


@functools.lru_cache(maxsize=64)
def _validators(schema: str) -> tuple[Callable[[Any], bool], Callable[[Any], Any]]:
    """Return a validity test, and a forty times slower function that lists the errors."""
    import jsonschema_rs
    from jsonschema import Draft202012Validator

    quick, slow = jsonschema_rs.Draft202012Validator(json.loads(schema)), Draft202012Validator(json.loads(schema))

    def is_valid(value: Any) -> bool:
        with suppress(ValueError):
            return bool(quick.is_valid(value))
        return False

    return is_valid, slow.iter_errors
