from __future__ import annotations

import json
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.checks.schema import schema_file
from tunegate.harness.checks.schema.check import KIND, SchemaCheck, load
from tunegate.harness.checks.schema.dialects import DRAFTS
from tunegate.harness.checks.schema.grading import Grader, wrong
from tunegate.harness.checks.schema.schema_fields import schema_fields
from tunegate.harness.checks.schema.steps import size_of
from tunegate.harness.checks.schema.validator import violations
from tunegate.harness.core.authoring.validation import validate
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.errors import AuthoringError

D4, D6, D7, D2019, D2020 = DRAFTS
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
TICKET = {
    "type": "object",
    "properties": {"product": {"enum": ["boiler", "router"]}, "count": {"type": "integer"}},
    "required": ["product"],
    "additionalProperties": False,
}


@pytest.fixture
def make(tmp_path):
    """Load a check as a fixture file with `check: {schema: ...}` on line 3 would."""

    def build(value, **options):
        path = tmp_path / "fixture.yaml"
        path.write_text("version: 1\nsuite: schema\ncheck: " + json.dumps({"schema": value, **options}), "utf-8")
        document = read_yaml(path)
        return load(document.data["check"], document, ("check",))

    return build


def mismatches(expect, answer, *, whole=False):
    return wrong(Grader({}, schema_fields({}), whole).grade(expect, answer))


def mistakes(make, value):
    with pytest.raises(AuthoringError) as caught:
        make(value)
    return list(caught.value.problems)


def test_adherence_and_exact_are_told_apart(make):
    check = make(TICKET)

    assert check('{"product": "router"}', None, "").rates == {"adherence": True}
    good = check('{"product": "router", "count": 2}', {"product": "router"}, "")
    assert (good.score, good.findings, dict(good.rates)) == (1.0, (), {"adherence": True, "exact": True})
    other = check('{"product": "boiler"}', {"product": "router"}, "")
    assert (other.score, dict(other.rates)) == (0.0, {"adherence": True, "exact": False})
    assert str(other.findings[0]) == 'expect at product: expected "router", found "boiler"'
    broken = check('{"product": "router", "extra": 1}', {"product": "router"}, "")
    assert (broken.score, dict(broken.rates)) == (0.0, {"adherence": False, "exact": False})
    assert check("Sure!", None, "").score == 0.0


def test_findings_name_rule_and_place_in_plain_words(make):
    outcome = make({"properties": {"orders": {"items": TICKET}}})('{"orders": [{"count": "2", "extra": 1}]}', None, "")

    assert {str(finding) for finding in outcome.findings} == {
        'schema.type at orders[0].count: should be a whole number, is "2"',
        "schema.required at orders[0]: the key 'product' is missing",
        "schema.additionalProperties at orders[0].extra: this key is not allowed",
    }


