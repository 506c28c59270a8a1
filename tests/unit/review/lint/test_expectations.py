from __future__ import annotations

from tests.support.units import write_unit
from tunegate.harness.review.lint.rules import lint_fixtures


def case(name, **more):
    return {"id": name, "input": f"message {name} {'x' * ord(name[0])}", **more}


BOILER = {"expect": {"product": "boiler"}}


def said(tmp_path, *cases, **more):
    write_unit(tmp_path, [], cases=list(cases), **more)
    return [each for each in lint_fixtures(tmp_path).warnings if "no expect" in each.text]


def test_cases_without_an_expect_are_named_where_others_have_one(tmp_path):
    few = said(tmp_path, case("a", **BOILER), case("b"), case("c", **BOILER), case("d"))
    assert [each.text for each in few] == [
        "desk/triage: no expect in b, d, where 2 of 4 cases have one: a wrong value passes there; "
        "write what each expects, or `expect: {}` where any values will do"
    ]
    assert few[0].file.name == "triage.yaml"
    [many] = said(tmp_path, case("z", **BOILER), *(case(each) for each in "abcdefghij"))
    assert "no expect in a, b, c" in many.text
    assert "more, where 1 of 11 cases" in many.text


def test_where_all_or_none_has_one_nothing_is_said(tmp_path):
    assert said(tmp_path, case("a", **BOILER), case("b", **BOILER)) == []
    assert said(tmp_path, case("a"), case("b")) == []


def test_an_empty_expect_says_that_any_values_will_do(tmp_path):
    assert said(tmp_path, case("a", **BOILER), case("b", expect={})) == []


BOTH = {"expect": {"product": "boiler", "urgent": True}}
SCHEMA_OF_BOTH = {"type": "object", "properties": {"product": {"type": "string"}, "urgent": {"type": "boolean"}}}


def lacking(tmp_path, *cases, **check):
    write_unit(tmp_path, [], cases=list(cases), check={"schema": SCHEMA_OF_BOTH} | check)
    return [each.text for each in lint_fixtures(tmp_path).warnings if "no `urgent`" in each.text]


def test_cases_that_lack_a_key_which_most_others_have_are_named(tmp_path):
    assert lacking(tmp_path, case("a", **BOTH), case("b", **BOILER), case("c", **BOTH)) == [
        "desk/triage: no `urgent` in the expect of b, where 2 of 3 cases have it: any value passes there; write it, or "
        "say what a missing key means: check: {match: subset} (any value passes) or {match: whole} (none may stand "
        "there)"
    ]


def test_a_key_that_few_cases_have_and_what_a_missing_one_means_are_no_warning(tmp_path):
    others = case("b", **BOILER), case("c", **BOILER)
    assert lacking(tmp_path, case("a", **BOTH), *others, case("d", expect={})) == []
    most = case("a", **BOTH), case("b", **BOILER), case("c", **BOTH)
    assert lacking(tmp_path, *most, match="subset") == lacking(tmp_path, *most, match="whole") == []
    assert lacking(tmp_path, *most, fields={"urgent": {"ignore": True}}) == []
    assert lacking(tmp_path, most[0], case("b", expect={}), most[2]) == []
    either = {"any_of": [{"product": "boiler", "urgent": True}, {"product": "radiator", "urgent": False}]}
    assert lacking(tmp_path, most[0], case("b", expect=either), most[2]) == []
