"""The first lines: the verdict with both scores, and the part that was edited."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.reporting.test_html import UNIT, case, report
from tunegate.harness.reporting.edited import EditedPart
from tunegate.harness.reporting.headline import head
from tunegate.harness.reporting.report import Report, RuleReport, UnitReport

SCORES = "in service 100.0 %, this change 80.0 %"
REGRESSED = "Blocked: desk/triage regressed."
PROMPT = EditedPart("desk/triage", "system", "Sort the ticket.", "Sort.")
HOT = EditedPart("desk/triage", "temperature", "0.0", "1.0")


def gated(verdict: str, *units: UnitReport, edited: tuple[EditedPart, ...] = ()) -> Report:
    one = report(case())
    candidate = replace(one.candidates[0], units=units, verdict=verdict)
    return replace(one, verdict=verdict, candidates=(candidate,), rules=RuleReport(configuration=edited))


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
    assert head(gated(REGRESSED, UNIT, edited=edited)) == (f"Blocked: desk/triage regressed: {SCORES}{end}.", "")


def test_what_else_the_verdict_says_follows():
    assert head(gated(f"{REGRESSED} Outputs supplied.", UNIT))[1] == "Outputs supplied."


def test_of_several_units_the_one_that_lost_most_is_named_and_the_verdict_names_all():
    worst = replace(UNIT, key="desk/replies", difference=-0.5, mean=0.5)
    verdict = "Blocked: desk/triage regressed, desk/replies regressed."
    first = "Blocked: desk/replies regressed: in service 100.0 %, this change 50.0 %, and 1 more unit."
    assert head(gated(verdict, UNIT, worst)) == (first, verdict)


def test_what_regressed_although_its_mean_rose_is_named_with_the_cause():
    risen = replace(UNIT, base=0.1, mean=0.6, difference=0.5, reason="Regressed: the slice today=true fell. More.")
    line = "Blocked: desk/triage regressed (the slice today=true fell): in service 10.0 %, this change 60.0 %."
    assert head(gated(REGRESSED, risen)) == (line, "")


def test_rule_changes_stay_first():
    first, rest = head(gated(f"Blocked by 1 unapproved rule change. {REGRESSED}", UNIT, edited=(PROMPT,)))
    assert first == "Blocked by 1 unapproved rule change."
    assert rest == f"{REGRESSED} desk/triage: {SCORES}."


def test_a_verdict_that_passes_has_the_scores_of_a_few_units_behind_it():
    held = replace(UNIT, verdict="held", blocks=False)
    units = [replace(held, key=f"desk/u{number}") for number in range(4)]
    assert head(gated("Held.", held)) == ("Held.", f"desk/triage: {SCORES}.")
    assert head(gated("Held.", *units)) == ("Held.", "")


def test_of_several_candidates_the_verdict_stands_as_it_is():
    one = gated("Blocked: a, b (2 of 2).", UNIT)
    assert head(replace(one, candidates=one.candidates * 2)) == ("Blocked: a, b (2 of 2).", "")


@pytest.mark.parametrize(("verdict", "times"), [("Held.", 1), (REGRESSED, 1), ("Blocked: a, b (2 of 2).", 2)])
def test_what_only_the_change_says_of_near_cases_stands_in_the_first_lines(verdict, times):
    one = gated(verdict, UNIT)
    claimed = "7 of 60 cases of desk/triage are near by this change's own record."
    candidates = tuple(replace(each, about_near=claimed) for each in one.candidates * times)
    assert head(replace(one, candidates=candidates))[1].count(claimed) == times
