"""JSON answers scored field by field, and the laws that this holds."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunegate.harness.checks.schema.check import SchemaCheck
from tunegate.harness.checks.schema.grading import MOST_COMPARED, FieldRule, Grader, ListsTooLong, counted, share, wrong
from tunegate.harness.checks.schema.schema_fields import schema_fields
from tunegate.harness.checks.schema.values import read_quantity, same_value, unit_registry

ORDER = {
    "type": "object",
    "properties": {
        "total": {"type": "number"},
        "urgency": {"enum": ["now", "soon", "later"]},
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"part": {"enum": ["valve", "pump"]}, "count": {"type": "integer"}},
            },
        },
        "tags": {"type": "array", "items": {"type": "string"}},
        "note": {"type": "string"},
    },
    "additionalProperties": False,
}
ITEMS = st.fixed_dictionaries({"part": st.sampled_from(["valve", "pump"]), "count": st.integers(0, 2)})
LISTS = st.lists(ITEMS, max_size=4)
LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "b", ""])
KEYS = st.sampled_from(["a", "b", "c"])
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
RULES = st.dictionaries(
    st.sampled_from(["$", "a", "a.b", "[]", "a[]", "b"]),
    st.builds(FieldRule, st.booleans(), st.sampled_from(["given", "any", "set"]), st.sampled_from([0, 1, "10%"])),
)


def graded(expect, answer, rules=None, *, whole=False, schema=ORDER):
    return Grader(rules or {}, schema_fields(schema), whole).grade(expect, answer)


def said(leaves):
    return [str(finding) for finding in wrong(leaves)]


@settings(deadline=None)
@given(JSON, JSON, RULES, st.booleans())
def test_a_share_lies_between_0_and_1_and_is_1_exactly_where_all_is_right(expect, answer, rules, whole):
    leaves = graded(expect, answer, rules, whole=whole, schema={})

    assert 0 <= share(leaves) <= 1
    assert (share(leaves) == 1) == all(leaf.right for leaf in leaves) == (said(leaves) == [])


@settings(deadline=None)
@given(JSON, RULES, st.booleans())
def test_what_is_expected_is_all_right(value, rules, whole):
    assert all(leaf.right for leaf in graded(value, value, rules, whole=whole, schema={}))


@given(JSON, JSON)
def test_a_tolerance_of_0_is_equality(expect, answer):
    rules = {name: FieldRule(tolerance=0) for name in ("$", "a", "b", "[]", "a[]")}

    assert graded(expect, answer, rules, schema={}) == graded(expect, answer, schema={})


@settings(deadline=None)  # scipy's first assignment takes a while
@given(LISTS, LISTS, st.randoms(), st.sampled_from(["any", "set"]), st.booleans())
def test_lists_in_any_order_are_the_same_in_each_order(expect, answer, random, order, whole):
    rules = {"items": FieldRule(order=order)}
    shuffled = [random.sample(each, len(each)) for each in (expect, answer)]
    scores = {
        share(graded({"items": one}, {"items": other}, rules, whole=whole))
        for one, other in ((expect, answer), shuffled)
    }

    assert len(scores) == 1


@settings(deadline=None)
@given(LISTS, st.randoms())
def test_a_list_in_any_order_is_right_in_each(items, random):
    shuffled = random.sample(items, len(items))

    assert share(graded({"items": items}, {"items": shuffled}, {"items": FieldRule(order="any")})) == 1
    assert share(graded({"items": items}, {"items": shuffled * 2}, {"items": FieldRule(order="set")})) == 1


def test_each_field_has_its_precision_and_recall():
    expect = {"total": 12, "urgency": "now", "items": [{"part": "valve", "count": 2}, {"part": "pump", "count": 1}]}
    answer = {"urgency": "soon", "items": [{"part": "valve", "count": 3}], "note": "x"}
    leaves = graded(expect, answer, whole=True)
    fields = counted(leaves)

    assert {name: (each.right, each.expected, each.answered) for name, each in fields.items()} == {
        "total": (0, 1, 0), "urgency": (0, 1, 1), "items[].part": (1, 2, 1), "items[].count": (0, 2, 1),
        "note": (0, 0, 1),
    }  # fmt: skip
    assert fields["urgency"].taken == (('"now"', '"soon"'),)
    assert share(leaves) == pytest.approx(2 * 1 / (6 + 4))


def test_an_item_is_held_against_the_one_that_it_most_resembles():
    rules = {"items": FieldRule(order="any")}
    expect = {"items": [{"part": "valve", "count": 2}, {"part": "pump", "count": 1}, {"part": "pump", "count": 7}]}
    answer = {"items": [{"part": "pump", "count": 2}, {"part": "valve", "count": 2}]}

    assert said(graded(expect, answer, rules)) == [
        "expect at items[0].count: expected 1, found 2",
        'expect at items: expected {"part": "pump", "count": 7}, which no item is',
    ]
    assert said(graded({"items": []}, {"items": [{"part": "pump"}]}, rules)) == [
        'expect at items[0]: found {"part": "pump"}, which is not expected',
    ]


def test_a_set_counts_nothing_twice():
    rules = {"tags": FieldRule(order="set")}

    assert said(graded({"tags": ["a", "b"]}, {"tags": ["b", "a", "a"]}, rules)) == []
    assert said(graded({"tags": ["a", "b"]}, {"tags": ["b", "b"]}, rules)) == [
        'expect at tags: expected "a", which no item is'
    ]


@pytest.mark.parametrize(
    ("expect", "answer", "found"),
    [
        ({"urgency": {"any_of": ["now", "soon"]}}, {"urgency": "soon"}, []),
        ({"urgency": {"any_of": ["now", "soon"]}}, {"urgency": "later"},
         ['expect at urgency: expected "now" or "soon", found "later"']),
        ({"any_of": [{"total": 1, "note": "a"}, {"total": 2, "note": "b"}]}, {"total": 2, "note": "c"},
         ['expect at note: expected "b", found "c"']),
        ({"note": {"any_of": ["a", "b"]}}, {}, ['expect at note: expected "a" or "b", but the key is missing']),
    ],
)  # fmt: skip
def test_one_of_several_answers_is_enough(expect, answer, found):
    assert said(graded(expect, answer)) == found


FAULT = {"kind": "fault", "urgency": "now"}


@pytest.mark.parametrize("first", [None, {"kind": "billing"}])
@pytest.mark.parametrize("answer", [None, {"urgency": "never"}, {"kind": "other"}, []])
def test_where_no_alternative_is_right_no_field_of_any_goes_uncounted(first, answer):
    expect = {"request": {"any_of": [first, FAULT]}}
    if answer == first:
        answer = {}
    for found in (counted(graded(expect, {"request": answer})), counted(graded(expect, {}))):
        assert not found["request.kind"].is_right
        assert not found["request.urgency"].is_right
    assert all(each.is_right for each in counted(graded(expect, {"request": first})).values())


def test_an_answer_has_no_alternatives():
    schema = {"properties": {"note": {"properties": {"any_of": {"items": {}}}}}}
    leaves = graded({}, {"note": {"any_of": [1, 2, 3]}}, whole=True, schema=schema)

    assert counted(leaves)["note.any_of[]"].answered == 3


@pytest.mark.parametrize(
    ("rule", "expect", "answer", "right"),
    [
        (FieldRule(tolerance=0.01), 0.3, 0.29, True),
        (FieldRule(tolerance=0.01), 0.3, 0.289, False),
        (FieldRule(tolerance="1%"), 200, 198, True),
        (FieldRule(tolerance="1%"), 200, 197, False),
        (FieldRule(tolerance=1), True, 1, False),
        (FieldRule(tolerance=1), "1", 1, False),
        (FieldRule(ignore=True), 1, {"any": "thing"}, True),
        (FieldRule(meaning="date"), "2026-03-01", "1 March 2026", True),
        (FieldRule(meaning="date"), "2026-03-04", "03/04/2026", False),
        (FieldRule(meaning="date"), "2026-03-01", "1. maaliskuuta 2026", True),
        (FieldRule(meaning="date"), "2026-03-01", "1er mars 2026", True),
        (FieldRule(meaning="date"), "2026-03-01", "1 de marzo de 2026", True),
        (FieldRule(meaning="date"), "2026-03-01", "1º de marzo del 2026", True),
        (FieldRule(meaning="date"), "2026-03-01", "1. März 2026", True),
        (FieldRule(meaning="date"), "2026-03-01", "1. marraskuuta 2026", False),
        (FieldRule(meaning="date"), "2026-03-01", "1 marchable 2026", False),
        (FieldRule(meaning="text"), "Hill St., Oslo", "hill st oslo", True),
        (FieldRule(meaning="text"), "don\u2019t", "Don't!", True),
        (FieldRule(meaning="text"), "snake_case", "snake case", True),
        (FieldRule(meaning="text"), "2026-03-01", "2026/03/01", True),
        (FieldRule(meaning="text"), "STRASSE", "Straße", True),
        (FieldRule(meaning="text"), "1.5 m", "15 m", False),
        (FieldRule(meaning="text"), "-5", "5", False),
        (FieldRule(meaning="text"), "from -5 to 3", "from 5 to 3", False),
        (FieldRule(meaning="text"), "C++", "C", False),
        (FieldRule(meaning="text"), "?", "!", False),
        (FieldRule(meaning="text"), "1", 1, False),
        (FieldRule(meaning="text"), "hill", "mill", False),
        (FieldRule(meaning="quantity"), "5 kg", "5000 g", True),
        (FieldRule(meaning="quantity", tolerance="1%"), "5 kg", "4960 g", True),
        (FieldRule(meaning="quantity", tolerance=0.1), "5 kg", "4.89 kg", False),
        (FieldRule(meaning="quantity"), "5 kg", "5 m", False),
    ],
)
def test_values_that_mean_the_same_are_right(rule, expect, answer, right):
    leaves = graded({"total": expect}, {"total": answer}, {"total": rule}, schema={})

    assert all(leaf.right for leaf in leaves) == right


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5 m^2", "50000 cm²"), ("5 m squared", "5 sq m"), ("5 cubic meters", "5 m ^3"), ("36 km/h", "10 m / s"),
        ("36 km per h", "10 m/s"), ("5 kg·m²/s²", "5 J"), ("5 kg m^2/s^2", "5 J"), ("50 %", "0.5"), ("5", "5"),
    ],
)  # fmt: skip
def test_units_are_read_with_their_powers(one, other):
    assert same_value(one, other, "quantity", 0)


@pytest.mark.parametrize(
    "text",
    ["5 m^9^9^9^9", "5 m^9 ^9", "5 m²^9", "5 m⁹⁹⁹⁹⁹⁹", "5 m^9⁹", "5 m squared^9", "5 sq m^9", "5 square m cubed",
     "5 kcubic m^9", "5 cubic°^9", "5 m squared cubed", "5 m**9", "5 m^99", "5 m^x", "5 m··9"],
)  # fmt: skip
def test_a_power_of_a_power_is_no_quantity_and_never_reaches_pint(text, monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr(unit_registry(), "parse_units", asked.append)

    assert read_quantity(text) is None
    assert asked == []


def test_what_is_ignored_may_be_missing_or_too_much():
    rules = {"note": FieldRule(ignore=True), "items": FieldRule(ignore=True)}

    assert graded({"note": "a"}, {}, rules) == []
    assert graded({}, {"note": "a", "items": [{"part": "pump"}]}, rules, whole=True) == [*graded({}, {})]


def test_names_that_a_model_invents_are_one_field():
    answer = {f"key{number}": number for number in range(5000)}

    for schema in (ORDER, {}):
        leaves = graded({"total": 1}, {"total": 1} | answer, whole=True, schema=schema)
        assert {leaf.name for leaf in leaves} == {"total", "(other keys)"}


def test_lists_that_take_too_long_are_a_finding():
    check = SchemaCheck({}, options={"fields": {"items": {"order": "any"}}})
    outcome = check(json.dumps({"items": [{"part": "x"}] * (MOST_COMPARED // 2)}), {"items": [{"part": "y"}] * 3}, "")

    assert outcome.score == 0
    assert "expect.limit: unordered lists are too long to compare" in map(str, outcome.findings)
    assert outcome.fields["items[].part"].right == 0


def test_alternatives_that_are_lists_in_any_order_take_as_long_each():
    rules, right = {"tags": FieldRule(order="any")}, [*range(120)]
    expect = {"tags": {"any_of": [right, [*range(200, 320)], [*range(400, 520)]]}}

    assert all(leaf.right for leaf in graded(expect, {"tags": right[::-1]}, rules))
    with pytest.raises(ListsTooLong):
        graded({"tags": [expect["tags"]] * 3}, {"tags": [right] * 3}, rules | {"tags[]": FieldRule(order="any")})


def test_two_long_keys_that_begin_alike_are_two_fields():
    first, second = (
        f"{'the quantity that the customer asked for in the ' * 2}{which} letter" for which in ("first", "last")
    )
    schema = {"type": "object", "properties": {first: {"type": "integer"}, second: {"type": "integer"}}}
    found = counted(graded({first: 1, second: 2}, {first: 1, second: 3}, schema=schema))
    assert len(found) == 2
    assert sorted(each.right for each in found.values()) == [0, 1]


def test_a_field_called_as_a_rate_has_another_name():
    assert counted(graded({"exact": 1}, {"exact": 1}, schema={})).keys() == {'["exact"]'}
