"""Digests, locks and atomic writes: every existing file is complete."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
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
FOR_ALL, FOR_OWNER = 0o644, 0o600  # who may read a file
STATE = ".tunegate"  # the project's folder of what runs leave, which is never committed
PART = ".part"  # suffix of a file being written
CLOSING = "\n}"  # end of an indented object
_ENCODER = json.JSONEncoder(indent=1, ensure_ascii=True, allow_nan=False)
_LINE = json.JSONEncoder(sort_keys=True, ensure_ascii=True, allow_nan=False)
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def canonical(value: Any) -> str:
    """Return `value` as canonical JSON: sorted keys, no spaces, ASCII, no NaN."""
    # Equal values give equal text on every machine, whatever the key order, white space and encoding.
    return _CANONICAL.encode(value)


def digest(value: Any) -> str:
    """Return the SHA-256 (hex) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical(value).encode("ascii")).hexdigest()


def file_digest(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """Return the SHA-256 (hex) of a regular file's bytes; `progress` receives the number of bytes of each read."""
    sha = hashlib.sha256()
    with os.fdopen(open_file(path), "rb") as stream:
        while block := stream.read(CHUNK):
            sha.update(block)
            if progress:
                progress(len(block))
    return sha.hexdigest()


def write_atomically(path: Path, text: str | Iterable[str], mode: int = FOR_ALL) -> None:
    """Write `text`, or its pieces: readers see the old file or the complete new one, even after a power cut.

    `mode` are the file's permissions. Raises CouldNotRun if the disk is full, the
    folder is not writable, or similar; the old file is then unchanged.
    """
    if path.exists() and not path.is_file():
        raise CouldNotRun(f"{show_path(path)}: expected a file to write, found a folder, a device or a pipe")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_unheld(path.parent.glob(f".{glob.escape(path.name)}.*{PART}"))
        with _part_of(path) as (handle, temporary):
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
                stream.writelines([text] if isinstance(text, str) else text)
                stream.flush()
                # flush the content before the rename: a power cut could otherwise leave an empty file
                os.fsync(stream.fileno())
            # mkstemp restricts reading to the owner, but baselines are for the whole team
            Path(temporary).chmod(mode)
            os.replace(temporary, path)
    except OSError as error:
        raise CouldNotRun(
            f"{show_path(path)}: it cannot be written ({error.strerror or error}) and is unchanged; fix that, then "
            "run the same command again"
        ) from error


@contextmanager
def _part_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the handle and the name of a temporary file next to `path`; it is deleted unless it is moved.

    It is next to `path` because a rename across file systems is not atomic. It is locked while its
    writer runs: see `remove_left`.
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
    """Create a file; return its handle, its name, and the holder of its lock (None if the system has no locks)."""
    while True:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
        if fcntl is None:
            return handle, temporary, None
        with suppress(OSError):  # some network folders have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle, temporary, os.dup(handle)
        os.close(handle)  # a cleanup took it before it was locked


def remove_left(folder: Path) -> None:
    """Delete temporary files that killed writers left below a folder; those of running writers stay.

    Without locks, on Windows, the two cannot be distinguished: all stay, and nothing reads them.
    """
    _remove_unheld(folder.rglob(f".*{PART}"))


def _remove_unheld(paths: Iterable[Path]) -> None:
    for path in paths if fcntl is not None else ():
        with suppress(OSError):  # a writer holds it or has just moved it
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(handle)


def check_writable(folder: Path) -> None:
    """Raise CouldNotRun for an unwritable folder before there is something to write."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise CouldNotRun(
            f"{show_path(folder)}: expected a writable folder, found none ({error.strerror}); "
            "fix that, then run the same command again"
        ) from error


def digest_in_parts(data: Mapping[str, Any]) -> str:
    """Return the `digest` of `data`, computed in parts: a large record as a whole takes too much memory."""
    sha = hashlib.sha256()
    for piece in _canonical_parts(data, levels=2):
        sha.update(piece.encode("ascii"))
    return sha.hexdigest()


def _canonical_parts(value: Any, levels: int) -> Iterator[str]:
    if not (levels and isinstance(value, Mapping) and all(isinstance(key, str) for key in value)):
        yield _CANONICAL.encode(value)
        return
    for index, key in enumerate(sorted(value)):
        yield ("," if index else "{") + f"{_CANONICAL.encode(key)}:"
        yield from _canonical_parts(value[key], levels - 1)
    yield "}" if value else "{}"


def stamped(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return `data` with its own digest, which detects edits and bad merges."""
    return {**data, "digest": digest_in_parts(data)}


def is_as_stamped(data: Mapping[str, Any]) -> bool:
    """Return whether `data` contains its own digest and is unchanged."""
    return bool(data.get("digest") == digest_in_parts({key: value for key, value in data.items() if key != "digest"}))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented, ASCII-escaped JSON, atomically."""
    # in pieces, since the text of a large record takes more memory than its data
    write_atomically(path, chain(_ENCODER.iterencode(value), "\n"))


def json_by_line(opening: str, name: str, items: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """Yield JSON in pieces: the indented object `opening`, with `name` as its last key and one item per line."""
    yield f"{opening.removesuffix(CLOSING)},\n {_LINE.encode(name)}: {{"
    for index, (key, value) in enumerate(items):
        yield f"{',' if index else ''}\n  {_LINE.encode(key)}: {_LINE.encode(value)}"
    yield "\n }\n}\n"


def json_text(value: Any) -> str:
    """Return the text that `write_json` writes."""
    return _ENCODER.encode(value) + "\n"


def text_digest(text: str) -> str:
    """Return the SHA-256 (hex) of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def same_file(path: Path, named: Iterable[tuple[str, Path]]) -> str:
    """Return the name of the first of `named` that is the file at `path`; empty if there is none."""
    here = os.path.realpath(path)
    return next((name for name, other in named if os.path.realpath(other) == here), "")


@contextmanager
def locked(path: Path, seconds: float = -1) -> Iterator[None]:
    """Hold the lock `<path>.lock` across processes; it is released when its holder dies.

    Raises TimeoutError if another process holds it for longer than `seconds`; a negative value
    waits without a limit.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock", timeout=seconds):
        yield


def state_folder(folder: Path) -> Path:
    """Make a folder, and have git ignore all of the `.tunegate` that it is in; return it.

    Raises:
        OSError, CouldNotRun: the place is not writable.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for top in (folder, *folder.parents):
        if top.name == STATE and not top.is_symlink() and not (top / ".gitignore").exists():
            write_atomically(top / ".gitignore", "*\n")
    return folder


@contextmanager
def working_folder(output: Path, doing: str) -> Iterator[Path]:
    """An empty folder beside an output, to be filled and moved there in one step; removed whatever happens.

    `doing` ends its name, so that a folder left by a killed run is found.
    """
    work = output.with_name(f".{output.name}.{doing}")
    with locked(work):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
