"""Typed values as JSON data, and back: one rule for all dataclasses that stand in files.

Reading is msgspec's, of what the strict reader gives (see reading.py) once it satisfies the published schema.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from msgspec import Meta, ValidationError, convert

from tunegate.harness.core.errors import Unreadable

#: Metadata of a field that is left out of a file while it has its default, and of one that stands in no file.
OPTIONAL: Mapping[str, str] = {"in a file": "unless it has its default"}
UNWRITTEN: Mapping[str, str] = {"in a file": "never"}
_ATOMS = frozenset({str, int, float, bool, type(None)})
_NO_DEFAULT = object()
Typed = TypeVar("Typed")

#: Numbers and texts of which a file holds only some.
Count = Annotated[int, Meta(ge=0)]
Number = Annotated[int, Meta(ge=1)]
Amount = Annotated[float, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


def as_data(value: Any) -> Any:
    """Return a value as JSON data: a dataclass as an object, a named tuple as a list without defaults at its end."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is tuple or kind is list:
        return [each if type(each) in _ATOMS else as_data(each) for each in value]
    if kind is dict:
        return {key: each if type(each) in _ATOMS else as_data(each) for key, each in value.items()}
    if is_dataclass(kind):
        return {
            name: each if type(each) in _ATOMS else as_data(each)  # most are: a call for each takes twice the time
            for name, default in _written(kind)
            if (each := getattr(value, name)) is not default and each != default
        }
    if isinstance(value, tuple):
        return as_data(_without_defaults(value))
    return as_data(dict(value)) if isinstance(value, Mapping) else value


@functools.cache
def _written(kind: type[Any]) -> list[tuple[str, Any]]:
    """Return the fields of a dataclass that stand in files, each with the value that is left out."""
    return [(each.name, _left_out(each)) for each in fields(kind) if each.metadata != UNWRITTEN]


def _left_out(field: Field[Any]) -> Any:
    if field.metadata != OPTIONAL:
        return _NO_DEFAULT
    return field.default if field.default_factory is MISSING else field.default_factory()


def _without_defaults(value: Any) -> tuple[Any, ...]:
    """Return a named tuple without the defaults at its end."""
    kept, defaults = list(value), list(value._field_defaults.values())
    while defaults and kept[-1] == defaults.pop():
        kept.pop()
    return tuple(kept)


def read_as(data: Any, kind: type[Typed], path: Path, what: str, line: int = 0) -> Typed:
    """Return the JSON data of the file at `path`, a `what`, as a value of a type; Unreadable if it is of another."""
    try:
        return convert(data, kind)
    except ValidationError as error:  # what a schema lets pass: 1.0 where an integer belongs
        raise Unreadable(path, what, str(error), line=line) from None