@pytest.mark.parametrize(
    ("rules", "output", "words"),
    [
        ({"enum": ["a", 1]}, '"b"', 'should be one of "a", 1, is "b"'),
        ({"type": ["object", "null"]}, "1", "should be an object or null, is 1"),
        ({"pattern": "^a$"}, '"b"', '"b" does not match the pattern "^a$"'),
        ({"pattern": "^a$"}, '"a\\n"', "does not match"),
        ({"pattern": r"^[$]\$$"}, '"$x"', "does not match"),
        ({"format": "date"}, '"2024-02-30"', '"2024-02-30" is not a valid date'),
        ({"format": "email"}, '"@"', "not a valid email"),
        ({"format": "ipv4"}, '"127.0.0"', "not a valid ipv4"),
        ({"format": "regex"}, '"("', "not a valid regex"),
        ({"anyOf": [{"type": "null"}, {"properties": {"a": {"type": "string"}}}]}, '{"a": 1}',
         "matches none of the alternatives; closest: a: should be text, is 1"),
        ({"oneOf": [{"type": "integer"}, {"minimum": 2}]}, "3", "matches more than one"),
        ({"uniqueItems": True}, '[1, 2, 1.0]', "repeated items"),
        ({"uniqueItems": True}, '[{"a": 1, "b": [2]}, {"b": [2], "a": 1}]', "repeated items"),
        ({"minLength": 2}, '"x"', '"x" is too short'),
        ({"properties": {"a": False}}, '{"a": 1}', "the schema allows nothing here, found 1"),
        ({"patternProperties": {"^x-": {"type": "string"}}}, '{"x-a": 1}', "x-a: should be text"),
        ({"const": 1}, "true", "1 was expected"),
        ({"multipleOf": 0.01}, "19.995", "19.995 is not a multiple of 0.01"),
        ({"not": {"type": "string"}}, '"a"', 'matches what it must not match: "a"'),
        ({"prefixItems": [{}], "items": False}, "[1, 2]", "[1]: no more than 1 allowed here"),
        ({"dependencies": {"a": ["b"]}}, '{"a": 1}', "the key 'b' is missing"),
        ({"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False}, '{"a": 1, "b": 2}',
         "b: this key is not allowed"),
        ({"anyOf": [{"prefixItems": [{"const": 1}]}, True], "unevaluatedItems": {"type": "null"}}, "[1, 2]",
         "no more items are allowed here, such as 2"),
        ({"pattern": r"^\d$"}, '"\u0663"', "does not match"),
    ],
)  # fmt: skip
def test_violations_are_said_in_words(make, rules, output, words):
    outcome = make(rules)(output, None, "")

    assert outcome.score == 0.0
    assert words in str(outcome.findings[0])


@pytest.mark.parametrize(
    ("rules", "output"),
    [
        ({"format": "ipv4"}, '"127.0.0.1"'),
        ({"format": "date"}, "5"),
        ({"pattern": "^a$"}, '"a"'),
        ({"pattern": r"^\p{L}+[^$]$"}, '"\u00e9t\u00e9x"'),
        ({"uniqueItems": True}, '[1, true, "1", [1], [true], null, {"a": 1}, {"a": true}]'),
        (
            {"additionalProperties": False, "patternProperties": {"^x": {}}, "properties": {"a": {}}},
            '{"a": 1, "x1": 2}',
        ),
        ({"additionalProperties": {"type": "integer"}}, '{"a": 1}'),
        ({"multipleOf": 0.5}, "1.5"),
        ({"multipleOf": 0.01}, "19.99"),
        ({"multipleOf": 0.1}, "9" * 900),
        ({"not": {"type": "string"}}, "1"),
        ({"const": 1}, "1.0"),
    ],
)
def test_good_answers_pass(make, rules, output):
    assert make(rules)(output, None, "").findings == ()


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("end", ["", "#"])
def test_each_draft_checks_with_local_references(make, draft, end):
    check = make({
        "$schema": draft + end,
        "definitions": {"node": {
            "type": "object", "additionalProperties": False,
            "properties": {"name": {"type": "string"}, "child": {"$ref": "#/definitions/node"}},
        }},
        "properties": {"root": {"$ref": "#/definitions/node"}},
    })  # fmt: skip

    assert check('{"root": {"name": "a", "child": {"child": {}}}}', None, "").score == 1.0
    (finding,) = check('{"root": {"child": {"child": {"name": 1}}}}', None, "").findings
    assert finding.path == "root.child.child.name"


@pytest.mark.parametrize(
    ("rules", "good", "bad"),
    [
        ({"$schema": D4, "minimum": 1, "exclusiveMinimum": True}, "2", "1"),
        ({"$schema": D6, "exclusiveMinimum": 1}, "2", "1"),
        ({"$schema": D7, "if": {"type": "string"}, "then": {"minLength": 2}}, '"ab"', '"a"'),
        ({"$schema": D7, "items": [{"type": "string"}], "additionalItems": False}, '["a"]', '["a", 1]'),
        ({"$schema": D2019, "properties": {"c": {"$recursiveRef": "#"}}, "unevaluatedProperties": False},
         '{"c": {}}', '{"c": {"d": 1}}'),
        ({"$schema": D2020, "prefixItems": [{"type": "string"}], "items": False}, '["a"]', '["a", 1]'),
        ({"$dynamicAnchor": "n", "properties": {"c": {"$dynamicRef": "#n"}}, "additionalProperties": False},
         '{"c": {"c": {}}}', '{"c": {"d": 1}}'),
        ({"$id": "https://x.org/a", "$defs": {"b": {"$id": "b", "type": "null"}}, "$ref": "b"}, "null", "1"),
        ({"$defs": {"b": {"$anchor": "k", "type": "null"}}, "$ref": "#k"}, "null", "1"),
        ({"$schema": D7, "definitions": {"a<(b|c)>": {"type": "null"}}, "$ref": "#/definitions/a<(b|c)>"}, "null", "1"),
    ],
)  # fmt: skip
def test_what_only_some_drafts_know(make, rules, good, bad):
    check = make(rules)

    assert check(good, None, "").score == 1.0
    assert check(bad, None, "").score == 0.0


# at which engines that try everything take seconds or years; the last five need one that tries
CATASTROPHIC = [
    "^(a|aa)+$", "(a+)+$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(.*a){25}$", "^(a*)*b$",
    r"^(a+)\1+$", "(a+)+(?!b)$", r"^(a|a?)+\1$", "(?=(a+)+b)", r"(.*)*\1!!",
]  # fmt: skip


@pytest.mark.parametrize("draft", [D6, D2020])
@pytest.mark.parametrize("pattern", CATASTROPHIC)
def test_a_catastrophic_pattern_ends_wherever_it_stands(make, draft, pattern):
    text, is_heavy = "a" * 5000 + "!", pattern in CATASTROPHIC[5:]
    places = [
        {"pattern": pattern}, {"not": {"not": {"pattern": pattern}}}, {"patternProperties": {pattern: False}},
        {"patternProperties": {pattern: {}}, "additionalProperties": False},
    ]  # fmt: skip
    for keyword in places:
        check = make({"$schema": draft, "items": {"$ref": "#/definitions/x"}, "definitions": {"x": keyword}})

        for answer in ([text], [{text: 1}], [text[:20]] * 200):
            assert len(check(json.dumps(answer), None, "").findings) <= 20
        assert check._validator.steps.decide_quickly(size_of([text])) is not is_heavy  # else its tries are counted


@pytest.mark.parametrize("around", [lambda rule: rule, lambda rule: {"not": rule}, lambda rule: {"anyOf": [rule, {}]}])
def test_a_pattern_that_is_tried_too_often_is_a_limit_and_no_verdict(make, around):
    check = make(around({"pattern": "(a+)+(?!b)$"}))

    (finding,) = check(json.dumps("a" * 5000 + "!"), None, "").findings

    assert (finding.rule, "(a+)+(?!b)$" in finding.message) == ("schema.limit", True)


@pytest.mark.parametrize("draft", DRAFTS)
def test_a_schema_that_returns_to_its_root_keeps_our_keywords(make, draft):
    check = make({"$schema": draft, "properties": {"a": {"$ref": "#"}}, "pattern": "^a$"})

    assert check('{"a": {"a": "a"}}', None, "").score == 1.0
    assert check('{"a": {"a": "a\\n"}}', None, "").score == 0.0


@pytest.mark.parametrize(
    ("rules", "value", "words"),
    [
        ({"items": {"type": "integer"}}, list(range(10_000)), "more than 10,000 values"),
        ({"items": {"allOf": [{"minimum": 0}] * 600}}, list(range(9_000)), "50,000 steps"),
        ({"items": {"allOf": [{"minimum": 1}] * 60}}, [0] * 9_000, "locating it takes over 20,000 steps"),
        ({"pattern": "^a"}, "a" * 100_001, "more than 100,000 characters"),
        ({"pattern": "^(?!b)a"}, "a" * 10_001, "more than 10,000 characters"),
    ],
)  # fmt: skip
def test_what_cannot_be_checked_is_a_finding(make, rules, value, words):
    (finding,) = make(rules)(json.dumps(value), None, "").findings

    assert finding.rule == "schema.limit"
    assert words in finding.message


def test_the_deepest_allowed_answer_can_be_checked(make):
    node = {"anyOf": [{"type": "null"}, {"allOf": [{"properties": {"c": {"$ref": "#/$defs/node"}}, "type": "object"}]}]}
    value = None
    for _ in range(63):
        value = {"c": value}

    assert make({"$ref": "#/$defs/node", "$defs": {"node": node}})(json.dumps(value), None, "").findings == ()


@pytest.mark.parametrize(
    ("rules", "value"),
    [
        ({"uniqueItems": True}, [[1, "a", None][index % 3] for index in range(9_000)]),
        ({"unevaluatedProperties": False, "properties": {"a": {}}}, {str(index): 1 for index in range(9_000)}),
        ({"items": {"type": "string"}}, list(range(9_000))),
        ({"items": {"format": "ipv6"}}, ["::1" * 500] * 600),
        ({"type": "string"}, ["x" * 1_000_000]),
    ],
    ids=str.__call__,
)
def test_large_answers_take_bounded_time_and_few_findings(make, rules, value):
    check = make(rules)
    started = time.process_time()

    findings = check(json.dumps(value), None, "").findings

    assert time.process_time() - started < 20
    assert 0 < len(findings) <= 20
    assert all(len(str(finding)) < 400 for finding in findings)


@given(JSON)
def test_every_value_matches_itself_and_nothing_is_violated_by_the_open_schema(value):
    assert list(mismatches(value, value)) == []
    assert list(violations({}, value)) == []
    assert list(violations({"const": value}, value)) == []


@given(st.dictionaries(st.text(), JSON, max_size=4), st.data())
def test_a_part_of_a_mapping_matches_it(value, data):
    kept = data.draw(st.sets(st.sampled_from(sorted(value)))) if value else set()

    assert list(mismatches({key: value[key] for key in kept}, value)) == []
    for key in kept:
        without = {other: inner for other, inner in value.items() if other != key}
        (found,) = mismatches({key: value[key]}, without)
        assert "the key is missing" in found.message


@given(JSON, JSON)
def test_scalars_and_lists_match_only_their_equals(expect, answer):
    if not isinstance(expect, dict) and "{" not in json.dumps(expect):
        same = not any(violations({"const": expect}, answer))
        assert (list(mismatches(expect, answer)) == []) == same


@pytest.mark.parametrize(
    ("expect", "answer", "said"),
    [
        ({"a": 1}, {"a": 1.0, "b": 2}, []),
        ({"a": True}, {"a": 1}, ["expect at a: expected true, found 1"]),
        ({"a": 0}, {"a": False}, ["expect at a: expected 0, found false"]),
        ({"a": None}, {}, ["expect at a: expected null, but the key is missing"]),
        ({"a": {"b": 1}}, {"a": [1]}, ['expect at a: expected {"b": 1}, found [1]']),
        ([{"a": 1}], [{"a": 1, "b": 2}], []),
        ([1, 2], [2, 1], ["expect at [0]: expected 1, found 2", "expect at [1]: expected 2, found 1"]),
        ([1], [1, 2], ["expect: expected 1 item, found 2; at [1] expected nothing, found 2"]),
        ({"a": [1, {"b": 2}, 3]}, {"a": [1, {"b": 2, "c": 3}]},
         ["expect at a: expected 3 items, found 2; at [2] expected 3, found nothing"]),
        ([[1, 2]], [[0, 1, 2]], ["expect at [0]: expected 2 items, found 3; at [0] expected 1, found 0"]),
        ([[1], [{"x": [2]}]], [[1], [{"x": [3]}]], ["expect at [1][0].x[0]: expected 2, found 3"]),
        ([], {}, ["expect: expected [], found {}"]),
        ("1", 1, ['expect: expected "1", found 1']),
        ("A", "a", ['expect: expected "A", found "a"']),
    ],
)  # fmt: skip
def test_differences_say_what_differs_where(expect, answer, said):
    assert [str(finding) for finding in mismatches(expect, answer)] == said


@pytest.mark.parametrize(
    ("expect", "answer", "said"),
    [
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 1}, {"a": 1, "note": "x"}, ["expect at note: expected no key 'note', found \"x\""]),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": None}]}, ["expect at a[0].c: expected no key 'c', found null"]),
        ([{}], [{"a": 1}, {}], ['expect: expected 1 item, found 2; at [0] expected {}, found {"a": 1}']),
    ],
)
def test_a_whole_match_allows_no_key_more(expect, answer, said):
    assert [str(finding) for finding in mismatches(expect, answer, whole=True)] == said


