"""The quick validator accepts no answer in which the validator finds anything, and most of the others."""

from __future__ import annotations

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from tunegate.harness.checks.schema.dialects import DRAFTS
from tunegate.harness.checks.schema.quick_validator import quick_validator
from tunegate.harness.checks.schema.validator import MAX_VALUES, violations

KINDS = ("object", "array", "string", "number", "integer", "boolean", "null")
NUMBERS = st.sampled_from([0, 1, 2, -1, 0.5, 1.0, 2**70, 1e308])
LEAVES = st.none() | st.booleans() | NUMBERS | st.sampled_from(["", "a", "b", "aa", "1", "true"])
NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)
COUNTS = st.integers(0, 3)


def keywords(inner):
    schemas = st.lists(inner, min_size=1, max_size=2)
    return st.fixed_dictionaries({}, optional={
        "title": st.just("a title"),
        "type": st.sampled_from(KINDS) | st.lists(st.sampled_from(KINDS), min_size=1, max_size=3, unique=True),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "required": st.lists(NAMES, max_size=2, unique=True),
        "properties": st.dictionaries(NAMES, inner, max_size=2),
        "additionalProperties": st.booleans() | inner,
        "items": inner,
        "anyOf": schemas,
        "allOf": schemas,
        **dict.fromkeys(["minItems", "maxItems", "minLength", "maxLength"], COUNTS),
        **dict.fromkeys(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"], NUMBERS),
    })  # fmt: skip


SCHEMAS = st.recursive(keywords(st.just(True)), keywords, max_leaves=5)
ORDER = {
    "type": "object", "required": ["kind", "count"], "additionalProperties": False,
    "properties": {"kind": {"enum": ["new", "old"]}, "count": {"type": "integer", "minimum": 1}},
}  # fmt: skip


@given(SCHEMAS, st.sampled_from([*DRAFTS, None]), VALUES)
@example({"type": "integer"}, "http://json-schema.org/draft-04/schema", 1.0)
@example({"enum": [1]}, None, True)
@example({"enum": ["true", 1.0]}, None, 1)
@example({"properties": {"a": {"minLength": 1}}, "additionalProperties": {"type": "null"}}, None, {"a": "", "b": None})
def test_what_it_accepts_the_validator_finds_nothing_in(schema, draft, value):
    whole = schema | ({"$schema": draft} if draft else {})
    accepts, found = quick_validator(whole), list(violations(whole, value))

    if accepts and accepts(value):
        event("accepted")
        assert found == []
    elif accepts and not found:
        event("valid, and left to the validator")


@pytest.mark.parametrize(
    ("value", "accepted"),
    [({"kind": "new", "count": 2}, True), ({"kind": "new"}, False), ({"kind": "new", "count": 0}, False),
     ({"kind": "new", "count": 1, "more": 1}, False), ({"kind": "odd", "count": 1}, False), ([], False)],
)  # fmt: skip
def test_an_answer_is_accepted_as_soon_as_all_is_in_order(value, accepted):
    assert quick_validator(ORDER)(value) is accepted


@pytest.mark.parametrize(
    "more",
    [{"pattern": "a"}, {"format": "date"}, {"$ref": "#"}, {"$id": "x"}, {"oneOf": [{}]}, {"patternProperties": {}},
     {"prefixItems": [{}]}, {"items": [{}]}, {"uniqueItems": True}, {"const": 1}, {"not": {}}, {"x-own": 1},
     {"minimum": 1, "exclusiveMinimum": True}, {"properties": {"a": {"$schema": next(iter(DRAFTS))}}}],
)  # fmt: skip
def test_what_is_more_than_plain_is_left_to_the_validator(more):
    assert quick_validator(more) is None
    assert quick_validator({"properties": {"a": {"items": more}}}) is None


def test_a_schema_too_deep_or_an_answer_too_large_is_left_to_the_validator():
    deep = {"type": "array"}
    for _ in range(60):
        deep = {"items": deep}
    assert quick_validator(deep) is None

    accepts = quick_validator({"type": "array"})
    assert accepts([1] * (MAX_VALUES - 1))
    assert not accepts([1] * MAX_VALUES)
    wide = quick_validator({"allOf": [{"type": "array"}] * 100})
    assert wide([1] * 100)
    assert not wide([1] * 1_000)
