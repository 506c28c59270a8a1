"""Validation rows as requests and cases: scored by the checks of their units, with their own outputs as `expect`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunegate.harness.cases.model import Case, Task, Unit
from tunegate.harness.checks.base import constraint_of_check
from tunegate.harness.models.api import Completion, Request
from tunegate.harness.models.evaluation.scoring import score_completion
from tunegate.harness.models.model_options import RungName
from tunegate.harness.models.prompts import CONSTRAINED, WITH_SHOTS, with_shots
from tunegate.harness.rows.examples import Example
from tunegate.trainers.data.validation import check_of


@dataclass(frozen=True, slots=True)
class AskedRow:
    """A row as a request and as a case of its `unit`; without a case if nothing can score it, for the `reason`.

    The case shares only the check and the decoding with the unit's own cases.
    """

    request: Request
    case: Case | None = None
    reason: str = ""
    unit: str = ""

    def score(self, completion: Completion) -> float | None:
        """Score an output from 0 to 1, as for a case of the unit; None if nothing can score it."""
        return score_completion(self.case, completion, "as-is", "pass/fail").score if self.case else None


def asked_rows(rows: Sequence[Example], task: Task, rung: RungName = "as-is") -> list[AskedRow]:
    """The rows, each with its request under a prompting strategy and, if its unit's check can score it, a case.

    Rows of messages without a unit are sent verbatim, whatever the strategy.
    """
    units = {unit.name: unit for unit in task.units}
    return [_asked(row, units, rung) for row in rows]


def why_not_scored(rows: Sequence[AskedRow]) -> dict[str, int]:
    """The number of rows that cannot be scored, by reason."""
    return dict(Counter(f"{row.unit}: {row.reason}" if row.unit else row.reason for row in rows if row.case is None))


def _asked(row: Example, units: Mapping[str, Unit], rung: RungName) -> AskedRow:
    if row.unit is None:
        return AskedRow(row.request, reason="rows of messages name no unit")
    unit = units[row.unit]
    model = unit.cases[0]
    asked = with_shots(unit, model.prompt, row.messages) if rung in WITH_SHOTS else row.messages
    check = check_of(unit, model.check, row)
    constraint = constraint_of_check(check) if rung in CONSTRAINED else None
    request = Request(row.place, asked, model.decoding, constraint=constraint, tools=row.tools)
    if reason := _why_not(unit) or ("" if row.liked else "its output is not liked"):
        return AskedRow(request, reason=reason, unit=unit.name)
    kind = unit.check_kind
    expect = kind.expect_of(check, row.output) if kind.expect_of else None
    case = Case(str(row.line), unit.key, row.input, check, model.prompt, model.decoding, expect, tools=row.tools)
    return AskedRow(request, case, unit=unit.name)


def _why_not(unit: Unit) -> str:
    """The reason why rows of the unit cannot be scored; empty if they can."""
    if unit.kind != "pass/fail":
        return "its scores are not pass/fail"
    if not unit.check_kind.by_expect:
        return f"the {unit.suite} check cannot score without a case's expect"
    checks = len({check_of(unit, case.check).references for case in unit.cases})
    return f"its cases have {checks} different checks" if checks > 1 else ""
