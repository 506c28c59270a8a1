"""Report mistakes and warnings as GitHub Actions annotations."""

from __future__ import annotations

from tunegate.harness.core.errors import LintWarning, Problem
from tunegate.harness.reporting.workflow_commands import workflow_command

TITLE = "tunegate lint"


def annotation(found: Problem | LintWarning) -> str:
    """One workflow command: an error for a mistake, a warning for a warning."""
    if isinstance(found, LintWarning):
        return workflow_command("warning", found.file, found.line, TITLE, found.text)
    more = f" (and {found.more:,} more of this kind)" if found.more else ""
    return workflow_command("error", found.file, found.line, TITLE, str(found).removeprefix(f"{found.place}: ") + more)
