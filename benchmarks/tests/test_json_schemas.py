from __future__ import annotations

import json
import pickle
import sqlite3

import pytest

from benchmarks.json_schemas import measured, schemas
from benchmarks.schema_examples import examples
from tunegate.harness.core.progress import quiet

GOOD = {"type": "object", "properties": {"a": {"type": "string", "format": "int32"}}, "required": ["a"]}


@pytest.fixture
def folder(tmp_path):
    files = {
        "one/good.json": GOOD,
        "one/again.json": GOOD,
        "one/away.json": {"properties": {"a": {"$ref": "other.json"}}},
        "two/bad.json": {"properties": {"a": {"type": "strin"}}},
        "two/settings.json": {"$schema": "https://example.org/settings.json", "colour": "red"},
        "two/list.json": [1],
    }
    for name, value in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(value))
    (tmp_path / "two/broken.json").write_text("{")
    return tmp_path


class Harmful:
    """Unpickling it would fail the test."""

    def __reduce__(self):
        return pytest.fail, ("it was unpickled",)


def test_schemas_are_told_from_other_json_and_counted_once(folder):
    assert [(each.source, each.name) for each in schemas(folder)] == [
        ("one", "again.json"), ("one", "away.json"), ("two", "bad.json")
    ]  # fmt: skip


def test_a_cache_is_read_without_unpickling(tmp_path):
    (tmp_path / "store").mkdir()
    kept = {"_content": json.dumps(GOOD).encode(), "url": "https://example.org/a", "more": Harmful()}
    with sqlite3.connect(tmp_path / "store/cache.sqlite") as database:
        database.execute("create table responses (key text, value blob)")
        database.execute("insert into responses values (?, ?)", ("k", pickle.dumps(kept)))

    (found,) = schemas(tmp_path)

    assert (found.name, found.schema) == ("https://example.org/a", GOOD)


def test_what_became_of_each_is_counted(folder):
    tallies = measured(folder, quiet())

    one, two = tallies["one"], tallies["two"]
    assert (one.judged, one.warned, one.refused.total(), one.raised) == (1, 1, 1, [])
    assert dict(one.agreed) == {"accepted": 1, "refused": 1}
    assert (two.judged, two.refused.total()) == (0, 1)
    assert two.examples == {"its own draft does not allow it": 'bad.json: "strin"'}


def test_a_value_is_made_from_a_schema():
    schema = {
        "properties": {"a": {"$ref": "#/$defs/a~1b"}, "b": {"type": "array", "items": {"enum": [2]}}, "c": True},
        "$defs": {"a/b": {"type": "integer", "minimum": 3}},
        "default": {},
    }

    assert examples(schema) == [{}, {"a": 3, "b": [2], "c": "text"}]
