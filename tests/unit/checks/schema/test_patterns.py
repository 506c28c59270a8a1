"""What a pattern means where jsonschema-rs alone would read it otherwise, and where Python would."""

from __future__ import annotations

import pytest

from tunegate.harness.checks.schema.patterns import for_library, is_heavy
from tunegate.harness.checks.schema.validator import violations


@pytest.mark.parametrize(
    ("pattern", "found", "not_found"),
    [
        (r"^\d$", "1", "\u0661"),
        (r"^\w$", "a", "\xe9"),
        (r"^\s$", "\ufeff", "\x85"),
        (r"\bb\b", "\xe9b", "ab"),
        (r"a\Bb", "ab", "a b"),
        (r"^[\\b]\b$", "b", "a"),
        ("^a$", "a", "a\n"),
        ("^.$", "\x85", "\u2028"),
        (r"^[\p{L}-]+$", "\xe9t\xe9-", "1"),
        (r"^\u{1F600}+$", "\U0001f600", "\U0001f601"),
        ("^[a-z&&[b]]$", "&]", "b"),
        ("^[[a-z]]$", "[]", "[a]]"),
        (r"^[\w-.]+$", "a-.", "/"),
        (r"^\w-$", "a-", "a"),
        ("^a{e}]{2}$", "a{e}]]", "a{e}]"),
        ("^.{0,1000000}$", "aa", "a\n"),
        ("(?<!a)b(?=c)(?!cd)", "xbc", "abc"),
        ("(?<=\\d{2})b", "12b", "1b"),
        (r"^(?<x>a|b)\1$", "bb", "ba"),
    ],
)
def test_a_pattern_means_what_ecmascript_means(pattern, found, not_found):
    for keyword in ({"pattern": pattern}, {"propertyNames": {"pattern": pattern}, "minProperties": 1}):
        schema = {"properties": {"a": keyword}}
        held = [text if "pattern" in keyword else {text: 1} for text in (found, not_found)]
        assert [not list(violations(schema, {"a": value})) for value in held] == [True, False]


def test_borders_in_keys_are_those_of_ascii_words_too():
    schema = {"patternProperties": {r"\bb": {"type": "null"}}, "additionalProperties": False}

    assert list(violations(schema, {"\xe9b": None})) == []
    assert [finding.rule for finding in violations(schema, {"\xe9b": 1, "ab": 1})] == [
        "schema.type",
        "schema.additionalProperties",
    ]


@pytest.mark.parametrize(
    ("pattern", "heavy"),
    [
        ("^[a-z]{1,63}$", False),
        (".{0,4096}", False),
        ("(?!a)b", True),
        (r"(a)\1", True),
        ("(?:[a-z]*a.{900}){4}$", True),
    ],
)
def test_what_needs_tries_or_is_very_large_is_heavy(pattern, heavy):
    assert is_heavy(pattern) is heavy


def test_what_is_no_border_stays():
    assert for_library(r"[\b]\\b\w$") == r"[\b]\\b\w$"
