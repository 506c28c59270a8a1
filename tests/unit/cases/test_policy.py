from __future__ import annotations

import pytest

from tunegate.harness.cases.json_schemas import published_schema
from tunegate.harness.cases.policy import PartPolicy, Policy, Together, UnitPolicy, policy_changes, read_policy
from tunegate.harness.core.errors import AuthoringError

UNITS = {"triage": "pass/fail", "tone": "pass/fail", "fluency": "continuous", "final": "pass/fail"}
TEXT = """\
version: 1
about: The desk.
units:
  triage: {role: target, margin: 0.08, target_score: 0.9, minimum_score: 0.5, lower: block, reason: tickets}
  fluency: {role: guard, reason: kept}
  final: {role: target, margin: 0.08, seals: triage, reason: looked at once}
"""


@pytest.fixture
def read(tmp_path):
    def policy(text=TEXT, **more):
        path = tmp_path / "task.yaml"
        path.write_text(text)
        return read_policy(path, published_schema("task"), UNITS, {"final"}, **more)

    return policy


def test_a_task_file_declares_what_each_unit_is_held_to(read):
    policy = read()

    assert policy.of("triage", "pass/fail") == UnitPolicy("target", 0.08, 0.9, 0.5, "block", "tickets")
    assert policy.targets == ("triage", "final")
    assert policy.of("final", "pass/fail").seals == "triage"
    assert policy.declared


def test_a_unit_without_a_margin_has_the_default_of_its_kind(read):
    policy = read()

    assert policy.of("tone", "pass/fail").margin == 0.05
    assert policy.of("fluency", "continuous").margin is None
    assert policy.of("fluency", "continuous").reason == "kept"


@pytest.mark.parametrize("key", ["target_score", "minimum_score"])
def test_a_continuous_unit_has_no_target_score(read, key):
    with pytest.raises(AuthoringError, match=f"task.yaml:5: units.fluency.{key}: expected no {key}"):
        read(TEXT.replace("role: guard", f"role: guard, {key}: 0.9"))


def test_without_a_task_file_every_unit_guards():
    policy = Policy()

    assert policy.of("triage", "pass/fail") == UnitPolicy("guard", 0.05)
    assert policy.of("fluency", "continuous") == UnitPolicy("guard", None)
    assert (policy.targets, policy.declared) == ((), False)


def test_all_mistakes_are_told_at_once_also_about_units_that_do_not_exist(read):
    with pytest.raises(AuthoringError) as caught:
        read(TEXT.replace("triage:", "triag:").replace("0.08", "8"))

    assert [(problem.line, problem.where, problem.hint) for problem in caught.value.problems] == [
        (4, "units.triag", "did you mean 'triage'?"),
        (4, "units.triag.margin", "for 8 points or percent write 0.08"),
        (6, "units.final.margin", "for 8 points or percent write 0.08"),
    ]


def test_a_unit_may_be_missing_where_some_could_not_be_read(read):
    policy = read(TEXT.replace("triage:", "mail:").replace(", seals: triage", ""), complete=False)

    assert policy.targets == ("final",)


LOOSER = [
    ("role", "target", "guard"),
    ("margin", 0.05, 0.1),
    ("margin", 0.05, None),
    ("target_score", 0.9, 0.8),
    ("target_score", 0.9, None),
    ("collapse", 0.02, 0.1),
    ("minimum_score", 0.5, 0.4),
    ("minimum_score", 0.5, None),
    ("lower", "block", "allow"),
    ("seals", "triage", None),
    ("sealed", False, True),
    ("ungated", False, True),
]


def test_a_change_is_looser_one_way_and_stricter_the_other():
    for term, strict, loose in LOOSER:
        same = Policy().as_dict("triage", "pass/fail")
        shown = ["none" if value is None else str(value).lower() for value in (strict, loose)]
        told = f"{term} {shown[0]} -> {shown[1]}"

        assert policy_changes(same | {term: strict}, same | {term: loose}, looser=True) == [told]
        assert policy_changes(same | {term: loose}, same | {term: strict}, looser=True) == []
        assert len(policy_changes(same | {term: loose}, same | {term: strict}, looser=False)) == 1


