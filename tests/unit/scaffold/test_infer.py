"""The schema of some values is satisfied by each of them, and a prompt asks for it in words."""

from __future__ import annotations

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.scaffold.infer import is_prose, object_schema, render_schema, schema_of, typed

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
        assert typed(cells) == values
        assert [type(each) for each in typed(cells)] == [type(each) for each in values]


def test_few_texts_are_labels_and_many_are_not():
    assert schema_of(["b", "a", "b"]) == {"enum": ["a", "b"]}
    assert schema_of([f"order {number}" for number in range(50)]) == {"type": "string"}
    assert schema_of(["x" * 61, "y"]) == {"type": "string"}


def test_a_key_that_some_lack_is_not_required_and_no_other_is_allowed():
    schema = object_schema([{"a": 1, "b": True}, {"a": 2.5}])

    assert schema["required"] == ["a"]
    assert schema["additionalProperties"] is False
    assert render_schema(schema) == '{"a": a number, "b": true|false (left out where there is none)}'


def test_prose_is_what_no_two_people_write_alike():
    assert is_prose([f"Dear customer, your order number {number} will arrive by Friday noon." for number in range(30)])
    assert is_prose([f"line\n{number}" for number in range(30)])
    assert not is_prose(["billing", "repairs"] * 40)
    assert not is_prose([f"HH-{number}" for number in range(400)])
    assert not is_prose([1, 2, True])
