"""What a fixture says of fields: which answers pass, what they score, and which rules are refused."""

from __future__ import annotations

import json
import sys

import pytest

from tunegate.harness.checks.schema.check import KIND
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.errors import AuthoringError, CouldNotRun

INVOICE = {
    "type": "object",
    "properties": {
        "total": {"type": "number"},
        "due": {"type": "string"},
        "currency": {"enum": ["EUR", "USD"]},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}}},
    },
    "required": ["total"],
    "additionalProperties": False,
}
EXPECT = {"total": 10, "due": "2026-03-01", "currency": "EUR"}


@pytest.fixture
def make(tmp_path):
    """Read `check: {...}` from the third line of a fixture file on, each option on a line of its own."""

    def build(**options):
        path = tmp_path / "invoices.yaml"
        lines = [f"  {key}: {json.dumps(value)}" for key, value in ({"schema": INVOICE} | options).items()]
        path.write_text("\n".join(["version: 1", "suite: schema", "check:", *lines, ""]), "utf-8")
        document = read_yaml(path)
        return KIND.read(document.data["check"], document, ("check",)), document

    return build


def scored(check, answer, expect=EXPECT):
    outcome = check(answer if isinstance(answer, str) else json.dumps(answer), expect, "")
    return outcome.passed, round(outcome.score, 3), dict(outcome.rates)


def test_without_a_rule_all_must_be_right(make):
    check, _ = make()

    assert scored(check, EXPECT) == (True, 1.0, {"adherence": True, "exact": True})
    assert scored(check, EXPECT | {"total": 11}) == (False, 0.0, {"adherence": True, "exact": False})


def test_a_share_may_be_enough(make):
    check, _ = make(**{"pass": {"share": 0.7}})

    assert scored(check, EXPECT | {"total": 11}) == (True, 1.0, {"adherence": True, "exact": False})
    assert scored(check, {"total": 10})[0] is False  # 2 of 4 expected, 2 of 2 answered: .667


def test_an_answer_that_breaks_its_schema_never_passes(make):
    check, _ = make(**{"pass": {"share": 0.1}})

    assert scored(check, EXPECT | {"odd": 1})[0] is False
    assert scored(check, "no JSON") == (False, 0.0, {"adherence": False, "exact": False})


def test_named_fields_must_be_right_and_others_need_not(make):
    check, _ = make(**{"pass": {"fields": ["total", "lines"]}})
    expect = EXPECT | {"lines": [{"sku": "a"}]}

    assert scored(check, expect | {"due": "soon"}, expect)[0] is True
    assert scored(check, expect | {"lines": [{"sku": "b"}]}, expect)[0] is False
    assert scored(check, expect | {"total": 9}, expect)[0] is False


def test_a_named_field_of_another_alternative_is_missing_where_none_is_right(make):
    check, _ = make(schema={"properties": {"a": {}}}, **{"pass": {"fields": ["a.x"]}})
    expect = {"a": {"any_of": [{"x": 1, "y": 2}, {"y": 2, "q": 1}]}}

    assert scored(check, {"a": {"x": "wrong", "y": 2}}, expect)[0] is False
    assert scored(check, {"a": {"y": 2, "q": 1}}, expect)[0] is True


@pytest.mark.parametrize("order", ["given", "any"])
def test_a_list_that_must_be_right_has_no_item_more(make, order):
    """Also where the schema says nothing of its items."""
    rule = {"pass": {"fields": ["lines"]}, "fields": {"lines": {"order": order}}}
    check, _ = make(schema={"properties": {"lines": {"type": "array"}}}, **rule)

    for items in (["a", "b"], [{"sku": "a"}, {"sku": "b"}]):
        assert scored(check, {"lines": items}, {"lines": items})[0] is True
        assert scored(check, {"lines": [*items, items[0]]}, {"lines": items})[0] is False
        assert scored(check, {"lines": [*items, {"odd": 1}]}, {"lines": items})[0] is False


def test_a_case_may_score_its_share(make):
    check, _ = make(score="share")

    assert scored(check, EXPECT) == (True, 1.0, {"adherence": True, "exact": True, "passed": True})
    assert scored(check, EXPECT | {"total": 11}) == (
        False, 0.75, {"adherence": True, "exact": False, "passed": False},
    )  # fmt: skip
    assert scored(check, "no JSON")[:2] == (False, 0.0)
    assert scored(check, EXPECT | {"odd": 1})[:2] == (False, 0.0)  # all right, and not what the schema allows
    assert make(score="share", **{"pass": {"share": 0.75}})[0](json.dumps(EXPECT | {"total": 11}), EXPECT, "").passed