def test_every_term_has_a_direction():
    terms = Policy().as_dict("triage", "continuous")

    assert terms.keys() == {term for term, _, _ in LOOSER}
    assert policy_changes(terms, terms, looser=True) == policy_changes(terms, terms, looser=False) == []


def test_only_a_continuous_guard_may_be_declared_ungated(read):
    for unit, found in [
        ("{role: guard, ungated: true, reason: r}", "a guard, pass/fail"),
        ("{role: guard, ungated: true, margin: 0.1, reason: r}", "a guard, pass/fail, with a margin"),
        ("{role: target, ungated: true, reason: r}", "a target, pass/fail"),
    ]:
        with pytest.raises(AuthoringError, match=f"a continuous guard without a margin, found {found}"):
            read(f"version: 1\nunits:\n  triage: {unit}\n")


def test_a_seal_that_would_prove_nothing_is_refused(read):
    for change, said in [
        (
            ("seals: triage", "seals: triag"),
            "expected an open unit .triage, tone, fluency., found 'triag'; did you mean",
        ),
        (("seals: triage", "seals: final"), "expected an open unit"),
        (("final: {role: target", "final: {role: guard"), "expected a guard, as final is, found triage, which is none"),
        (
            ("margin: 0.08, seals", "margin: 0.3, seals"),
            "expected a margin that is not wider than that of triage, found",
        ),
        (("fluency: {role: guard,", "tone: {role: target, seals: triage,"), "tone, which is open"),
        (
            ("final: {role: target, margin: 0.08, seals: triage", "final: {role: guard, seals: fluency"),
            "expected a pass/fail unit, as final is, found fluency, which is continuous",
        ),
    ]:
        with pytest.raises(AuthoringError, match=said):
            read(TEXT.replace(*change))


def test_a_sealed_unit_without_a_margin_proves_nothing(tmp_path):
    path = tmp_path / "task.yaml"
    path.write_text(
        "version: 1\nunits:\n  fluency: {role: guard, margin: 0.1, reason: kept}\n"
        "  last: {role: guard, ungated: true, seals: fluency, reason: looked at once}\n"
    )
    units = {"fluency": "continuous", "last": "continuous"}
    with pytest.raises(AuthoringError, match="expected a margin that is not wider than that of fluency, found inf"):
        read_policy(path, published_schema("task"), units, {"last"})


OPEN = TEXT.replace("reason: tickets", "reason: tickets, parts: {clean: {margin: 0.03, reason: complaints}}")
PARTS = OPEN.replace(", seals: triage", "").replace("final:", "tone:")


def test_a_part_of_a_pass_rule_has_a_margin_and_a_reason_of_its_own(read):
    policy = read(PARTS, parts_of=lambda unit: {"terms", "clean"})

    assert policy.of("triage", "pass/fail").parts == {"clean": PartPolicy(0.03, "complaints")}
    assert policy.as_dict("triage", "pass/fail")["parts"] == {"clean": 0.03}
    assert "parts" not in policy.as_dict("tone", "pass/fail")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PARTS.replace("clean:", "claen:"), "task.yaml:4: units.triage.parts.claen: expected a part of triage "
         "(clean, terms), found 'claen'; did you mean 'clean'?"),
        (PARTS.replace(", reason: complaints", ""), "task.yaml:4: units.triage.parts.clean: expected the key 'reason'"),
        (PARTS.replace("0.03", "3"), "task.yaml:4: units.triage.parts.clean.margin: expected the tolerated loss"),
        (TEXT.replace("reason: kept", "reason: kept, parts: {clean: {margin: 0.1, reason: r}}"),
         "task.yaml:5: units.fluency.parts: expected a margin of the unit as well as of its parts, found none"),
    ],
)  # fmt: skip
def test_a_part_that_cannot_be_gated_is_refused(read, text, said):
    with pytest.raises(AuthoringError) as caught:
        read(text, parts_of=lambda unit: {"terms", "clean"})

    assert said in str(caught.value)


