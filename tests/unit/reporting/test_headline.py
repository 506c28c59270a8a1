"""The first lines: the verdict with both scores, and the part that was edited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.unit.reporting.test_html import UNIT, case, report
from tests.unit.reporting.test_report import judged
from tunegate.harness.evaluation import verdict
from tunegate.harness.evaluation.remarks import Remark, cause, note, warning
from tunegate.harness.gate import messages
from tunegate.harness.reporting.edited import EditedPart
from tunegate.harness.reporting.headline import head
from tunegate.harness.reporting.report import Report, RuleReport, UnitReport, report_of

SCORES = "in service 100.0 %, this change 80.0 %"
REGRESSED = cause("units-block", "Blocked: desk/triage regressed.", ["desk/triage"])
RULES = cause("rule-changes", "Blocked by 1 unapproved rule change.")
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
    assert head(gated([REGRESSED], UNIT, edited=edited)) == (f"Blocked: desk/triage regressed: {SCORES}{end}.", "")


def test_what_else_the_verdict_says_follows():
    assert head(gated([REGRESSED, note("supplied", "Outputs supplied.")], UNIT))[1] == "Outputs supplied."


def test_of_several_units_the_one_that_lost_most_is_named_and_the_verdict_names_all():
    worst = replace(UNIT, key="desk/replies", difference=-0.5, mean=0.5)
    verdict = "Blocked: desk/triage regressed, desk/replies regressed."
    said = cause("units-block", verdict, ["desk/triage", "desk/replies"])
    first = "Blocked: desk/replies regressed: in service 100.0 %, this change 50.0 %, and 1 more unit."
    assert head(gated([said], UNIT, worst)) == (first, verdict)


def test_what_regressed_although_its_mean_rose_is_named_with_the_cause():
    risen = replace(UNIT, base=0.1, mean=0.6, difference=0.5, remarks=(
        warning("part-lower", "Regressed, and 'clean' fell."), cause("slice-regression", "the slice today=true fell"),
        note("numbers", "More."),
    ))  # fmt: skip
    line = "Blocked: desk/triage regressed (the slice today=true fell): in service 10.0 %, this change 60.0 %."
    assert head(gated([REGRESSED], risen)) == (line, "")


@pytest.mark.parametrize("word", ["Blocked", "Stopped"])
def test_whatever_the_words_of_the_gate_the_first_line_has_both_scores(tmp_path, monkeypatch, word):
    monkeypatch.setitem(verdict.HEADS, "block", word)
    monkeypatch.setattr(messages, "worse", lambda facts: cause("significantly-worse", "other words. And more"))
    made = judged(tmp_path, "1" * 40, "0" * 8 + "1" * 32)
    line = "Blocked: desk/triage regressed: in service 100.0 %, this change 80.0 %."
    assert made.tasks["desk"].reason == f"{word}: desk/triage regressed. {BARE.text}"
    assert head(report_of([made])) == (f"{line} {BARE.text}", "")


def test_rule_changes_stay_first():
    first, rest = head(replace(gated([REGRESSED], UNIT, edited=(PROMPT,)), said=(RULES, REGRESSED)))
    assert first == RULES.text
    assert rest == f"{REGRESSED.text} desk/triage: {SCORES}."


def test_a_verdict_that_passes_has_the_scores_of_a_few_units_behind_it():
    held = replace(UNIT, verdict="held", blocks=False)
    units = [replace(held, key=f"desk/u{number}") for number in range(4)]
    assert head(gated([HELD], held)) == ("Held.", f"desk/triage: {SCORES}.")
    assert head(gated([HELD], *units)) == ("Held.", "")


@pytest.mark.parametrize("said", [HELD, REGRESSED])
def test_that_there_is_no_guard_stands_in_the_first_line_once(said):
    more = note("supplied", "Outputs supplied.")
    first, rest = head(gated([said, more, BARE, BARE], UNIT))
    assert (first.count(BARE.text), first.endswith(BARE.text), BARE.text in rest) == (1, True, False)
    assert "Outputs supplied." in rest


def test_rule_changes_stay_before_that_there_is_no_guard():
    assert head(replace(gated([HELD, BARE], UNIT), said=(RULES, HELD, BARE)))[0] == f"{RULES.text} {BARE.text}"


def test_of_several_candidates_the_verdict_stands_as_it_is():
    one = gated([BOTH], UNIT)
    assert head(replace(one, candidates=one.candidates * 2)) == (BOTH.text, "")


@pytest.mark.parametrize(("said", "times"), [(HELD, 1), (REGRESSED, 1), (BOTH, 2)])
def test_what_only_the_change_says_of_near_cases_stands_in_the_first_lines(said, times):
    one = gated([said], UNIT)
    claimed = "7 of 60 cases of desk/triage are near by this change's own record."
    candidates = tuple(replace(each, about_near=claimed) for each in one.candidates * times)
    assert head(replace(one, candidates=candidates))[1].count(claimed) == times