@given(JSON, JSON)
def test_a_whole_match_is_equality_of_json(expect, answer):
    same = not any(violations({"const": expect}, answer))

    assert (list(mismatches(expect, answer, whole=True)) == []) == same


def test_match_is_an_option(make):
    invented = '{"product": "router", "count": 2}'

    for match, exact in [("subset", True), ("whole", False)]:
        rates = make(TICKET, match=match)(invented, {"product": "router"}, "").rates
        assert rates == {"adherence": True, "exact": exact}


def test_fenced_is_an_option(make):
    assert make(TICKET)('```json\n{"product": "router"}\n```', None, "").score == 0.0
    assert make(TICKET, extract="fenced")('```json\n{"product": "router"}\n```', None, "").score == 1.0


def test_references_change_with_schema_and_option(make):
    options = [{}, {"extract": "fenced"}, {"match": "whole"}]
    digests = {make(TICKET, **option).references for option in options} | {make({}).references}

    assert len(digests) == 4
    assert make(dict(reversed(TICKET.items()))).references in digests


@pytest.mark.parametrize(
    ("rules", "where", "expected", "found"),
    [
        ({"type": "strin"}, "check.schema.type", "one of object, array, string", '"strin"'),
        ({"$schema": D4, "required": []}, "check.schema.required", "a valid JSON Schema (draft 4)", "[]"),
        ({"$schema": "http://json-schema.org/draft-03/schema#"}, "check.schema.$schema", D7, "draft-03"),
        ({"$schema": 7}, "check.schema.$schema", D7, "7"),
        ({"items": {"$ref": "https://example.org/x.json"}}, "check.schema.items.$ref", "inside this schema", "example"),
        ({"$ref": "other.json#/a"}, "check.schema.$ref", "inside this schema", "other.json"),
        ({"$ref": D7 + "#"}, "check.schema.$ref", "inside this schema", "draft-07"),
        ({"$ref": "#/$defs/no"}, "check.schema.$ref", "inside this schema", "does not exist"),
        ({"$ref": "#no"}, "check.schema.$ref", "inside this schema", "does not exist"),
        ({"allOf": [{"$ref": "#/allOf/x"}]}, "check.schema.allOf[0].$ref", "inside this schema", "does not exist"),
        ({"$schema": D4, "$ref": 5}, "check.schema.$ref", "inside this schema", "5"),
        ({"title": "t", "$ref": "#/title"}, "check.schema.title", "a valid JSON Schema", '"t"'),
        ({"x": {"type": 3}, "$ref": "#/x"}, "check.schema.x.type", "a valid JSON Schema", "3"),
        ({"$schema": D7, "dependencies": {"a": ["b"], "c": {"$ref": "#/no"}}},
         "check.schema.dependencies.c.$ref", "inside this schema", "does not exist"),
        ({"pattern": "("}, "check.schema.pattern", "a regular expression", "("),
        ({"pattern": r"a\Z"}, "check.schema.pattern", "of ECMA-262", r"\Z, which ECMA-262 does not have; write $"),
        ({"pattern": "(?P<a>b)"}, "check.schema.pattern", "of ECMA-262", "(?P, which ECMA-262 does not have"),
        ({"pattern": "(?i)a"}, "check.schema.pattern", "of ECMA-262", "(?i, which ECMA-262 does not have"),
        ({"pattern": "a++"}, "check.schema.pattern", "of ECMA-262", "++, which ECMA-262 does not have"),
        ({"pattern": "(?:a{9999}){9999}b"}, "check.schema.pattern", "of ECMA-262", "too large"),
        ({"$schema": D4, "patternProperties": {"(": {}}}, "check.schema.patternProperties", "regular expression", "("),
        ({"pattern": r"a\_b"}, "check.schema.pattern", "of ECMA-262", r"\_, which ECMA-262 does not have; write _"),
        ({"$id": "http://[", "$ref": "#"}, "check.schema.$id", "a URI", '"http://["'),
        ({"$schema": D4, "not": {"id": "http://["}}, "check.schema.not.id", "a URI", '"http://["'),
        ({"x": {"properties": 5}, "$ref": "#/x"}, "check.schema.x.properties", "a valid JSON Schema", "5"),
        ({"x": {"allOf": [{"items": 5}]}, "$ref": "#/x/allOf/0"}, "check.schema.x.allOf[0].items", "a valid JSON", "5"),
        ({"$schema": D4, "$ref": {"a": 1}}, "check.schema.$ref", "inside this schema", '{"a": 1}'),
        ({"$ref": "#"}, "check.schema", "terminates", "refers back to itself"),
        ({"not": {"$ref": "#"}}, "check.schema", "terminates", "refers back"),
        ({"$dynamicAnchor": "a", "not": {"$dynamicRef": "#a"}}, "check.schema", "terminates", "refers back"),
        ({"$schema": D2019, "$recursiveAnchor": True, "not": {"$recursiveRef": "#"}}, "check.schema",
         "terminates", "back"),
        ({"allOf": [{"$ref": "#/allOf/1"}, {"$ref": "#/allOf/0"}]}, "check.schema.allOf[0]", "terminates",
         "refers back"),
        ({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, True]}}, "properties": {"b": {"$ref": "#/$defs/a"}}},
         "check.schema.$defs.a", "terminates", "refers back"),
    ],
)  # fmt: skip
def test_mistakes_in_a_schema_are_refused(make, rules, where, expected, found):
    (problem,) = mistakes(make, rules)

    assert problem.file.name == "fixture.yaml"
    assert (problem.line, problem.where) == (3, where)
    assert expected in problem.expected
    assert found in problem.found


