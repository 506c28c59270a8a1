"""The prompts of a report as rendered by a model's chat template, with their token ids, on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tunegate.harness.cases.model import Decoding
from tunegate.harness.evaluation.record import Record, Result
from tunegate.harness.models.api import PromptRenderer, RenderedPrompt, Request
from tunegate.harness.reporting.report import CandidateReport, CaseReport, Report


def with_prompts(report: Report, records: Sequence[Record], render: PromptRenderer) -> Report:
    """Add the rendered prompt of each open case to the report.

    A note reports prompts whose token counts differ from the record's, which indicates another template or tokenizer.

    Raises:
        Refused: the template does not accept a prompt.
    """
    candidates = tuple(_candidate(each, render) for each in report.candidates)
    results = [record.cases for record in records]
    other = sum(_differ(each, of) for each, of in zip(candidates, results, strict=True))
    note = f"{other} prompts have another number of tokens than in the record: another tokenizer or template"
    return replace(report, candidates=candidates, notes=(*report.notes, note) if other else report.notes)


def _candidate(candidate: CandidateReport, render: PromptRenderer) -> CandidateReport:
    return replace(candidate, cases=tuple(replace(case, rendered=_rendered(case, render)) for case in candidate.cases))


def _rendered(case: CaseReport, render: PromptRenderer) -> RenderedPrompt | None:
    if case.context is None or not case.context.prompt:
        return None
    return render(Request(case.key, case.context.prompt, Decoding()))


def _differ(candidate: CandidateReport, results: Mapping[str, Result]) -> int:
    """Return how many prompts differ in their number of tokens from the record."""
    counted = [(case.rendered, results[case.key].tokens_in) for case in candidate.cases if case.rendered]
    return sum(known is not None and len(rendered.tokens) != known for rendered, known in counted)
