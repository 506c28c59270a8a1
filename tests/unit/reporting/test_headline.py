"""The first lines: the verdict with both scores, and the part that was edited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import pytest

from tests.unit.reporting.test_html import UNIT, case, report
from tests.unit.reporting.test_report import judged
from tunegate.harness.gate import messages
from tunegate.harness.models.evaluation import verdict
from tunegate.harness.models.evaluation.remarks import Cause, Remark, cause, causes_text, note, warning
from tunegate.harness.models.evaluation.verdict import Alike
from tunegate.harness.reporting.edited import EditedPart
from tunegate.harness.reporting.headline import head
from tunegate.harness.reporting.next_step import STEPS
from tunegate.harness.reporting.report import Report, RuleReport, UnitReport, report_of

SCORES = "in service 100.0 %, this change 80.0 %"
READ = "Next: read its 8 regressed cases, then change the model or its prompt."
IGNORED = "Next: read the prompt and one case of desk/triage: its outputs hardly depend on the input."
REGRESSED = cause("units-block", "Blocked: desk/triage regressed.", ["desk/triage"])
RULES = cause("rule-changes", "Blocked by 1 unapproved rule change.")
LOW = "Next: raise its score, or have a lower minimum_score in task.yaml approved."
ON = "Next: nothing blocks, go on."
HELD = note("no-target-needed", "Held.")
BARE = warning("no-guard", "No guard: nothing but the target was tested.", ["desk/triage"])
BOTH = cause("candidates-block", "Blocked: a, b (2 of 2).")
PROMPT = EditedPart("desk/triage", "system", "Sort the ticket.", "Sort.")
HOT = EditedPart("desk/triage", "temperature", "0.0", "1.0")


def gated(said: Sequence[Remark], *units: UnitReport, edited: tuple[EditedPart, ...] = ()) -> Report:
    one, said = report(case()), tuple(said)
    outcome = "blocked" if said[0].severity == "error" else "passed"
    candidate = replace(one.candidates[0], outcome=outcome, units=units, said=said)
    return replace(one, said=said, candidates=(candidate,), rules=RuleReport(configuration=edited))


@pytest.mark.parametrize(("edited", "end"), [
    ((), ""),
    ((PROMPT,), "; edited: system prompt"),
    ((PROMPT, replace(PROMPT, unit="desk/replies")), "; edited: system prompt"),
    ((HOT,), "; edited: temperature 0.0 -> 1.0"),
    ((PROMPT, HOT), ""),
    ((replace(PROMPT, part="worked example 2, added", before=""), replace(PROMPT, part="worked example 4")),
     "; edited: worked examples"),
])  # fmt: skip
def test_what_regressed_is_named_with_both_scores_and_the_one_part_that_was_edited(edited, end):
    assert head(gated([REGRESSED], UNIT, edited=edited)) == (
        f"Blocked: desk/triage regressed: {SCORES}{end}. {READ}",
        (),
    )


def test_what_else_the_verdict_says_follows():
    assert head(gated([REGRESSED, note("supplied", "Outputs supplied.")], UNIT))[1] == ("Outputs supplied.",)


def test_of_several_units_the_one_that_lost_most_is_named_and_then_the_others():
    worst = replace(UNIT, key="desk/replies", difference=-0.5, mean=0.5)
    verdict = "Blocked: desk/triage regressed, desk/replies regressed."
    said = cause("units-block", verdict, ["desk/triage", "desk/replies"])
    first = f"Blocked: desk/replies regressed: in service 100.0 %, this change 50.0 %. {READ}"
    assert head(gated([said], UNIT, worst)) == (first, (f"desk/triage regressed: {SCORES}.",))


def test_what_regressed_although_its_mean_rose_is_named_with_the_cause():
    risen = replace(UNIT, base=0.1, mean=0.6, difference=0.5, remarks=(
        warning("part-lower", "Regressed, and 'clean' fell."), cause("slice-regression", "the slice today=true fell"),
        note("numbers", "More."),
    ))  # fmt: skip
    numbers = "in service 10.0 %, this change 60.0 %"
    line = f"Blocked: desk/triage regressed: the slice today=true fell; {numbers}. {READ}"
    assert head(gated([REGRESSED], risen)) == (line, ())


@pytest.mark.parametrize("word", ["Blocked", "Stopped"])
def test_whatever_the_words_of_the_gate_the_first_line_has_both_scores(tmp_path, monkeypatch, word):
    monkeypatch.setitem(verdict.HEADS, "block", word)
    monkeypatch.setattr(messages, "worse", lambda facts: cause("significantly-worse", "other words. And more"))
    made = judged(tmp_path, "1" * 40, "0" * 8 + "1" * 32)
    line = f"Blocked: desk/triage regressed: {CRITICAL.text}; in service 100.0 %, this change 80.0 %."
    assert made.tasks["desk"].reason == f"{word}: desk/triage regressed (100.0 % -> 80.0 %). {BARE.text}"
    assert head(report_of([made])) == (f"{line} {BARE.text} {READ}", ())


def test_rule_changes_stay_first():
    first, rest = head(replace(gated([REGRESSED], UNIT, edited=(PROMPT,)), said=(RULES, REGRESSED)))
    assert first == RULES.text
    assert rest == (f"desk/triage regressed: {SCORES}.",)


def test_a_verdict_that_passes_has_the_scores_of_a_few_units_behind_it():
    held = replace(UNIT, verdict="held", blocks=False)
    units = [replace(held, key=f"desk/u{number}") for number in range(4)]
    assert head(gated([HELD], held)) == (f"Held. {ON}", (f"desk/triage: {SCORES}.",))
    assert head(gated([HELD], *units)) == (f"Held. {ON}", ())


@pytest.mark.parametrize("said", [HELD, REGRESSED])
def test_that_there_is_no_guard_stands_in_the_first_line_once(said):
    more = note("supplied", "Outputs supplied.")
    first, rest = head(gated([said, more, BARE, BARE], UNIT))
    assert (first.count(BARE.text), first.index("Next: ") > first.index(BARE.text), BARE.text in rest) == (
        1,
        True,
        False,
    )
    assert "Outputs supplied." in rest


def test_rule_changes_stay_before_that_there_is_no_guard():
    assert head(replace(gated([HELD, BARE], UNIT), said=(RULES, HELD, BARE)))[0] == f"{RULES.text} {BARE.text}"


def test_of_several_candidates_the_verdict_stands_as_it_is():
    one = gated([BOTH], UNIT)
    assert head(replace(one, candidates=one.candidates * 2)) == (f"{BOTH.text} Next: read the table of each.", ())


@pytest.mark.parametrize(("said", "times"), [(HELD, 1), (REGRESSED, 1), (BOTH, 2)])
def test_what_only_the_change_says_of_near_cases_stands_in_the_first_lines(said, times):
    one = gated([said], UNIT)
    claimed = "7 of 60 cases of desk/triage are near by this change's own record."
    candidates = tuple(replace(each, about_near=claimed) for each in one.candidates * times)
    assert " ".join(head(replace(one, candidates=candidates))[1]).count(claimed) == times


FORM = warning("same-outputs", "40 of 40 outputs are the same.")
FIELD = cause("part-regression", "'urgent' fell from 100.0 % to 70.0 % of 40 cases")
VALUE = cause("value-lost", "'team' is never right where \"repairs\" is expected: 0 of 9 cases, 9 in the baseline")
CRITICAL = cause("critical-regression", "a critical case regressed (c001)")
SLICE = cause("slice-regression", "the slice channel=sms fell")
WHOLE = cause("significantly-worse", "worse than the baseline by more than the margin of 5.0 (one-sided 95 %)")
MINIMUM = cause("below-minimum", "below the minimum score of 90.0 %, regardless of the baseline")
CONSTANT = Alike(40, same=40, output='{"team": "repairs"}')
EACH = 'desk/triage outputs {"team": "repairs"} in every case'


@pytest.mark.parametrize(("remarks", "said"), [
    ([MINIMUM, WHOLE, SLICE, CRITICAL, VALUE, FIELD], f"desk/triage regressed: {FIELD.text}"),
    ([MINIMUM, WHOLE, SLICE, CRITICAL, VALUE], f"desk/triage regressed: {VALUE.text}"),
    ([MINIMUM, WHOLE, SLICE, CRITICAL], f"desk/triage regressed: {CRITICAL.text}"),
    ([MINIMUM, WHOLE, SLICE], f"desk/triage regressed: {SLICE.text}"),
    ([MINIMUM], f"desk/triage regressed: {MINIMUM.text}"),
])  # fmt: skip
def test_the_first_line_names_the_decisive_cause_field_then_value_then_slice_then_the_whole(remarks, said):
    step = READ if remarks != [MINIMUM] else LOW
    line = f"Blocked: {said}; {SCORES}. {step}"
    assert head(gated([REGRESSED], replace(UNIT, remarks=tuple(remarks)))) == (line, ())


def test_a_loss_of_the_whole_unit_is_its_two_scores():
    unit = replace(UNIT, remarks=(WHOLE, MINIMUM))
    assert head(gated([REGRESSED], unit))[0] == f"Blocked: desk/triage regressed: {SCORES}. {READ}"


def test_outputs_that_are_all_the_same_are_the_cause_whatever_else_fell():
    unit = replace(UNIT, remarks=(FORM, FIELD, WHOLE), alike=CONSTANT)
    assert head(gated([REGRESSED], unit))[0] == f"Blocked: {EACH}; {SCORES}. {IGNORED}"


@pytest.mark.parametrize(("alike", "said"), [
    (CONSTANT, EACH),
    (replace(CONSTANT, same=36), 'desk/triage outputs {"team": "repairs"} in 36 of 40 cases'),
    (replace(CONSTANT, output=""), "desk/triage outputs the same in every case"),
    (replace(CONSTANT, output="a\u202eb"), 'desk/triage outputs "a\\u202eb" in every case'),
])  # fmt: skip
def test_a_target_without_a_gain_whose_outputs_are_the_same_says_so_first(alike, said):
    unit = replace(UNIT, verdict="held", blocks=False, base=0.0, mean=0.38, difference=0.38, role="target", alike=alike)
    none = cause("no-gain", "Blocked: no gain on desk/triage (0.0 % -> 38.0 %).", ["desk/triage"])
    line = f"Blocked: {said}; in service 0.0 %, this change 38.0 %. {IGNORED}"
    assert head(gated([none], replace(unit, remarks=(FORM,)))) == (line, (none.text,))


def test_each_further_reason_is_a_line_and_no_unit_is_named_twice():
    other = replace(UNIT, key="desk/names", verdict="inconclusive", base=1.0, mean=1.0, difference=0.0, regressed=0)
    both = cause(
        "units-block", "Blocked: desk/names inconclusive, desk/triage regressed.", ["desk/names", "desk/triage"]
    )
    none = cause("no-gain", "Blocked: no gain on desk/tone (10.0 % -> 10.0 %).", ["desk/tone"])
    first, rest = head(gated([both, none, note("supplied", "Outputs supplied.")], UNIT, other))
    assert first.startswith("Blocked: desk/triage regressed: ")
    assert rest == (
        "desk/names inconclusive: in service 100.0 %, this change 100.0 %.", none.text, "Outputs supplied.",
    )  # fmt: skip


def test_what_cannot_be_compared_or_has_no_margin_is_named_with_its_reason():
    gone = cause("not-comparable", "cannot be compared: the run has no score for 1 case (c000)")
    unit = replace(UNIT, verdict="inconclusive", mean=None, difference=None, remarks=(gone,))
    cannot = cause("units-block", "Blocked: desk/triage cannot be compared.", ["desk/triage"])
    assert head(gated([cannot], unit)) == (
        f"Blocked: desk/triage {gone.text}. Next: complete what is missing, and run again.",
        (),
    )
    bare = replace(unit, verdict="ungated", remarks=(warning("ungated", "Not gated: no margin; declare one."),))
    assert head(gated([cannot], bare)) == (
        "Blocked: desk/triage has no margin, so any loss would pass. Next: declare a margin in task.yaml.",
        (),
    )


def test_a_refusal_after_something_was_measured_has_the_scores():
    one = gated([REGRESSED], UNIT)
    refused = replace(one, outcome="refused", said=(cause("refused", "Refused: something is missing."),))
    assert head(refused)[1] == (f"desk/triage regressed: {SCORES}.",)


def test_scores_that_the_verdict_names_are_not_repeated():
    won = note("release", "Release: desk/triage improved (80.0 % -> 100.0 %).", ["desk/triage"])
    held = replace(UNIT, key="desk/tone", verdict="held", blocks=False, remarks=())
    first, rest = head(gated([won], replace(UNIT, verdict="improved", blocks=False, remarks=()), held))
    assert (first, rest) == (f"{won.text} Next: release it with tunegate release.", (f"desk/tone: {SCORES}.",))


@pytest.mark.parametrize(("regressed", "sealed", "what"), [
    (1, False, "its regressed case"), (3, False, "its 3 regressed cases"), (3, True, "open cases of the same kind"),
    (0, False, "its outputs"),
])  # fmt: skip
def test_the_next_step_names_what_can_be_read(regressed, sealed, what):
    unit = replace(UNIT, regressed=regressed, sealed=sealed)
    step = f" Next: read {what}, then change the model or its prompt."
    assert head(gated([REGRESSED], unit))[0].endswith(step)


def test_a_cause_with_a_step_of_its_own_is_followed_by_it_once():
    few = cause("loss-not-excluded", "the loss may be up to 9.0 points", step="add cases: about 99 would settle it")
    unit = replace(UNIT, verdict="inconclusive", difference=0.0, mean=1.0, remarks=(few,))
    line = "desk/triage inconclusive: the loss may be up to 9.0 points; in service 100.0 %, this change 100.0 %"
    assert head(gated([REGRESSED], unit)) == (f"Blocked: {line}. Next: add cases: about 99 would settle it.", ())
    assert causes_text([few]) == f"{few.text}; {few.step}"


def test_an_advice_of_the_decision_is_the_next_step_and_no_further_line():
    reused = cause("reused-cases", "Unproven: reused cases.", ["desk/triage"])
    held = replace(UNIT, verdict="held", blocks=False, base=None)
    first, rest = head(gated([reused, note("advice", "Prove it on new cases.")], held))
    assert (first, rest) == ("Unproven: reused cases. Next: prove it on new cases.", ())


def test_rule_changes_are_followed_by_how_a_reviewer_approves_them():
    one = gated([REGRESSED], UNIT)
    first, _ = head(replace(one, said=(RULES, REGRESSED), rules=RuleReport(modified=("x",), approve="abc")))
    assert first == f"{RULES.text} Next: a reviewer reads the rule changes and runs it with --approve=abc."


def test_each_cause_has_a_next_step():
    own = {
        "loss-not-excluded",
        "loss-not-excluded-without-near",
        "group-loss-not-excluded",
        "labels-missing",
        "judgements-missing",
        "rewarded-gain",
        "reused-cases",
        "trained-elsewhere",
        "gate-result",
    }
    elsewhere = {"units-block", "rule-changes", "rules-block"}  # by the unit, the digest, the lines below
    assert set(get_args(Cause)) == own | elsewhere | (STEPS.keys() & {*get_args(Cause)})
