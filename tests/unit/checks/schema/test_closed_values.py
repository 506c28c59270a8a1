"""Which fields have a closed set of values, and which of them a case expects."""

from __future__ import annotations

import pytest

from tunegate.harness.checks.schema.check import SchemaCheck
from tunegate.harness.checks.schema.schema_fields import schema_fields

COLOUR = {"enum": ["red", "blue"]}


def of(schema):
    return schema_fields({"type": "object", "properties": {"field": schema}, "$defs": {"colour": COLOUR}}).closed_sets


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        (COLOUR, {'"red"', '"blue"'}),
        ({"type": "string", **COLOUR}, {'"red"', '"blue"'}),
        ({"type": "boolean"}, {"true", "false"}),
        ({"type": ["boolean", "null"]}, {"true", "false", "null"}),
        ({"const": 1}, {"1"}),
        ({"oneOf": [{"const": "a"}, {"const": "b"}]}, {'"a"', '"b"'}),
        ({"anyOf": [COLOUR, {"type": "null"}]}, {'"red"', '"blue"', "null"}),
        ({"$ref": "#/$defs/colour"}, {'"red"', '"blue"'}),
    ],
)
def test_a_closed_set(schema, values):
    assert of(schema) == {"field": values}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {},
        {"anyOf": [COLOUR, {"type": "string"}]},
        {"type": ["boolean", "string"]},
        {"type": "string", "if": {"minLength": 3}, "then": {"const": "red"}},
        {"$ref": "https://example.org/elsewhere"},
        {"enum": []},
    ],
)
def test_what_is_none(schema):
    assert of(schema) == {}


def test_what_a_case_expects():
    schema = {
        "type": "object",
        "properties": {
            "urgent": {"type": "boolean"},
            "note": {"type": "string"},
            "items": {"type": "array", "items": {"type": "object", "properties": {"colour": COLOUR}}},
        },
    }
    items = [{"colour": "red"}, {"colour": {"any_of": ["red", "blue"]}}, {"colour": "green"}]
    expect = {"urgent": True, "note": "red", "items": items}

    assert SchemaCheck(schema).closed_values(expect) == (
        ("urgent", "true", True), ("items[].colour", '"red"', True), ("items[].colour", '"red"', False),
        ("items[].colour", '"blue"', False),
    )  # fmt: skip
    ignored = SchemaCheck(schema, options={"fields": {"urgent": {"ignore": True}, "items": {"ignore": True}}})
    assert ignored.closed_values(expect) == ()
    assert SchemaCheck(schema).closed_values(None) == ()
