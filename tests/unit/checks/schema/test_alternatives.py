"""Keys of an expectation that only resemble `any_of`: what was meant is named where nothing can match."""

from __future__ import annotations

import pytest

from tunegate.harness.checks.schema.alternatives import resembles_any_of
from tunegate.harness.checks.schema.expected_keys import unknown_keys
from tunegate.harness.checks.schema.lint import impossible
from tunegate.harness.checks.schema.validator import Validator

SPELT = ["anyof", "AnyOf", "anyOf", "any-of", "any of", "anyoff", "ayn_of", "one_of", "oneOf", "allof", "all_of", "or"]
VALUES = ["boiler", "radiator"]
SCALARS = [
    {"enum": VALUES}, {"const": "boiler"}, {"type": "string"}, {"type": ["string", "null"], "enum": [*VALUES, None]},
    {"$ref": "#/$defs/product"}, {"allOf": [{"enum": VALUES}]}, {"type": "boolean"},
]  # fmt: skip


def said(schema, expect):
    whole = {"type": "object", "properties": {"product": schema}, "$defs": {"product": {"enum": VALUES}}}
    return [*(each.message for each in impossible(Validator(whole), expect)), *unknown_keys(whole, expect)]


@pytest.mark.parametrize("key", SPELT)
def test_a_spelling_of_any_of_is_recognised(key):
    assert resembles_any_of(key)
    [message] = said({"enum": VALUES}, {"product": {key: VALUES}})
    assert message.endswith(f"{key!r} is not known here; did you mean 'any_of'?")


@pytest.mark.parametrize("key", ["any_of", "product", "note", "company_of", "many", "kind_of", "info", 1, None])
def test_other_keys_are_not(key):
    assert not resembles_any_of(key)


@pytest.mark.parametrize("schema", SCALARS)
def test_where_only_texts_and_numbers_fit_no_object_does(schema):
    for message in (found := said(schema, {"product": {"one_of": VALUES}})):
        assert message.startswith("no output can match it: ")
        assert "did you mean 'any_of'?" in message
    others = said(schema, {"product": {"name": "boiler"}})
    assert len(others) == len(found) > 0
    assert not any("any_of" in each for each in others)


def test_a_key_beside_any_of_is_named():
    [message] = said({"enum": VALUES}, {"product": {"any_of": VALUES, "note": "both are sold"}})
    assert message.endswith("'any_of' lists alternatives only as the single key: delete the others, or move them")


def test_inside_lists_and_for_keys_that_an_object_does_not_allow():
    items = {"type": "array", "items": {"enum": VALUES}}
    closed = {"type": "object", "properties": {"name": {}}, "additionalProperties": False}
    for schema, value in ((items, [{"oneof": VALUES}]), (closed, {"oneof": VALUES})):
        assert "did you mean 'any_of'?" in said(schema, {"product": value})[0]
    open_keys = {"type": "object", "properties": {"name": {}}}
    [message] = said(open_keys, {"product": {"oneof": VALUES}})
    assert message == "expect.product.oneof: the schema does not name this key; " \
        "'oneof' is not known here; did you mean 'any_of'?"  # fmt: skip


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {"enum": [{"anyOf": VALUES, "kind": "schema"}]},
        {"const": {"anyOf": VALUES}},
        {"type": "object", "properties": {"anyOf": {"type": "array"}}},
        {"type": "object", "additionalProperties": {"type": "array"}},
        {"type": ["object", "string"]},
    ],
)
def test_where_an_output_can_hold_such_a_key_nothing_is_said(schema):
    """A task may answer with JSON Schemas."""
    assert said(schema, {"product": {"anyOf": VALUES}}) == []


def test_the_values_of_one_branch_decide_nothing():
    either = {"anyOf": [{"enum": VALUES}, {"type": "object"}]}
    assert said(either, {"product": {"anyOf": VALUES}}) == []
