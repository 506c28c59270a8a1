from __future__ import annotations

import pytest

from tunegate.harness.core.errors import AuthoringError
from tunegate.harness.fixtures.json_schemas import schema
from tunegate.harness.fixtures.policy import Policy, UnitPolicy, policy_changes, read_policy

UNITS = {"triage": "pass/fail", "tone": "pass/fail", "fluency": "continuous"}
TEXT = """\
version: 1
about: The desk.
units:
  triage: {role: target, margin: 0.08, reach: 0.9, floor: 0.5, lower: block, reason: tickets}
  fluency: {role: guard, reason: kept}
looks: {value: 2, reason: two tries}
candidates: {value: 3, reason: a sweep}
"""


@pytest.fixture
def read(tmp_path):
    def policy(text=TEXT, **more):
        path = tmp_path / "task.yaml"
        path.write_text(text)
        return read_policy(path, schema("task"), UNITS, **more)

    return policy


def test_a_task_file_declares_what_each_unit_is_held_to(read):
    policy = read()

    assert policy.of("triage", "pass/fail") == UnitPolicy("target", 0.08, 0.9, 0.5, "block", "tickets")
    assert policy.targets == ("triage",)
    assert (policy.looks, policy.candidates, policy.share, policy.declared) == (2, 3, 6, True)


def test_a_unit_without_a_margin_has_the_default_of_its_kind(read):
    policy = read()

    assert policy.of("tone", "pass/fail").margin == 0.05
    assert policy.of("fluency", "continuous").margin is None
    assert policy.of("fluency", "continuous").reason == "kept"


@pytest.mark.parametrize("key", ["reach", "floor"])
def test_a_continuous_unit_has_no_rate_to_reach(read, key):
    with pytest.raises(AuthoringError, match=f"task.yaml:5: units.fluency.{key}: expected no {key}"):
        read(TEXT.replace("role: guard", f"role: guard, {key}: 0.9"))


def test_without_a_task_file_every_unit_guards():
    policy = Policy()

    assert policy.of("triage", "pass/fail") == UnitPolicy("guard", 0.05)
    assert policy.of("fluency", "continuous") == UnitPolicy("guard", None)
    assert (policy.targets, policy.share, policy.declared) == ((), 1, False)


def test_all_mistakes_are_told_at_once_also_about_units_that_do_not_exist(read):
    with pytest.raises(AuthoringError) as caught:
        read(TEXT.replace("triage:", "triag:").replace("0.08", "8").replace("value: 2, ", ""))

    assert [(problem.line, problem.where, problem.hint) for problem in caught.value.problems] == [
        (4, "units.triag", "did you mean 'triage'?"),
        (4, "units.triag.margin", "for 8 points or percent write 0.08"),
        (6, "looks", "a whole number from 1"),
    ]


def test_a_unit_may_be_missing_where_some_could_not_be_read(read):
    policy = read(TEXT.replace("triage:", "mail:"), complete=False)

    assert policy.targets == ()


LOOSER = [
    ("role", "target", "guard"),
    ("margin", 0.05, 0.1),
    ("margin", 0.05, None),
    ("reach", 0.9, 0.8),
    ("reach", None, 0.9),
    ("floor", 0.5, 0.4),
    ("floor", 0.5, None),
    ("lower", "block", "allow"),
    ("looks", 3, 1),
    ("candidates", 2, 1),
    ("sealed", False, True),
]


@pytest.mark.parametrize(("term", "strict", "loose"), LOOSER)
def test_a_change_is_looser_one_way_and_stricter_the_other(term, strict, loose):
    same = Policy().as_dict("triage", "pass/fail")
    shown = ["none" if value is None else str(value).lower() for value in (strict, loose)]
    told = f"{term} {shown[0]} -> {shown[1]}"

    assert policy_changes(same | {term: strict}, same | {term: loose}, looser=True) == [told]
    assert policy_changes(same | {term: loose}, same | {term: strict}, looser=True) == []
    assert len(policy_changes(same | {term: loose}, same | {term: strict}, looser=False)) == 1


def test_every_term_has_a_direction():
    terms = Policy().as_dict("triage", "pass/fail")

    assert terms.keys() == {term for term, _, _ in LOOSER}
    assert policy_changes(terms, terms, looser=True) == policy_changes(terms, terms, looser=False) == []
