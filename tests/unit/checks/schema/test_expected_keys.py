from __future__ import annotations

import pytest

from tunegate.harness.checks.schema.expected_keys import unknown_keys

UNNAMED = "the schema does not name this key; "
NAME = "did you mean 'name'?"
PERSON = {"type": "object", "properties": {"name": {}, "age": {}}}


@pytest.mark.parametrize(
    ("schema", "expect", "told"),
    [
        (PERSON, {"nmae": "Ada"}, [f"expect.nmae: {UNNAMED}did you mean 'name'?"]),
        (PERSON, {"city": "Ulm"}, [f"expect.city: {UNNAMED}it names name, age"]),
        (PERSON, {"name": {"first": "Ada"}}, []),
        ({"properties": {"who": PERSON}}, {"who": {"aeg": 1}}, [f"expect.who.aeg: {UNNAMED}did you mean 'age'?"]),
        ({"type": "array", "items": PERSON}, [{"name": 1}, {"nam": 2}], [f"expect[1].nam: {UNNAMED}{NAME}"]),
        ({"$ref": "#/$defs/p", "$defs": {"p": PERSON}}, {"nam": 1}, [f"expect.nam: {UNNAMED}{NAME}"]),
        ({"anyOf": [PERSON, {"properties": {"firm": {}}}]}, {"firm": 1, "name": 2}, []),
        ({"then": PERSON, "else": {"properties": {"nom": {}}}}, {"nam": 1}, [f"expect.nam: {UNNAMED}{NAME}"]),
    ],
)  # fmt: skip
def test_a_key_that_the_schema_does_not_name_is_told(schema, expect, told):
    assert list(unknown_keys(schema, expect)) == told


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {**PERSON, "additionalProperties": {"type": "string"}},
        {**PERSON, "additionalProperties": True},
        {**PERSON, "patternProperties": {"^x-": {}}},
        {"$ref": "other.json#/x", "properties": {"name": {}}},
        {"$ref": "#/$defs/nowhere", "properties": {"name": {}}},
        {"$ref": "#anchor", "properties": {"name": {}}},
    ],
)
def test_where_keys_are_free_nothing_is_said(schema):
    assert list(unknown_keys(schema, {"nmae": "Ada"})) == []


def test_a_schema_that_refers_to_itself_ends():
    tree = {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}, "allOf": [{"$ref": "#/properties/left"}] * 3}

    assert next(unknown_keys(tree, {"left": {"rigth": {}}})).endswith("did you mean 'right'?")