def test_a_sealed_unit_holds_the_parts_of_the_one_that_it_proves(read):
    sealed = "reason: looked at once, parts: {clean: {margin: 0.03, reason: complaints}}"

    with pytest.raises(AuthoringError, match=r"final.seals: expected parts on final with margins no wider"):
        read(OPEN)
    with pytest.raises(AuthoringError, match="found none or wider ones for clean; declare its `parts`"):
        read(OPEN.replace("reason: looked at once", sealed.replace("0.03", "0.05")))
    assert read(OPEN.replace("reason: looked at once", sealed)).of("final", "pass/fail").parts


def test_the_parts_of_a_kind_that_names_none_are_not_checked(read):
    assert read(PARTS.replace("clean:", "claen:")).of("triage", "pass/fail").parts.keys() == {"claen"}


def test_a_part_that_lost_its_margin_or_got_a_wider_one_is_looser():
    for old, new, looser in [
        (None, {"clean": 0.03}, False),
        ({"clean": 0.03}, None, True),
        ({"clean": 0.03}, {"clean": 0.05}, True),
        ({"clean": 0.03}, {"clean": 0.02, "terms": 0.1}, False),
        ({"clean": 0.03, "terms": 0.1}, {"clean": 0.02}, True),
        (None, {"clean": 0.99}, True),
        ({"clean": 0.03}, {"clean": 0.02, "terms": 0.11}, True),
        ({"clean": 0.3}, {"clean": 0.2}, False),
    ]:
        sides = [{"margin": 0.1} | ({"parts": parts} if parts else {}) for parts in (old, new)]

        assert bool(policy_changes(*sides, looser=True)) == looser
        assert bool(policy_changes(*sides, looser=False)) != looser
        assert policy_changes({"parts": {"clean": 0.03}}, {}, looser=True) == ["parts clean 0.03 -> none"]


GROUP = {"margin": 0.03, "weights": {"tone": 2.0, "triage": 1.0}}


@pytest.mark.parametrize(
    ("old", "new", "looser"),
    [
        (None, GROUP, True),
        (GROUP, None, True),
        (GROUP, GROUP | {"margin": 0.04}, True),
        (GROUP, GROUP | {"margin": 0.02}, False),
        (GROUP, GROUP | {"weights": {"tone": 1.0, "triage": 1.0}}, True),
        (GROUP, GROUP | {"margin": 0.02, "weights": {"tone": 2.0}}, True),
    ],
)
def test_guards_held_together_are_looser_with_a_wider_margin_or_with_any_other_guards_or_weights(old, new, looser):
    sides = [{"together": group} if group else {} for group in (old, new)]
    assert bool(policy_changes(*sides, looser=True)) == looser
    assert bool(policy_changes(*sides, looser=False)) != looser


def test_a_sealed_guard_has_the_weight_of_the_one_that_it_seals_in_a_group_of_its_own():
    units = {"final": UnitPolicy(seals="triage")}
    policy = Policy(units, together=Together({"tone": 2.0, "triage": 1.0}, 0.03))
    assert [policy.weight(unit) for unit in ("tone", "triage", "final", "other")] == [2.0, 1.0, 1.0, None]
    assert Policy(units).weight("triage") is None
    assert policy.as_dict("triage", "pass/fail")["together"] == GROUP
    assert policy.as_dict("final", "pass/fail", sealed=True)["together"] == GROUP | {"weights": {"triage": 1.0}}
    assert "together" not in policy.as_dict("other", "pass/fail")
