"""The schema of some values is satisfied by each of them, and a prompt asks for it in words."""

from __future__ import annotations

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.begin.scaffold.infer import cell_values, is_prose, object_schema, render_schema, schema_of, typed

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(JSON, min_size=1, max_size=6))
def test_every_value_satisfies_the_schema_made_of_it(values):
    schema = schema_of(values)

    for value in values:
        jsonschema.validate(value, schema, jsonschema.Draft202012Validator)
    assert render_schema(schema)


def test_a_column_is_what_all_its_cells_are():
    for cells, values in [
        (["true", "FALSE"], [True, False]),
        (["1", "-20", "0"], [1, -20, 0]),
        (["1", "2.50"], [1.0, 2.5]),
        (["007", "12"], ["007", "12"]),
        (["1e5", "1"], ["1e5", "1"]),
        (["1,5", "2"], ["1,5", "2"]),
        (["yes", "no"], ["yes", "no"]),
        (["12345678901234567890"], ["12345678901234567890"]),
        (["nan", "inf"], ["nan", "inf"]),
    ]:
        assert typed(cells, len(cells)) == values
        assert [type(each) for each in typed(cells, len(cells))] == [type(each) for each in values]


def test_a_column_that_few_rows_fill_is_taken_for_numbers_only_where_they_are_enough():
    assert typed(["6"] * 49, 300) == ["6"] * 49
    assert typed(["6"] * 50, 300) == [6] * 50
    assert typed(["true"], 300) == [True]


def test_json_in_every_cell_is_its_value_and_in_some_of_them_it_is_text():
    assert cell_values(['{"a": 1}', "[2]"]) == [{"a": 1}, [2]]
    for cells in (['{"a": 1}', "none"], ['{"a": 1,}'], ["3"], ['{"a": 1, "a": 2}'], []):
        assert cell_values(cells) == cells


@pytest.mark.parametrize(("texts", "rows", "expected"), [
    (["b", "a"] * 3, 6, {"enum": ["a", "b"]}),
    (["b", "a"] * 25, 300, {"enum": ["a", "b"]}),
    (["b", "a"] * 24, 300, {"type": "string"}),  # filled in too few rows
    (["a"] * 40 + ["b"] * 2, 42, {"type": "string"}),  # b would be the answer of two cases
    (["x" * 61, "y"] * 3, 6, {"type": "string"}),
    (["x\n", "y"] * 3, 6, {"type": "string"}),
    ([f"order {number}" for number in range(101)] * 3, 303, {"type": "string"}),
    ([], 9, {"type": "string"}),
])  # fmt: skip
def test_texts_are_labels_where_they_repeat_as_labels_do(texts, rows, expected):
    assert schema_of(texts, rows) == expected


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=40))
def test_no_label_of_a_list_stands_in_fewer_than_three_rows(texts):
    labels = schema_of(texts).get("enum", [])

    assert all(texts.count(label) >= 3 for label in labels)


def test_a_key_that_some_lack_is_not_required():
    schema = object_schema([{"a": 1, "b": True}, {"a": 2.5}] * 3)

    assert schema["required"] == ["a"]
    assert schema["additionalProperties"] is False
    assert render_schema(schema) == '{"a": a number, "b": true|false (left out where there is none)}'


def test_where_a_key_is_rare_others_are_to_be_expected():
    assert "additionalProperties" not in object_schema([{"a": 1}] * 5 + [{"b": 1}])


def test_inner_objects_that_few_rows_hold_require_nothing():
    [rare, often] = [[{"parts": [{"n": 1}] * count}] + [{"parts": []}] * 299 for count in (2, 50)]

    inner = [object_schema(rows)["properties"]["parts"]["items"] for rows in (rare, often)]
    assert [each["required"] for each in inner] == [[], ["n"]]


def test_many_optional_keys_are_named_once():
    rows = [{"a": 1, "b": 1, "c": 1, "d": 1}, {"a": 1}] * 3

    said = render_schema(object_schema(rows))
    assert said.endswith('"d": a whole number} (all but "a" left out where there is none)')
    assert said.count("left out") == 1


def test_prose_is_what_no_two_people_write_alike():
    assert is_prose([f"Dear customer, your order number {number} will arrive by Friday noon." for number in range(30)])
    assert is_prose([f"line\n{number}" for number in range(30)])
    assert not is_prose(["billing", "repairs"] * 40)
    assert not is_prose([f"HH-{number}" for number in range(400)])
    assert not is_prose([1, 2, True])
