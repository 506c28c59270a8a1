from __future__ import annotations

import json

from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.checks.base import HasConstraint
from tunegate.harness.checks.schema.check import constraint_of


def held(schema: dict) -> dict:
    return json.loads(constraint_of(schema, "answer.json").schema)


def test_what_no_grammar_can_remember_is_left_to_the_check():
    items = {"type": "array", "uniqueItems": True, "items": {"enum": ["a", "b"]}}
    assert held({"properties": {"parts": items}, "anyOf": [items]}) == {
        "properties": {"parts": {"type": "array", "items": {"enum": ["a", "b"]}}},
        "anyOf": [{"type": "array", "items": {"enum": ["a", "b"]}}],
    }


def test_a_property_and_a_value_of_that_name_stay():
    schema = {"properties": {"uniqueItems": {"const": {"uniqueItems": True}}}, "required": ["uniqueItems"]}
    assert held(schema) == schema


def test_formats_that_the_check_takes_for_annotations_are_none_for_a_grammar_either():
    made_up, date = {"type": "string", "format": "url"}, {"type": "string", "format": "date"}
    assert held({"properties": {"a": made_up, "b": date}})["properties"] == {"a": {"type": "string"}, "b": date}


def test_settings_of_the_library_do_not_loosen_the_grammar():
    assert held({"type": "object", "x-guidance": {"lenient": True}}) == {"type": "object"}


def test_keys_keep_their_order_and_the_schema_is_not_changed():
    schema = {"properties": {"z": {"type": "array", "uniqueItems": True}, "a": {}}, "type": "object"}
    before = json.dumps(schema)
    assert list(held(schema)["properties"]) == ["z", "a"]
    assert json.dumps(schema) == before


def test_a_check_names_the_file_of_its_schema(tmp_path):
    write_unit(tmp_path, ["a"])
    write_unit(tmp_path, ["a"], "inline", check={"schema": {"type": "object"}})
    checks = {unit.name: unit.cases[0].check for unit in load_tasks(tmp_path)[0].units}
    assert all(isinstance(check, HasConstraint) for check in checks.values())
    assert checks["triage"].constraint.file.endswith("desk/refs/product.schema.json")
    assert checks["inline"].constraint.file.endswith("desk/inline.yaml")
    assert checks["inline"].constraint.schema == '{"type": "object"}'
