from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_specifications import REGISTRY

from tunegate.harness.authoring.document import Document
from tunegate.harness.checks.schema.check import mismatches
from tunegate.harness.checks.schema.json_reader import json_path
from tunegate.harness.checks.schema.lint import KEYWORDS, impossible, schema_typos
from tunegate.harness.checks.schema.validator import violations

ORDER = {
    "type": "object",
    "additionalProperties": False,
    "required": ["items", "method"],
    "properties": {
        "items": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/item"}},
        "method": {"enum": ["collect", "deliver"]},
        "note": {"type": "string", "maxLength": 10},
    },
    "$defs": {"item": {"type": "object", "required": ["part"], "properties": {"part": {"type": "string"},
              "quantity": {"type": "integer", "minimum": 1}}}},
}  # fmt: skip


def told(schema, written=None, folder=Path()):
    document = Document(folder / "a.yaml", {}, {("check", "schema"): 3})
    return [str(warning) for warning in schema_typos(schema, written or schema, document, ("check", "schema"))]


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("requried", "required"), ("addtionalProperties", "additionalProperties"), ("propertes", "properties"),
     ("enums", "enum"), ("minimun", "minimum"), ("$reff", "$ref"), ("itmes", "items")],
)  # fmt: skip
def test_a_misspelt_keyword_is_told(wrong, meant):
    (said,) = told({"properties": {"a": {wrong: 1}}})

    assert said == (
        f"a.yaml:3: warning: {json_path(('check', 'schema', 'properties', 'a', wrong))}: {wrong!r} is no keyword of "
        f"JSON Schema and checks nothing; did you mean {meant!r}?"
    )


def test_names_of_properties_values_and_own_keywords_are_no_typos():
    properties = {"requried": {}, "itmes": {"enum": [{"typ": 1}]}}

    assert told({"properties": properties, "x-owner": "us", "default": {"tpye": 1}}) == []


def test_a_typo_in_a_file_is_told_with_its_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.schema.json").write_text('{\n  "type": "object",\n  "requried": []\n}\n')

    (said,) = told({"type": "object", "requried": []}, "a.schema.json", tmp_path)

    assert said.startswith("a.schema.json:3: warning: requried: ")


def test_every_keyword_of_every_draft_is_known():
    drafts = [REGISTRY[uri].contents for uri in REGISTRY if "draft-03" not in uri]
    found = {key for draft in drafts for key in draft.get("properties", {})}

    assert len(found) > 60
    assert found - KEYWORDS == set()


@pytest.mark.parametrize(
    ("expect", "where", "said"),
    [
        ({"method": "colect"}, ("method",), 'should be one of "collect", "deliver", is "colect"'),
        ({"items": [{"quantity": "2"}]}, ("items", 0, "quantity"), 'should be a whole number, is "2"'),
        ({"items": [{"quantity": 0}]}, ("items", 0, "quantity"), "0 is less than the minimum of 1"),
        ({"items": []}, ("items",), ""),
        ({"methd": "collect"}, ("methd",), ""),
        ("collect", (), 'should be an object, is "collect"'),
    ],
)
def test_what_no_answer_can_match_is_told(expect, where, said):
    (slip,) = impossible(ORDER, expect)

    assert slip.where == where
    assert said in slip.message


@pytest.mark.parametrize(
    "expect", [{}, {"method": "collect"}, {"items": [{}]}, {"items": [{"quantity": 2}]}, {"note": "hi"}]
)
def test_what_an_answer_may_complete_is_not(expect):
    assert list(impossible(ORDER, expect)) == []


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": [{"a": 1, "b": 2}]},
        {"const": {"a": 1, "b": 2}},
        {"anyOf": [{"required": ["b"]}, {"properties": {"a": {"const": 2}}}]},
        {"if": {"required": ["b"]}, "else": {"properties": {"a": {"const": 2}}}},
        {"minProperties": 2},
        {"not": {"maxProperties": 1}},
    ],
)
def test_what_depends_on_the_rest_of_the_answer_is_not(schema):
    assert list(impossible(schema, {"a": 1})) == []


ITEMS = st.fixed_dictionaries({}, optional={"part": st.sampled_from(["pump", 1]), "quantity": st.integers(-1, 2)})
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "items": st.lists(ITEMS, max_size=2),
        "method": st.sampled_from(["collect", "post"]),
        "note": st.sampled_from(["hi", "much too long"]),
        "more": st.none(),
    },
)


@given(expect=VALUES, answer=VALUES)
def test_an_answer_that_passes_never_matches_what_is_impossible(expect, answer):
    passes = not list(violations(ORDER, answer)) and not list(mismatches(expect, answer))

    assert not (passes and list(impossible(ORDER, expect)))
