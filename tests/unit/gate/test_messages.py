"""The sentences of the gate."""

from __future__ import annotations

from dataclasses import replace

from tunegate.harness.core import formatting
from tunegate.harness.gate import decision_messages, messages
from tunegate.harness.models.evaluation.remarks import warning
from tunegate.harness.models.evaluation.verdict import Decided, TaskDecision, UnitVerdict, ValueFall


def test_points_have_a_sign_and_no_negative_zero():
    for value, text in [(0.125, "+12.5"), (-0.02, "-2.0"), (0.0, "+0.0"), (-0.0004, "+0.0"), (None, "-")]:
        assert formatting.points(value) == text


def test_a_list_names_three_and_counts_the_rest():
    assert formatting.listed(["a", "b", "c"]) == "a, b, c"
    assert formatting.listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


def test_scores_read_as_shares_only_where_cases_pass_or_fail():
    assert formatting.level(0.975, "pass/fail") == "97.5 %"
    assert formatting.level(-3.21, "continuous") == "-3.21"
    assert formatting.difference(-0.02, (-0.06, 0.014), "pass/fail") == "-2.0 [-6.0, +1.4]"
    assert formatting.difference(-0.02, None, "continuous") == "-0.02"
    assert formatting.difference(0.025751, (-0.0247, 1234.5), "continuous") == "+0.0258 [-0.0247, +1234]"


def test_rates_stand_beside_those_of_the_reference():
    now, before = {"adherence": 1.0, "exact": 0.817}, {"adherence": 0.0}
    alike, apart = {"adherence": 60, "exact": 60}, {"adherence": 60, "exact": 40}
    said = "adherence 100.0 %, exact 81.7 % of 60 (baseline: 0.0 %, -)"
    assert formatting.rates(now, before, "baseline", alike) == said
    assert formatting.rates(now, {}, "baseline", alike) == "adherence 100.0 %, exact 81.7 % of 60"
    assert formatting.rates(now, {}, "baseline", apart) == "adherence 100.0 % of 60, exact 81.7 % of 40"


def judged(verdict: str = "held", unit: str = "desk/triage", **more: object) -> UnitVerdict:
    known: dict = {"role": "guard", "kind": "pass/fail", "n": 100, "base": 0.9, "mean": 0.9, "difference": 0.0}
    return UnitVerdict(unit, "baseline", verdict, (), **(known | more))


def outlook(*verdicts: UnitVerdict, **more: object) -> decision_messages.Outlook:
    known: dict = {"task": "desk", "aimed": True, "declared": True, "no_target": False, "reused": [], "unseen": []}
    known["short"] = []
    blocking = [each for each in verdicts if each.blocks]
    return decision_messages.Outlook(verdicts=verdicts, blocking=blocking, **(known | {"supplied": ""} | more))


def told(outlook: decision_messages.Outlook, decided: Decided = "block") -> str:
    return TaskDecision(decided, decision_messages.decision(outlook)).reason


def test_only_a_released_task_is_told_to_be_released():
    target = judged("improved", role="target")
    said = {
        told(outlook(target)),
        told(outlook(target, judged("regressed", "desk/replies", blocks=True))),
        told(outlook(judged(role="target"), short=[judged(role="target")])),
        told(outlook(judged(), no_target=True)),
        told(outlook(judged(), no_target=True, declared=False)),
        told(outlook(judged(), aimed=False)),
        told(outlook(judged(), aimed=False, declared=False)),
    }
    assert [text for text in said if text.startswith("Release")] == [told(outlook(target))]


def test_supplied_outputs_are_never_told_to_be_released():
    target = judged("improved", role="target")
    passed = told(outlook(target, supplied="outputs", unseen=["desk/final"]))
    assert passed == (
        "Passed: desk/triage (90.0 % -> 90.0 %) improved. The outputs come from a file: they can be compared, "
        "but not released."
    )
    blocked = told(outlook(judged(role="target"), short=[judged(role="target")], supplied="outputs"))
    assert blocked.startswith("Blocked: no gain on desk/triage")
    assert "The outputs come from a file" in blocked


def test_a_blocked_task_says_what_is_wrong_with_each_unit():
    for facts, trouble in [
        (judged("regressed", blocks=True), "desk/triage regressed (90.0 % -> 90.0 %)"),
        (judged("inconclusive", blocks=True), "desk/triage inconclusive (90.0 % -> 90.0 %)"),
        (judged("inconclusive", blocks=True, difference=None), "desk/triage cannot be compared"),
    ]:
        assert told(outlook(facts)) == f"Blocked: {trouble}."


