"""Which draft judges which part of a schema, and what is said where a `$schema` inside it means little."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tunegate.harness.checks.schema.check import load
from tunegate.harness.checks.schema.dialects import DRAFTS
from tunegate.harness.core.authoring.document import Document
from tunegate.harness.core.errors import AuthoringError

D4, D6, D7, D2019, D2020 = DRAFTS
S7 = "https://json-schema.org/draft-07/schema"
OWN = "http://example.org/own-dialect"


def make(schema):
    return load({"schema": schema}, Document(Path("a.yaml"), {}, {}), ())


def passes(check, value):
    return check(json.dumps(value), None, "").score == 1.0


def said(check):
    return [warning.text for warning in check.warnings]


@pytest.mark.parametrize("inner", [D4, D4 + "#", D7, D2020, OWN, "nothing at all"])
@pytest.mark.parametrize("outer", [D4, D6, D7, D2019, D2020])
def test_a_schema_inside_without_an_identifier_is_of_the_draft_around_it(outer, inner):
    check = make({"$schema": outer, "properties": {"a": {"$schema": inner, "required": ["b"], "pattern": "^(x|xx)+$"}}})

    assert passes(check, {"a": {"b": 1}})
    assert not passes(check, {"a": {}})
    (text,) = said(check)
    assert text.startswith("schema.properties.a.$schema: this $schema is ignored, and draft ")


def test_a_draft_inside_that_would_not_allow_what_stands_there_is_ignored_too():
    check = make({"$schema": D7, "properties": {"a": {"$schema": D4, "properties": {"b": False}}}})

    assert not passes(check, {"a": {"b": 1}})


@pytest.mark.parametrize(
    ("outer", "inner", "good", "bad"),
    [
        (D2020, {"$id": "b", "$schema": D7, "items": [{"type": "string"}], "additionalItems": False}, ["x"], ["x", 1]),
        (D2019, {"$id": "b", "$schema": D2020, "prefixItems": [{"type": "string"}], "items": False}, ["x"], ["x", 1]),
        (D2020, {"$id": "b", "$schema": D6, "if": {"type": "string"}, "then": False, "type": "string"}, "x", 1),
        (D7, {"$id": "b", "$schema": D2019, "dependentRequired": {"x": ["y"]}}, {"y": 1}, {"x": 1}),
        (D2020, {"$id": "b", "$schema": S7, "items": [True], "additionalItems": False}, [1], [1, 2]),
        (D4, {"id": "b", "$id": "b", "$schema": D7, "const": 1}, 1, 2),
    ],
)  # fmt: skip
def test_a_resource_of_its_own_is_judged_by_its_own_draft(outer, inner, good, bad):
    for schema in ({"properties": {"a": inner}}, {"definitions": {"d": inner}, "properties": {"a": {"$ref": "b"}}}):
        check = make({"$schema": outer, **schema})

        assert passes(check, {"a": good})
        assert not passes(check, {"a": bad})
        (text,) = said(check)
        assert "$schema: from here on draft " in text


def test_references_go_from_one_draft_into_the_other_and_back():
    old = {
        "$id": "http://x.org/old", "$schema": D7, "definitions": {"pair": {"items": [True], "additionalItems": False}},
        "properties": {"back": {"$ref": "http://x.org/new#/$defs/pair"}, "own": {"$ref": "#/definitions/pair"}},
    }  # fmt: skip
    check = make({
        "$id": "http://x.org/new", "$defs": {"old": old, "pair": {"prefixItems": [True], "items": False}},
        "properties": {"old": {"$ref": "old"}, "into": {"$ref": "#/$defs/old/definitions/pair"}},
    })  # fmt: skip

    assert passes(check, {"old": {"back": [1], "own": [1]}, "into": [1]})
    assert not passes(check, {"old": {"back": [1, 2]}})
    assert not passes(check, {"old": {"own": [1, 2]}})
    assert not passes(check, {"into": [1, 2]})


def test_each_resource_is_held_against_its_own_draft_only():
    inner = {"id": "b", "$id": "b", "$schema": D4, "minimum": 1, "exclusiveMinimum": True}
    assert passes(make({"properties": {"a": inner}}), {"a": 2})
    assert not passes(make({"properties": {"a": inner}}), {"a": 1})

    with pytest.raises(AuthoringError) as caught:
        make({"properties": {"a": {"id": "b", "$id": "b", "$schema": D4, "properties": {"c": True}}}})
    (problem,) = caught.value.problems
    assert problem.where == "schema.properties.a.properties.c"
    assert problem.expected == "a valid JSON Schema (draft 4)"


@pytest.mark.parametrize(
    "inner",
    [
        {"$id": "b", "$schema": D2020, "type": "null"},
        {"const": {"$schema": D4}},
        {"properties": {"$schema": {"type": "string"}}},
        {"default": {"$schema": D4}, "examples": [{"$id": "x", "$schema": 5}]},
    ],
)
def test_the_same_draft_again_and_what_is_no_keyword_are_not_told(inner):
    check = make({"properties": {"a": inner}})

    assert said(check) == []
    assert passes(check, {})


def test_a_draft_is_known_with_http_and_with_https():
    check = make({"$schema": S7 + "#", "items": [{"type": "null"}], "additionalItems": False})

    assert passes(check, [None])
    assert not passes(check, [None, None])
    assert said(check) == [
        'schema.$schema: "https://json-schema.org/draft-07/schema#" is read as draft 7, and other tools may not; write '
        "http://json-schema.org/draft-07/schema"
    ]


def test_a_repeated_schema_inside_is_told_once():
    check = make({"properties": {name: {"$schema": D2020, "type": "null"} for name in "abc"}})

    (text,) = said(check)
    assert text.endswith("(3 times in this schema)")


@pytest.mark.parametrize("keyword", ["$anchor", "$id", "$schema"])
def test_a_schema_of_many_names_is_read_and_judged_in_bounded_time(keyword):
    numbers = range(600)
    named = {
        "$anchor": lambda number: {"$anchor": f"n{number}", "type": "string"},
        "$id": lambda number: {"$id": f"https://x.example/n{number}", "type": "string"},
        "$schema": lambda number: {"$id": f"https://x.example/n{number}", "$schema": D7, "type": "string"},
    }[keyword]
    prefix = "#" if keyword == "$anchor" else "https://x.example/"
    started = time.process_time()

    check = make({
        "$defs": {f"d{number}": named(number) for number in numbers},
        "properties": {f"p{number}": {"$ref": f"{prefix}n{number}"} for number in numbers},
    })  # fmt: skip
    assert passes(check, {f"p{number}": "x" for number in numbers})
    assert not passes(check, {"p599": 1})

    assert time.process_time() - started < 3