@pytest.mark.parametrize("kinds", [["string", None], None])
def test_a_null_without_quotes_is_no_type(make, kinds):
    (problem,) = mistakes(make, {"properties": {"a": {"type": kinds}}})

    assert problem.where == "check.schema.properties.a.type"
    assert (problem.found, problem.hint) == (json.dumps(kinds), 'write "null" in quotes')


def test_what_many_references_name_is_looked_at_once(make):
    rows = {f"key{number}": {"type": "string", "maxLength": number} for number in range(300)}
    many = {f"at{number}": {"$ref": "#/x"} for number in range(300)}
    started = time.process_time()

    make({"properties": many, "x": {"properties": rows}})

    assert time.process_time() - started < 10


def test_what_a_library_breaks_at_is_refused(make, monkeypatch):
    monkeypatch.setattr(schema_file, "Validator", lambda *_: 1 / 0)

    (problem,) = mistakes(make, {"type": "null"})

    assert (problem.line, problem.where, problem.expected) == (3, "check.schema", schema_file.UNFORESEEN)
    assert problem.found == "one that crashes the library (ZeroDivisionError: division by zero)"


@pytest.mark.parametrize("draft", [D4, D6, D7, D2019, D2020])
@pytest.mark.parametrize("names", ["ab", "ba"])
def test_dependencies_may_be_keys_and_schemas_side_by_side(make, draft, names):
    dependent = {"a": {"properties": {"x": {"$ref": "#/definitions/text"}}}, "b": ["y"]}
    check = make({
        "$schema": draft, "definitions": {"text": {"type": "string"}},
        "properties": {"z": {"$ref": "#/definitions/text"}},
        "dependencies": {name: dependent[name] for name in names},
    })  # fmt: skip

    assert check('{"a": 1, "b": 1, "x": "", "y": 1}', None, "").score == 1.0
    assert check('{"a": 1, "x": 1}', None, "").score == 0.0
    assert check('{"b": 1}', None, "").score == 0.0


