from __future__ import annotations

from tests.support.units import write_unit
from tunegate.harness.lint.rules import lint_fixtures


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