def test_units_that_did_not_hold_are_not_said_to():
    said = told(outlook(judged("improved", role="target"), judged("ungated", "desk/cost")))
    assert said == (
        "Release: desk/triage (90.0 % -> 90.0 %) improved; every guard of desk held, desk/cost is not gated."
    )


def test_a_guard_that_cannot_fall_is_none():
    said = told(outlook(judged("improved", role="target"), judged("cannot fall", "desk/orders")))
    assert said == "Release: desk/triage (90.0 % -> 90.0 %) improved; desk has no guard, desk/orders cannot fall."


def test_no_guard_in_any_task_is_said_of_all_targets():
    target = judged("improved", role="target")
    both = told(outlook(target, unguarded=["desk/triage", "mail/triage"]))
    assert both == "Release: desk/triage (90.0 % -> 90.0 %) improved. No guard: nothing but the targets was tested."


def test_a_task_of_which_nothing_was_ever_right_is_said_to_prove_nothing():
    proves = "nothing was right in desk/triage before or after (a score of 0 % cannot fall, so this proves nothing)"
    for wrong in (judged("held", role="target", base=0.0, mean=0.0), judged("cannot fall", base=0.0, mean=0.0)):
        assert told(outlook(wrong, aimed=False)) == f"Nothing had to improve here: {proves}."
        both = told(outlook(wrong, judged(unit="desk/replies"), aimed=False))
        assert both == f"Nothing had to improve here: every other unit of desk held, {proves}."
    guard = told(outlook(judged("improved", "desk/a", role="target"), wrong))
    assert guard == f"Release: desk/a (90.0 % -> 90.0 %) improved; desk has no guard, {proves}."


def test_a_unit_of_which_nothing_was_ever_right_is_said_to_prove_nothing():
    facts = judged("held", base=0.0, mean=0.0, role="target", interval=(0.0, 0.0), level=0.04, observations=100)
    said = replace(facts, remarks=messages.remarks(facts, [])).reason
    assert said.startswith("Held: nothing was right in the baseline, and nothing is now: a score of 0 % cannot fall")


def test_a_gain_on_reused_cases_is_unproven():
    said = told(outlook(judged("improved", role="target"), reused=["desk/triage"]), "unproven")
    assert said.startswith("Unproven: desk/triage (90.0 % -> 90.0 %) improved; but reused cases prove no gain")


def test_scores_on_a_scale_of_their_own_have_no_case_that_passes():
    scored = judged(role="target", kind="continuous", base=4.0, mean=4.0)
    assert told(outlook(scored, short=[scored])) == "Blocked: no gain on desk/triage."


def test_no_confidence_reads_as_certain():
    for error, told in [
        (0.04, "96 %"),
        (0.032, "96.8 %"),
        (0.04 * 0.8 * 0.2**4, "99.995 %"),
        (0.04 * 0.8 * 0.2**5, "99.999 %"),
        (0.04 * 0.8 * 0.2**6, "99.9998 %"),
        (1e-9, "99.9999999 %"),
    ]:
        assert formatting.certainty(error) == told


def test_numbers_are_written_without_powers_of_ten():
    for value, told in [
        (-2.3456789e-05, "-0.00002346"),
        (2e-06, "0.000002"),
        (-3.1, "-3.1"),
        (0.0, "0"),
        (-0.0, "0"),
        (1e-4, "0.0001"),
        (-12345.6, "-12346"),
        (9999.4, "9999"),
    ]:
        assert formatting.plain(value) == told


def test_what_fell_in_a_unit_that_blocks_is_not_said_to_be_ungated():
    lost = (ValueFall("team", '"repairs"', 20, 18, 2),)
    blocked = told(outlook(judged("regressed", blocks=True, falls=lost)))
    assert "Fell, but not gated" not in blocked
    assert "Fell, but not gated: 'team'" in told(outlook(judged("held", falls=lost), no_target=True))


def test_a_mean_that_rose_without_a_gain_says_why():
    rose = judged(role="target", base=0.25, mean=0.58, difference=0.33)
    assert told(outlook(rose, short=[rose])) == "Blocked: no gain beyond chance on desk/triage (25.0 % -> 58.0 %)."
    near = replace(rose, remarks=(warning("near-gains", "This gain is not shown."),))
    assert told(outlook(near, short=[near])).startswith(
        "Blocked: no gain apart from cases that training rows come near"
    )
