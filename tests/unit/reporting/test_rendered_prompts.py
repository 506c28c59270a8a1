"""Prompts as a chat template writes them, in a report."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.reporting.test_report import T, judged
from tunegate.harness.models.api import RenderedPrompt, Request
from tunegate.harness.reporting.rendered_prompts import with_prompts
from tunegate.harness.reporting.report import report_of


def render(asked: Request) -> RenderedPrompt:
    """A token a word."""
    text = f"<{asked.messages[-1][1]}>"
    return RenderedPrompt(text, tuple(range(len(text.split()))))


def test_each_open_case_has_its_own(tmp_path):
    made = judged(tmp_path, "1" * 40, "0" * 8 + "1" * 32)
    found = with_prompts(report_of([made]), [made], render)
    cases = {case.key: case.rendered for case in found.candidates[0].cases}
    assert cases[f"{T}/c007"] == RenderedPrompt("<message c007>", (0, 1))
    assert len(cases) == 40
    assert found.notes == ()


def test_a_sealed_case_has_none(tmp_path):
    made = judged(tmp_path, "1" * 40, "0" * 8 + "1" * 32, sealed=True)
    found = with_prompts(report_of([made]), [made], render)
    assert {case.rendered for case in found.candidates[0].cases} == {None}


def test_where_the_record_counted_other_tokens_a_note_says_so(tmp_path):
    made = judged(tmp_path, "1" * 40, "0" * 8 + "1" * 32)
    counted = {f"{T}/c001": 2, f"{T}/c002": 3, f"{T}/c003": 4}
    cases = {key: replace(each, tokens_in=counted.get(key)) for key, each in made.cases.items()}
    found = with_prompts(report_of([made]), [replace(made, cases=cases)], render)
    assert found.notes == ("2 prompts have another number of tokens than in the record: another tokenizer or template",)
