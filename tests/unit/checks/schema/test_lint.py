from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_specifications import REGISTRY

from tunegate.harness.checks.schema.grading import Grader
from tunegate.harness.checks.schema.lint import KEYWORDS, impossible
from tunegate.harness.checks.schema.schema_fields import schema_fields
from tunegate.harness.checks.schema.schema_file import read_schema
from tunegate.harness.checks.schema.validator import Validator
from tunegate.harness.core.authoring.document import Document

D7 = "http://json-schema.org/draft-07/schema#"
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
JUDGE = Validator(ORDER)


def told(schema):
    """What lint says of a schema that stands on line 3 of a fixture file."""
    document = Document(Path("a.yaml"), {}, {("check", "schema"): 3})
    return [str(warning) for warning in read_schema(schema, document, ("check", "schema")).warnings]


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("requried", "required"), ("addtionalProperties", "additionalProperties"), ("propertes", "properties"),
     ("enums", "enum"), ("minimun", "minimum"), ("$reff", "$ref"), ("itmes", "items")],
)  # fmt: skip
def test_a_misspelt_keyword_is_told(wrong, meant):
    (said,) = told({"properties": {"a": {wrong: 1}}})

    assert said == (
        f"a.yaml:3: warning: check.schema.properties.a.{wrong}: {wrong!r} is not a JSON Schema keyword and checks "
        f"nothing; did you mean {meant!r}?"
    )


def test_names_of_properties_values_and_own_keywords_are_no_typos():
    properties = {"requried": {}, "itmes": {"enum": [{"typ": 1}]}}

    assert told({"properties": properties, "x-owner": "us", "x-title": "T", "default": {"tpye": 1}}) == []


@pytest.mark.parametrize(("name", "indent", "line"), [("a.json", "  ", 3), ("a.json", "\t", 1), ("a.yaml", "  ", 3)])
def test_what_is_said_of_a_file_names_its_line(tmp_path, monkeypatch, name, indent, line):
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(f'{{\n{indent}"type": "string",\n{indent}"format": "dat-time", "requried": []\n}}\n')

    typo, form = read_schema(name, Document(tmp_path / "fixture.yaml", {}, {}), ("check", "schema")).warnings

    assert str(typo).startswith(f"{name}:{line}: warning: requried: ")
    assert str(form) == (
        f'{name}:{line}: warning: format: "dat-time" is not a JSON Schema format, so it is an annotation and not '
        'checked; did you mean "date-time"?'
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [("dat-time", 'did you mean "date-time"?'), ("datetime", 'did you mean "date-time"?'),
     ("Email", 'did you mean "email"?'), ("url", 'did you mean "uri"?'), ("guid", 'did you mean "uuid"?'),
     ("double", "use a pattern or bounds"), ("decimal", "use a pattern or bounds"),
     ("", "use a pattern or bounds"), ("AWS::VPC.Id", "use a pattern or bounds")],
)  # fmt: skip
def test_an_unknown_format_is_an_annotation_and_told(name, hint):
    (said,) = told({"properties": {"a": {"format": name}}})

    assert said == (
        f'a.yaml:3: warning: check.schema.properties.a.format: "{name}" is not a JSON Schema format, so it is an '
        f"annotation and not checked; {hint}"
    )


def test_each_unknown_format_is_told_once_with_its_number():
    named = {"a": {"format": "double"}, "b": {"format": "double"}, "c": {"format": "url"}, "d": {"$ref": "#/x/a"}}
    url, wide = sorted(told({"properties": named, "x": {"a": {"format": "double"}}}), key=lambda said: "double" in said)

    assert wide.endswith("bounds (3 times in this schema)")
    assert '"url" is not a JSON Schema format' in url


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "integer", "format": "date"}, 'it is a format of texts, and the type here is "integer"'),
        ({"type": "string", "format": "int32"}, 'it is a format of numbers, and the type here is "string"'),
        ({"type": ["object", "null"], "format": "uri"}, 'the type here is ["object", "null"]'),
        ({"$schema": D7, "definitions": {"a": {}}, "properties": {"b": {"$ref": "#/definitions/a", "format": "date"}}},
         "in draft 7 keywords beside a $ref are ignored; put both into an allOf"),
    ],
)  # fmt: skip
def test_a_known_format_that_checks_nothing_is_told(schema, why):
    (said,) = told(schema)

    assert "is not checked: " in said
    assert said.endswith(why)


@pytest.mark.parametrize(
    "schema",
    [
        {"format": "date"},
        {"type": "string", "format": "uri"},
        {"type": ["string", "null"], "format": "date"},
        {"type": ["integer", "null"], "format": "int64"},
        {"format": "int32"},
        {"$defs": {"a": {}}, "$ref": "#/$defs/a", "format": "date"},
        {"properties": {"format": {"const": {"format": "int32"}}}, "default": {"format": "url"}},
    ],
)
def test_a_format_that_is_asserted_and_what_is_none_are_not_told(schema):
    assert told(schema) == []


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
    (slip,) = impossible(JUDGE, expect)

    assert slip.where == where
    assert said in slip.message


@pytest.mark.parametrize(
    "expect", [{}, {"method": "collect"}, {"items": [{}]}, {"items": [{"quantity": 2}]}, {"note": "hi"}]
)
def test_what_an_answer_may_complete_is_not(expect):
    assert list(impossible(JUDGE, expect)) == []


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
    assert list(impossible(Validator(schema), {"a": 1})) == []


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
    leaves = Grader({}, schema_fields(ORDER)).grade(expect, answer)
    passes = not list(JUDGE.violations(answer)) and all(leaf.right for leaf in leaves)

    assert not (passes and list(impossible(JUDGE, expect)))
