"""A report as CSV for a spreadsheet: a line for each case, with its unit's verdict; no text can become a formula."""

from __future__ import annotations

import csv
import io
import re

from tunegate.harness.core.escaping import shown_lines
from tunegate.harness.reporting.report import CandidateReport, CaseReport, Report

MARK = "\ufeff"  # the byte order mark, without which Excel does not read UTF-8
MOST_TEXT = 32_000  # characters per cell; spreadsheets take 32,767
#: What a spreadsheet may take for a formula, in any width, also after white space (OWASP, "CSV Injection").
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")
COLUMNS = (
    "candidate", "task", "unit", "case", "state", "critical", "score", "output", "output before", "findings", "input",
    "role", "verdict", "reference", "blocks",
)  # fmt: skip


def case_table(report: Report) -> str:
    """Return the CSV, with a byte order mark and without the last line break; a sealed case has no values."""
    written = io.StringIO()
    write = csv.writer(written, lineterminator="\n").writerow
    write(COLUMNS)
    for candidate in report.candidates:
        for case in candidate.cases:
            write(_row(candidate, case))
    return MARK + written.getvalue().removesuffix("\n")


def _row(candidate: CandidateReport, case: CaseReport) -> list[str | float | None]:
    task, _, unit = case.unit.partition("/")
    of_unit = next(each for each in candidate.units if each.key == case.unit)
    asked = case.context.prompt[-1][1] if case.context and case.context.prompt else ""
    texts = [case.now or "", case.previous or "", "; ".join(map(str, case.findings)), asked]
    named = [candidate.name, task, unit, case.key.removeprefix(f"{case.unit}/"), case.state]
    verdict = [of_unit.role, of_unit.verdict, of_unit.reference, "yes" if of_unit.blocks else ""]
    return [
        *map(_cell, named), "yes" if case.critical else "", case.score, *map(_cell, texts), *map(_cell, verdict),
    ]  # fmt: skip


def _cell(text: str) -> str:
    """The text as a cell: an apostrophe before what could be a formula, and cut where spreadsheets would cut it."""
    cut = text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + "..."
    safe = shown_lines(cut)
    return f"'{safe}" if _FORMULA.match(safe) else safe
