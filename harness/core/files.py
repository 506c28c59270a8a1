"""Digests, locks and atomic writes: a file that exists is complete."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

from filelock import FileLock

CHUNK = 1 << 20


def canonical(value: Any) -> str:
    """`value` as canonical JSON: sorted keys, no spaces, ASCII, NaN refused."""
    # One text for one value on every machine: key order, white space and encoding must not make another digest.
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical(value).encode("ascii")).hexdigest()


def file_digest(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """SHA-256 (hex) of a file's bytes; `progress` is called with each number of bytes read."""
    sha = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(CHUNK):
            sha.update(block)
            if progress:
                progress(len(block))
    return sha.hexdigest()


def write_atomically(path: Path, text: str | Iterable[str]) -> None:
    """Write `text`, or its pieces: a reader sees the old file or the whole new one, also after a kill or power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # beside the file, for a rename across file systems is no single move
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.writelines([text] if isinstance(text, str) else text)
            stream.flush()
            # the bytes before the name: after a power cut the new name may else stand on an empty file
            os.fsync(stream.fileno())
        # mkstemp lets nobody but its owner read, and baselines are for the whole team
        Path(temporary).chmod(0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def parse_json(text: str) -> Any:
    """JSON with each key once and no NaN or Infinity, which Python's own reader takes and JSON does not know.

    Raises:
        ValueError: names what is wrong.
        RecursionError: it nests without end.
    """
    return json.loads(text, object_pairs_hook=_each_key_once, parse_constant=_not_a_number)


def _each_key_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    # a bad merge leaves two lines for one case, of which Python's reader silently takes the last
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {twice!r} twice")
    return found


def _not_a_number(name: str) -> NoReturn:
    raise ValueError(f"{name}, which is no number")


def stamped(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data` with its own digest, against edits and bad merges: numbers that nobody measured must not pass for some."""
    return {**data, "digest": digest(data)}


def is_as_stamped(data: Mapping[str, Any]) -> bool:
    """Whether `data` holds its own digest, and nothing changed since."""
    return bool(data.get("digest") == digest({key: value for key, value in data.items() if key != "digest"}))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented, ASCII-escaped JSON, atomically."""
    pieces = json.JSONEncoder(indent=1, ensure_ascii=True, allow_nan=False).iterencode(value)
    write_atomically(path, chain(pieces, "\n"))  # in pieces: those of a large record take more memory than its data


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock `<path>.lock` across processes; it is released when its holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        yield