def test_only_options_that_are_written_change_what_is_asked(make):
    digests = {make(**more)[0].references for more in ({}, {"score": "share"}, {"pass": {"share": 0.5}})}

    assert len(digests) == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fields": {"totl": {"tolerance": 1}}},
         "invoices.yaml:5: check.fields.totl: expected a field that the schema names, found 'totl'; "
         "did you mean 'total'?"),
        ({"fields": {"lines[].sk": {"ignore": True}}}, "did you mean 'lines[].sku'?"),
        ({"fields": {"total": {"tolerence": 1}}}, "check.fields.total.tolerence: expected one of the keys as, ignore"),
        ({"fields": {"total": {"tolerance": -1}}}, "check.fields.total.tolerance: expected a number from 0"),
        ({"fields": {"total": {"tolerance": "much"}}}, "check.fields.total.tolerance: expected a number from 0"),
        ({"fields": {"total": {"tolerance": "1%\n"}}}, "check.fields.total.tolerance: expected a number from 0"),
        ({"fields": {"total": {"order": "any"}}}, "check.fields.total.order: expected order on a list, found a field "
         "that is number"),
        ({"fields": {"due": {"tolerance": 1}}}, "check.fields.due.tolerance: expected tolerance on a number"),
        ({"fields": {"due": {"as": "date", "tolerance": 1}}}, "expected no tolerance for a date"),
        ({"fields": {"due": {"as": "text", "tolerance": 1}}}, "expected no tolerance for a text"),
        ({"fields": {"total": {"as": "text"}}}, "check.fields.total.as: expected as on a text, found a field that is "
         "number"),
        ({"fields": {"due": {"as": "dat"}}}, "check.fields.due.as: expected one of date, quantity, text, found 'dat'"),
        ({"fields": {"due": {"ignore": True, "as": "date"}}}, "check.fields.due: expected only `ignore`"),
        ({"fields": {"due": {"ignore": True}}, "pass": {"fields": ["due"]}},
         "check.fields.due.ignore: expected a compared field, because `pass` names it"),
        ({"pass": {"fields": ["totl"]}}, "check.pass.fields[0]: expected a field that the schema names, found 'totl'"),
        ({"pass": {"share": 0}}, "check.pass.share: expected the minimum share that is right, above 0"),
        ({"pass": {}}, "check.pass: expected"),
        ({"score": "some"}, "check.score: expected one of pass, share"),
    ],
)  # fmt: skip
def test_a_rule_that_means_nothing_is_refused_with_its_line(make, options, said):
    with pytest.raises(AuthoringError) as caught:
        make(**options)

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("options", "expect", "said"),
    [
        ({"fields": {"due": {"as": "date"}}}, {"due": "03/04/2026"},
         "expect.due: expected an unambiguous date, found '03/04/2026'; write it as 2026-03-01"),
        ({"fields": {"due": {"as": "quantity"}}}, {"due": "5 kilos of it"}, "expected a number with a known unit"),
        ({}, {"due": {"any_of": ["a"]}}, "expect.due.any_of: expected a list of two alternatives or more"),
        ({}, {"due": {"any_of": "a"}}, "expect.due.any_of: expected a list of two alternatives or more, found 'a'"),
        ({}, {"due": {"any_of": ["a", {"any_of": ["b", "c"]}]}}, "found alternatives inside alternatives"),
        ({}, {"currency": {"any_of": ["EUR", "GBP"]}}, "expect.currency.any_of[1]: expected what the schema allows, "
         "found 'GBP'"),
        ({"fields": {"lines": {"order": "any"}}}, {"lines": [{"sku": f"{n}"} for n in range(300)]},
         "expect: expected unordered lists that are short enough to compare, found longer ones"),
        ({"pass": {"fields": ["total"]}}, {"due": "x"},
         "expect: expected a field that `pass` names (total), found none"),
    ],
)  # fmt: skip
def test_an_expectation_that_no_rule_can_read_is_refused(make, options, expect, said):
    check, document = make(**options)
    problems = check.expect_problems(expect, document, ("expect",))

    assert said in " ".join(map(str, problems))
    assert len(problems) == 1


def test_alternatives_and_rules_are_no_reason_to_refuse_what_can_be_answered(make):
    check, document = make(fields={"due": {"as": "date"}, "total": {"tolerance": 1}})
    expect = {"currency": {"any_of": ["EUR", "USD"]}, "due": "2026-03-01", "total": 1}

    assert check.expect_problems(expect, document, ("expect",)) == []
    assert check.expect_warnings({"currency": {"any_of": ["EUR", "USD"]}}) == ()
    assert check.parts(expect) == {"adherence", "exact", "currency", "due", "total"}
    assert check.parts(None) == {"adherence"}


def test_units_without_pint_say_what_to_install(make, monkeypatch):
    from tunegate.harness.checks.schema.values import unit_registry

    unit_registry.cache_clear()
    monkeypatch.setitem(sys.modules, "pint", None)
    with pytest.raises(CouldNotRun, match=r"expected pint, found none; run: pip install 'tunegate\[units\]'"):
        make(fields={"due": {"as": "quantity"}})
    unit_registry.cache_clear()
