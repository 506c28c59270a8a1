"""The annotations of GitHub Actions: the verdict, and each regressed case at its line of the fixture file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tunegate.harness.core.workflow_commands import Level, workflow_command
from tunegate.harness.reporting.differences import difference_lines
from tunegate.harness.reporting.report import CandidateReport, CaseReport, Report

MOST = 10  # of errors and of warnings of a step, that GitHub shows


def case_annotations(report: Report) -> Iterator[str]:
    """A workflow command a line, those that block first; the rest of a sort are counted in the last one."""
    for candidate in report.candidates:
        worst = [case for case in candidate.worst if case.context]
        if worst and report.outcome != "passed":
            yield from (_annotation(candidate, case) for case in worst[: MOST - 1])
            if len(worst) > MOST - 1:
                yield _place("notice", worst[MOST - 1], candidate, f"and {len(worst) - MOST + 1} more regressed cases")
        else:
            yield from (_annotation(candidate, case, "warning") for case in worst[:MOST])


def _annotation(candidate: CandidateReport, case: CaseReport, level: Level = "error") -> str:
    lines = [*difference_lines(case.previous, case.now), *(text for _, text in case.findings)]
    return _place(level, case, candidate, "\n".join(lines))


def _place(level: Level, case: CaseReport, candidate: CandidateReport, text: str) -> str:
    title = f"{case.key} {case.state}{' (critical)' if case.critical else ''}: {candidate.name}"
    file, line = (case.context.file, case.context.line) if case.context else ("", 1)
    return workflow_command(level, Path(file), line, title, text)
