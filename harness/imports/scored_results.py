"""Result files of inspect_ai, deepeval and lm-evaluation-harness, as a unit that takes their scores."""

from __future__ import annotations

from pathlib import Path

from tunegate.harness.begin.results.observations import grouped
from tunegate.harness.begin.results.read import read_results
from tunegate.harness.begin.results.samples import ScoredSample, question_of, text_of
from tunegate.harness.checks.scored import PASS, UNKNOWN
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import listed
from tunegate.harness.imports.model import Imported, RunnerCase, RunnerUnit, Tally, case_name

MOST_COMMENT = 100  # characters of what is expected


def read_scored_results(path: Path) -> Imported:
    """Import a result file: a case for each question, which passes as its tool says.

    Raises:
        Refused: it is damaged, or of a run that did not finish.
    """
    file = read_results(path)
    groups = grouped(file)
    metric = PASS if PASS in file.metrics else next(iter(file.metrics), PASS)
    found = {each.whole_question: _case(each, groups[each.id]) for each in reversed(file.samples)}
    unit = RunnerUnit(
        file.tool, tuple(reversed(found.values())), file.version or UNKNOWN, columns=(file.model or path.stem,),
        metric=metric,
    )  # fmt: skip
    others = [shown(each) for each in file.metrics if each != metric]
    notes = (f"the metric is {shown(metric)}; {listed(others)} would be another unit",) if others else ()
    return Imported(file.tool, path, (), Tally(), notes=notes, scored=unit)


def _case(sample: ScoredSample, first: str) -> RunnerCase:
    said = text_of(sample.expected, MOST_COMMENT)
    text = sample.input if sample.input.strip() else sample.id
    return RunnerCase(
        case_name(sample.id), text, sample.whole_question, (shown(f"expected: {said}"),) if said else (),
        question_of(first),
    )  # fmt: skip