def test_an_unknown_format_checks_nothing(make):
    check = make({"items": {"format": "int32", "type": ["integer", "string"]}})

    assert check('[1, "2", "x"]', None, "").score == 1.0


def test_all_mistakes_are_told_at_once(make):
    found = mistakes(make, {"properties": {"a": {"type": "strin"}, "b": {"minimum": "1"}}})

    assert [problem.where for problem in found] == [
        "check.schema.properties.a.type",
        "check.schema.properties.b.minimum",
    ]


def test_property_names_are_not_keywords(make):
    names = ["$ref", "format", "pattern", "$schema"]

    assert make({"properties": {name: {"type": "string"} for name in names}})('{"$ref": "x"}', None, "").score == 1.0


def test_nothing_is_fetched(make, monkeypatch):
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("a request was made"))

    assert "references are not fetched" in mistakes(make, {"$ref": "http://example.org/schema"})[0].hint


def test_a_schema_file_is_found_beside_the_fixture(make, tmp_path):
    (tmp_path / "refs").mkdir()
    (tmp_path / "refs/a.schema.json").write_text('{\n\t"type": "null"\n}')
    (tmp_path / "refs/b.yaml").write_text("type: 'null'\n")

    assert make("refs/a.schema.json")("null", None, "").score == 1.0
    assert make("refs/b.yaml").references == make("refs/a.schema.json").references


