"""The count is never below what is evaluated, and small answers need none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.checks.schema.references import References
from tunegate.harness.checks.schema.steps import MAX_VALUES, Steps, TooMuch, size_of

NODE = {"$defs": {"n": {"anyOf": [{"type": "null"}, {"properties": {"c": {"$ref": "#/$defs/n"}}, "required": ["c"]}]}},
        "$ref": "#/$defs/n"}  # fmt: skip
JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


def steps(schema):
    return Steps(References(schema), has_heavy=False)


def chain(length):
    value = None
    for _ in range(length):
        value = {"c": value}
    return value


@given(JSON)
def test_the_size_is_that_of_all_that_stands_in_a_value(value):
    def counted(each):
        inner = each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
        sizes = [counted(one) for one in inner]
        return 1 + sum(size[0] for size in sizes), 1 + max((size[1] for size in sizes), default=0)

    assert tuple(size_of(value))[:2] == counted(value)


def test_a_value_too_large_is_not_looked_through():
    assert size_of([1] * 10**6).values == 10**6 + 1
    assert size_of([[1] * MAX_VALUES, [[1] * 10**6]]).values < 10**6


@pytest.mark.parametrize(
    ("schema", "value", "least"),
    [
        ({"type": "string"}, "a", 1),
        ({"properties": {"a": {"type": "null"}}}, {"b": 1}, 1),
        ({"items": {"allOf": [{"type": "null"}] * 9}}, [1] * 100, 900),
        ({"additionalProperties": {"enum": list(range(100))}}, {str(each): each for each in range(50)}, 500),
        ({"dependentSchemas": {"a": {"type": "object"}}, "propertyNames": {"maxLength": 1}}, {"a": 1, "b": 1}, 4),
        ({"prefixItems": [{"type": "null"}], "contains": {"const": 1}, "unevaluatedItems": False}, [1, 2, 3], 10),
        ({"$defs": {"a": {"allOf": [{"type": "null"}] * 50}}, "allOf": [{"$ref": "#/$defs/a"}] * 50}, 1, 2_500),
        (NODE, chain(30), 100),
    ],
    ids=str,
)  # fmt: skip
def test_the_count_is_of_all_that_may_be_evaluated(schema, value, least):
    cost = steps(schema).count(value)

    assert least <= cost.steps <= 20 * least
    assert cost.reported >= cost.errors >= 1


def test_what_comes_back_to_itself_is_remembered_and_told_as_often_as_it_is_reached():
    doubled = {"$defs": {"n": {"allOf": [{"properties": {"c": {"$ref": "#/$defs/n"}}}] * 2}}, "$ref": "#/$defs/n"}
    cost = steps(doubled).count(chain(40))

    assert cost.steps < 2_000
    assert cost.reported > 2**40


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"items": {"allOf": [{"type": "null"} for _ in range(600)]}}, list(range(300))),
        ({"$defs": {f"n{each}": {"allOf": [{"$ref": f"#/$defs/n{each + 1}"}]} for each in range(700)} | {"n700": {}},
          "$ref": "#/$defs/n0"}, 1),
    ],
)  # fmt: skip
def test_beyond_what_can_be_counted_it_is_too_much(schema, value):
    with pytest.raises(TooMuch):
        steps(schema).count(value)


def test_small_answers_need_no_count():
    assert steps(NODE).decide_quickly(size_of(chain(60)))
    assert not steps(NODE).report_quickly(size_of(chain(60)))
    assert steps({"items": {"type": "null"}}).report_quickly(size_of([1] * 100))
    assert not steps({"items": {"type": "null"}}).report_quickly(size_of([1] * 9_000))
    assert not steps({"pattern": "a"}).decide_quickly(size_of("a" * 100_001))


@pytest.mark.parametrize(
    ("reference", "places"),
    [
        ("#", [(), ("$defs", "b")]),
        ("#/$defs/a", [("$defs", "a")]),
        ("#/allOf/0", [("allOf", 0)]),
        ("#/allOf/1", []),
        ("#/x/with~1slash", [("x", "with/slash")]),
        ("#k", [("$defs", "a")]),
        ("b", [("$defs", "b")]),
        ("https://y.org/b#/items", [("$defs", "b", "items")]),
        ("#none", []),
        (5, []),
    ],
)
def test_a_reference_leads_to_all_that_it_may_mean(reference, places):
    schema = {
        "$id": "https://x.org/whole", "$defs": {"a": {"$anchor": "k"}, "b": {"$id": "b", "items": {}}},
        "allOf": [{}], "x": {"with/slash": {}},
    }  # fmt: skip

    assert [where for where, _ in References(schema).targets(reference)] == places
