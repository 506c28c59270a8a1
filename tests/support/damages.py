"""Damages of the files of models and adapters: by their bytes, and by their data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

Damage = Callable[[Path], object]

TEXTS: Mapping[str, bytes] = {
    "empty": b"", "null": b"null", "a list": b"[]", "a list of lists": b"[[1], [2]]", "an object": b"{}",
    "a text": b'"text"', "a number": b"1e9", "one byte": b"{", "garbage": bytes(range(256)) * 40,
    "zeros": bytes(4096), "UTF-16": '{"a": 1}'.encode("utf-16"), "not JSON": b"{{{{ % }} {% for",
    "a key twice": b'{"a": 1, "a": 2}', "deep": b"[" * 5000 + b"]" * 5000, "a number without end": b'{"a": NaN}',
}  # fmt: skip
VALUES: tuple[Any, ...] = (None, [], {}, "x", -1, 0, 1.5, 10**12, True, [None], [[]], {"x": None}, "\x00")
GONE = object()


def of_bytes() -> Iterator[tuple[str, Damage]]:
    """Another text in a file's place, a part of it, or no file at all."""
    for name, text in TEXTS.items():
        yield name, partial(_write, text=text)
    for part in (0.25, 0.5, 0.99):
        yield f"cut at {part}", partial(_cut, part=part)
    yield "missing", lambda path: path.unlink()
    yield "a folder", _make_folder
    yield "a link to nothing", _make_link


def of_data(path: Path, below: tuple[str, ...] = ()) -> Iterator[tuple[str, Damage]]:
    """Each value of an object in a JSON file changed to one of another type, or deleted."""
    inside = json.loads(path.read_bytes())
    for key in below:
        inside = inside[key]
    for key in inside:
        for value in (*VALUES, GONE):
            name = ".".join([*below, f"{key}={'GONE' if value is GONE else json.dumps(value)}"])
            yield name, partial(_put, where=(*below, key), value=value)


def _write(path: Path, text: bytes) -> None:
    path.write_bytes(text)


def _cut(path: Path, part: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])


def _make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _make_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def _put(path: Path, where: tuple[str, ...], value: Any) -> None:
    data = json.loads(path.read_bytes())
    inside = data
    for key in where[:-1]:
        inside = inside[key]
    if value is GONE:
        del inside[where[-1]]
    else:
        inside[where[-1]] = value
    path.write_text(json.dumps(data))