@pytest.mark.parametrize(
    ("name", "text", "line", "where", "expected", "found"),
    [
        ("a.json", '{\n "type": "null",\n}', 3, "", "JSON", "a mistake at line 3"),
        ("a.json", '{\n "a": {\n  "b": 1, "b": 2}}', 3, "a", "each key once", "'b' again (first on line 3)"),
        ("a.json", '{\n "a": {\n\t"b": 1, "b": 2}}', 1, "a", "JSON", 'the key "b" is repeated here'),
        ("a.json", "type: object", 1, "", "JSON", "does not begin with JSON"),
        ("a.json", "[1]", 1, "", "a JSON Schema", "[1]"),
        ("a.json", "true", 1, "", "a JSON Schema", "true"),
        ("a.json", '{\n "properties": {\n  "a": {\n   "type": "x"}}}', 4, "properties.a.type", "one of", '"x"'),
        ("a.json", '{"properties": {\n "a": {"$ref":\n "http://x.org"}}}', 2, "properties.a.$ref", "inside", "x.org"),
        ("a.yaml", "type: object\nproperties: {1: {}}", 2, "properties.1", "a key that is text", "1"),
        ("a.yaml", "type: object\nmaximum: .inf", 2, "maximum", "a finite number", "inf"),
        ("a.yaml", "type: object\ntype: string", 2, "", "each key once", "'type' again"),
        ("a.yaml", "just text", 1, "", "a JSON Schema", "just text"),
    ],
)
def test_mistakes_in_a_schema_file_name_its_line(make, tmp_path, name, text, line, where, expected, found):
    (tmp_path / name).write_text(text)

    (problem,) = mistakes(make, name)

    assert problem.file.name == name
    assert (problem.line, problem.where) == (line, where)
    assert expected in problem.expected
    assert found in problem.found


