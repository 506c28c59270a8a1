"""Rows put aside as what the suites would ask and score: by the checks of their units, against their own answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunegate.harness.cases.model import Case, Decoding, Task, Unit
from tunegate.harness.checks.base import HasConstraint
from tunegate.harness.evaluation.scoring import score_completion
from tunegate.harness.models.api import Completion, Request
from tunegate.harness.models.model_options import RungName
from tunegate.harness.models.prompts import CONSTRAINED, WITH_SHOTS, with_shots
from tunegate.trainers.data.examples import Example


@dataclass(frozen=True, slots=True)
class AskedRow:
    """A row as a request, and as a case of its unit; without a case where nothing can score it, for the `reason`.

    Of the unit's own cases it holds nothing but the check and how an answer is decoded.
    """

    request: Request
    case: Case | None = None
    reason: str = ""

    def score(self, completion: Completion) -> float | None:
        """What an answer scores, from 0 to 1, as one to a case of the unit would; None where nothing can score it."""
        return score_completion(self.case, completion, "as-is", "pass/fail").score if self.case else None


def asked_rows(rows: Sequence[Example], task: Task, rung: RungName = "as-is") -> list[AskedRow]:
    """The rows, each with what it asks on a rung and, where its unit's check can score it, its answer as `expect`.

    Rows of messages that name no unit are asked as they stand, whatever the rung.
    """
    units = {unit.name: unit for unit in task.units}
    return [_asked(row, units, rung) for row in rows]


def why_not_scored(rows: Sequence[AskedRow]) -> dict[str, int]:
    """How many rows cannot be scored, by the reason in words."""
    return dict(Counter(row.reason for row in rows if row.case is None))


def _asked(row: Example, units: Mapping[str, Unit], rung: RungName) -> AskedRow:
    if row.unit is None:
        return AskedRow(Request(row.place, row.messages, Decoding()), reason="rows of messages name no unit")
    unit = units[row.unit]
    model = unit.cases[0]
    asked = with_shots(unit, model.prompt, row.messages) if rung in WITH_SHOTS else row.messages
    constraint = model.check.constraint if rung in CONSTRAINED and isinstance(model.check, HasConstraint) else None
    request = Request(row.place, asked, model.decoding, constraint=constraint)
    if reason := _why_not(unit):
        return AskedRow(request, reason=f"{unit.name}: {reason}")
    kind = unit.check_kind
    expect = kind.expect_of(model.check, row.output) if kind.expect_of else None
    case = Case(str(row.line), unit.key, row.input, model.check, model.prompt, model.decoding, expect)
    return AskedRow(request, case)


def _why_not(unit: Unit) -> str:
    """Why rows of the unit cannot be scored; empty where they can."""
    if unit.kind != "pass/fail":
        return "its scores are on a scale of their own"
    if not unit.check_kind.by_expect:
        return f"the {unit.suite} check can score nothing without a case's expect"
    checks = len({case.check.references for case in unit.cases})
    return f"its cases have {checks} different checks" if checks > 1 else ""
