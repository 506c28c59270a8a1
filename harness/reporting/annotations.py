"""GitHub Actions annotations: the verdict, and each regressed case at its line of the case file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tunegate.harness.reporting.differences import difference_lines
from tunegate.harness.reporting.report import CandidateReport, CaseReport, Report
from tunegate.harness.reporting.workflow_commands import Level, workflow_command

MOST = 10  # per level and step: GitHub shows no more
MOST_TEXT = 4_000  # characters per annotation; GitHub accepts at most 64 kB
TITLE = "tunegate"


def case_annotations(report: Report) -> Iterator[str]:
    """Yield workflow commands: the verdict with the rule changes, then the regressed cases.

    They are warnings if nothing blocks.
    """
    blocks = report.outcome in ("blocked", "refused")
    level: Level = "error" if blocks else "warning"
    lines = [report.verdict, *report.rules.modified, *(line for line in report.rules.refused.splitlines() if line)]
    yield workflow_command("error" if blocks else "notice", None, 1, TITLE, "\n".join(lines))
    worst = [(each, case) for each in report.candidates for case in each.worst if case.context]
    for candidate, case in worst[: MOST - 1]:
        yield _annotation(level, candidate, case)
    if len(worst) >= MOST:
        yield workflow_command("notice", None, 1, TITLE, f"{len(worst) - MOST + 1} more regressed cases")


def _annotation(level: Level, candidate: CandidateReport, case: CaseReport) -> str:
    lines = [*difference_lines(case.previous, case.now), *(each.sourced for each in case.findings)]
    title = f"{case.key} {case.state}{' (critical)' if case.critical else ''}: {candidate.name}"
    file, line = (Path(case.context.file), case.context.line) if case.context else (None, 1)
    return workflow_command(level, file, line, title, "\n".join(lines)[:MOST_TEXT])
