"""Digests, locks and atomic writes: a file that exists is complete."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

from filelock import FileLock

from tunegate.harness.core.errors import CouldNotRun, show_path
from tunegate.harness.core.reading import open_file

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
CHUNK = 1 << 20
PART = ".part"  # the end of the name of a file that is being written
CLOSING = "\n}"  # of an object that is indented
_ENCODER = json.JSONEncoder(indent=1, ensure_ascii=True, allow_nan=False)
_LINE = json.JSONEncoder(sort_keys=True, ensure_ascii=True, allow_nan=False)
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def canonical(value: Any) -> str:
    """`value` as canonical JSON: sorted keys, no spaces, ASCII, NaN refused."""
    # One text for one value on every machine: key order, white space and encoding must not make another digest.
    return _CANONICAL.encode(value)


def digest(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical(value).encode("ascii")).hexdigest()


def file_digest(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """SHA-256 (hex) of a file's bytes; `progress` is called with each number of bytes read.

    Raises:
        Unreadable: there is no regular file.
    """
    sha = hashlib.sha256()
    with os.fdopen(open_file(path), "rb") as stream:
        while block := stream.read(CHUNK):
            sha.update(block)
            if progress:
                progress(len(block))
    return sha.hexdigest()


def write_atomically(path: Path, text: str | Iterable[str]) -> None:
    """Write `text`, or its pieces: a reader sees the old file or the whole new one, also after a kill or power cut.

    Raises:
        CouldNotRun: the disk is full, the folder may not be written, or the like; the old file is as it was.
    """
    if path.exists() and not path.is_file():
        raise CouldNotRun(f"{show_path(path)}: expected a file to write, found a folder, a device or a pipe")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _part_of(path) as (handle, temporary):
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
                stream.writelines([text] if isinstance(text, str) else text)
                stream.flush()
                # the bytes before the name: after a power cut the new name may else stand on an empty file
                os.fsync(stream.fileno())
            # mkstemp lets nobody but its owner read, and baselines are for the whole team
            Path(temporary).chmod(0o644)
            os.replace(temporary, path)
    except OSError as error:
        raise CouldNotRun(
            f"{show_path(path)}: it cannot be written ({error.strerror or error}) and is as it was; mend that, then "
            "run the same command again"
        ) from error


@contextmanager
def _part_of(path: Path) -> Iterator[tuple[int, str]]:
    """A file beside `path` to write first, open and by its name; where it is not moved there it is deleted.

    Beside it, for a rename across file systems is no single move. It is locked while its writer lives: see
    `remove_left`.
    """
    handle, temporary, lock = _locked_part(path)
    try:
        yield handle, temporary
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    finally:
        if lock is not None:
            os.close(lock)


def _locked_part(path: Path) -> tuple[int, str, int | None]:
    """A new file, open, its name, and what holds its lock; None where there are no such locks."""
    while True:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
        if fcntl is None:
            return handle, temporary, None
        with suppress(OSError):  # some network's folder knows no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle, temporary, os.dup(handle)
        os.close(handle)  # who cleans up took it before it was locked


def remove_left(folder: Path) -> None:
    """Delete the parts of files that killed writers left below a folder; what a live process writes stays.

    Without locks, on Windows, nobody knows which is which: all stay, and nothing reads them.
    """
    for path in folder.rglob(f".*{PART}") if fcntl is not None else ():
        with suppress(OSError):  # a writer holds it, or has just moved it
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(handle)


def check_writable(folder: Path) -> None:
    """Refuse a folder in which no file could be written, before there is something to write.

    Raises:
        CouldNotRun: it, or the folder that it would be made in, may not be written, or is none.
    """
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise CouldNotRun(
            f"{show_path(folder)}: expected a folder in which files can be written, found none ({error.strerror}); "
            "mend that, then run the same command again"
        ) from error


def digest_in_parts(data: Mapping[str, Any]) -> str:
    """`digest` of `data`, a part of a part at a time: all of a large record at once takes much memory."""
    sha = hashlib.sha256()
    for piece in _canonical_parts(data, levels=2):
        sha.update(piece.encode("ascii"))
    return sha.hexdigest()


def _canonical_parts(value: Any, levels: int) -> Iterator[str]:
    if not (levels and isinstance(value, Mapping) and all(isinstance(key, str) for key in value)):
        yield _CANONICAL.encode(value)
        return
    for index, key in enumerate(sorted(value)):
        yield f"{',' if index else '{'}{_CANONICAL.encode(key)}:"
        yield from _canonical_parts(value[key], levels - 1)
    yield "}" if value else "{}"


def stamped(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data` with its own digest, against edits and bad merges: numbers that nobody measured must not pass for some."""
    return {**data, "digest": digest_in_parts(data)}


def is_as_stamped(data: Mapping[str, Any]) -> bool:
    """Whether `data` holds its own digest, and nothing changed since."""
    return bool(data.get("digest") == digest_in_parts({key: value for key, value in data.items() if key != "digest"}))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented, ASCII-escaped JSON, atomically."""
    # in pieces: those of a large record take more memory than its data
    write_atomically(path, chain(_ENCODER.iterencode(value), "\n"))


def json_by_line(opening: str, name: str, items: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """JSON in pieces: the object whose indented text is `opening`, and as its last part `name` an item a line."""
    yield f"{opening.removesuffix(CLOSING)},\n {_LINE.encode(name)}: {{"
    for index, (key, value) in enumerate(items):
        yield f"{',' if index else ''}\n  {_LINE.encode(key)}: {_LINE.encode(value)}"
    yield "\n }\n}\n"


def json_text(value: Any) -> str:
    """The text that `write_json` writes."""
    return _ENCODER.encode(value) + "\n"


def text_digest(text: str) -> str:
    """SHA-256 (hex) of a text as it is written."""
    return hashlib.sha256(text.encode()).hexdigest()


def same_file(path: Path, named: Iterable[tuple[str, Path]]) -> str:
    """The name of the first of `named` that is the very file at `path`; empty where none is."""
    here = os.path.realpath(path)
    return next((name for name, other in named if os.path.realpath(other) == here), "")


@contextmanager
def locked(path: Path, seconds: float = -1) -> Iterator[None]:
    """Hold the lock `<path>.lock` across processes; it is released when its holder dies.

    Raises:
        TimeoutError: another process held it for so many `seconds`; without a number it is waited for.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock", timeout=seconds):
        yield
