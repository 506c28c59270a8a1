"""Typed values as JSON data: what is written of a field, and what is read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pytest

from tunegate.harness.core.errors import Unreadable
from tunegate.harness.core.typed import OPTIONAL, UNWRITTEN, as_data, read_as


class Pair(NamedTuple):
    left: int
    right: int = 0
    more: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    note: str = field(default="", metadata=OPTIONAL)
    hidden: str = field(default="", metadata=UNWRITTEN)


@dataclass(frozen=True)
class Whole:
    score: float | None
    count: int | None = field(default=None, metadata=OPTIONAL)
    parts: tuple[Part, ...] = ()
    pairs: Mapping[str, Pair] = field(default_factory=dict, metadata=OPTIONAL)


@pytest.mark.parametrize(("value", "data"), [
    (Whole(None), {"score": None, "parts": []}),
    (Whole(0.5, count=0), {"score": 0.5, "count": 0, "parts": []}),  # 0 is a value
    (Whole(1.0, parts=(Part("a", hidden="x"), Part("b", "c"))),
     {"score": 1.0, "parts": [{"name": "a"}, {"name": "b", "note": "c"}]}),
    (Whole(1.0, pairs=MappingProxyType({"a": Pair(1), "b": Pair(0, 2), "c": Pair(1, 0, ("x",))})),
     {"score": 1.0, "parts": [], "pairs": {"a": [1], "b": [0, 2], "c": [1, 0, ["x"]]}}),
    ({"a": [True, "b", (1, None)]}, {"a": [True, "b", [1, None]]}),
])  # fmt: skip
def test_a_field_is_written_unless_it_says_otherwise(value, data):
    assert as_data(value) == data


def test_what_is_written_is_what_is_read():
    whole = Whole(0.5, 3, (Part("a", "b"), Part("c")), {"x": Pair(1, 2), "y": Pair(1, 2, ("z",))})
    assert read_as(as_data(whole), Whole, Path("a.json"), "a whole") == whole


@pytest.mark.parametrize(("data", "found"), [
    ({"score": "1"}, r"Expected `float \| null`, got `str` - at `\$\.score`"),
    ({"score": 1.0, "count": 2.0}, r"Expected `int \| null`, got `float`"),
    ({}, "Object missing required field `score`"),
    ([], "Expected `object`, got `array`"),
    ({"score": 1.0, "pairs": {"a": [1, 2, [], 4]}}, "Expected `array` of length 1 to 3, got 4"),
])  # fmt: skip
def test_another_type_is_refused_with_its_place(data, found):
    with pytest.raises(Unreadable, match=rf"a\.json: expected a whole, found {found}"):
        read_as(data, Whole, Path("a.json"), "a whole")