def test_a_missing_file_is_told_where_it_is_named(make):
    (problem,) = mistakes(make, "refs/none.json")

    assert (problem.file.name, problem.line, problem.where) == ("fixture.yaml", 3, "check.schema")
    assert problem.found.endswith("refs/none.json")


def test_a_file_that_is_not_text_is_refused(make, tmp_path):
    (tmp_path / "a.json").write_bytes(b'{\n"title": "\xff"}')

    (problem,) = mistakes(make, "a.json")

    assert (problem.line, problem.expected) == (2, "UTF-8 text")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"schema": 1},
        {"schema": "a", "extract": "repair"},
        {"schema": "a", "match": "all"},
        {"schema": "a", "shema": 1},
    ],
)
def test_options_are_closed(tmp_path, options):
    path = tmp_path / "a.yaml"
    path.write_text("check: " + json.dumps(options))

    assert validate(read_yaml(path), KIND.options, ("check",), options)


def test_the_json_of_an_answer_is_what_others_are_held_against():
    check = SchemaCheck({"type": "object"}, "fenced")

    expect = KIND.expect_of(check, '```json\n{"product": "boiler"}\n```')

    assert expect == {"product": "boiler"}
    assert KIND.expect_of(check, "A boiler.") is None


@pytest.mark.parametrize(
    ("schema", "output", "passed"),
    [
        ({"pattern": "(?i:tuesday)"}, "On TUESDAY.", True),
        ({"pattern": "(?i:tue)sday"}, "TUESDAY", False),
        ({"not": {"pattern": "sorry"}}, "sorry, no", False),
        ({"const": ""}, "", True),
        ({"type": "string"}, '{"a": 1}', True),
        ({"type": "string"}, "\ud800", False),
    ],
)
def test_text_is_checked_as_it_stands(make, schema, output, passed):
    check = make(schema, extract="text")
    assert (check(output, None, "").score == 1) is passed
    assert check.constraint is None


@pytest.mark.parametrize(("output", "passed"), [("billing", True), ("billing\n", False), ('"billing"', False)])
def test_text_equals_what_is_expected(make, output, passed):
    check = make({"type": "string"}, extract="text")
    assert check(output, "billing", "").passed is passed
    assert check(output, {"any_of": ["sales", "billing"]}, "").passed is passed
