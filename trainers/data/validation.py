"""Row grading: score the rows' outputs with the task's own checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.checks.base import Check, Finding, Outcome
from tunegate.harness.checks.outputs.message import content_of
from tunegate.harness.checks.tools.check import ToolsCheck
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.evaluation.scoring import prepare_checks
from tunegate.harness.rows.examples import Example
from tunegate.trainers.config.recipe import Recipe
from tunegate.trainers.config.sections import DROP, REFUSE

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Failure:
    """A row whose output fails the check of its unit, with the findings."""

    row: Example
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        more = f" (and {len(self.findings) - 1} more)" if len(self.findings) > 1 else ""
        return f"{self.row.place}: {self.findings[0]}{more}"


@dataclass(frozen=True)
class UnitGrades:
    """The grades of the rows of one unit; the name is empty for rows of messages without a unit.

    `not_scored` describes what could not be scored; `graded` is false if nothing could. `passing` are the rows whose
    rejected or disliked output passes, so that the check does not see why it was rejected.
    """

    name: str
    rows: int
    failures: tuple[Failure, ...] = ()
    not_scored: str = ""
    graded: bool = True
    passing: tuple[Example, ...] = ()


def grade(rows: Sequence[Example], task: Task, watch: Watch) -> list[UnitGrades]:
    """Score each row's outputs with the check of its unit, in the order of the task's units.

    Rows have no `expect`, so parts of a check that need it are not scored.

    Raises:
        Refused: a voice metric cannot recognize the voice that it should score.
    """
    units: Mapping[str, Unit] = {unit.name: unit for unit in task.units}
    grouped: dict[str, list[Example]] = {name: [row for row in rows if row.unit == name] for name in units}
    gradable = [units[name] for name, own in grouped.items() if own and not why_not_graded(units[name])]
    prepare_checks(gradable, watch)
    with watch("Grading rows with the task's own checks", sum(len(grouped[unit.name]) for unit in gradable)) as done:
        found = []
        for name, own in grouped.items():
            if own:
                found.append(_grade_unit(units[name], own))
                done(len(own) if units[name] in gradable else 0)
    return found + [_of_no_unit(own) for own in _loose(rows) if own]


def _loose(rows: Sequence[Example]) -> Iterator[list[Example]]:
    """The rows that name no unit: those that offer tools, and the others."""
    yield [row for row in rows if row.unit is None and row.tools]
    yield [row for row in rows if row.unit is None and not row.tools]


def _of_no_unit(rows: Sequence[Example]) -> UnitGrades:
    """The grades of rows that name no unit: calls are held to the tools that the row itself offers."""
    no_unit = "rows of messages name no unit"
    if not rows[0].tools:
        return UnitGrades("", len(rows), not_scored=no_unit, graded=False)
    outcomes = [(row, ToolsCheck().offering(row.tools)(row.output, None, row.input)) for row in rows if row.liked]
    failures = tuple(Failure(row, outcome.findings) for row, outcome in outcomes if outcome.score < 1.0)
    return UnitGrades("", len(rows), failures, f"which calls are right, since {no_unit}")


def why_not_graded(unit: Unit) -> str:
    """The reason why the unit's rows cannot be scored at all; empty if they can."""
    if not unit.check_kind.by_expect:
        return f"the {unit.suite} check cannot score without a case's expect"
    # a row names a unit, not a case, so its check is unknown
    checks = len({check_of(unit, case.check).references for case in unit.cases})
    return f"the unit's cases have {checks} different checks" if checks > 1 else ""


def check_of(unit: Unit, check: Check, row: Example | None = None) -> Check:
    """The check of a unit's cases as one of all its tools, or of those that a row offers."""
    if isinstance(check, ToolsCheck):
        return check.offering(row.tools if row else unit.configuration.tools)
    return check


def scored(unit: Unit, row: Example, output: str) -> Outcome:
    """Score an output of a row with the check of its unit, without an `expect`."""
    check = check_of(unit, unit.cases[0].check, row)
    seen = output if isinstance(check, ToolsCheck) or not row.tools else content_of(output)
    return check(seen, None, row.input)


def _grade_unit(unit: Unit, rows: Sequence[Example]) -> UnitGrades:
    if reason := why_not_graded(unit):
        return UnitGrades(unit.name, len(rows), not_scored=reason, graded=False)
    outcomes = [(row, scored(unit, row, row.output)) for row in rows if row.liked]
    failures = tuple(Failure(row, outcome.findings) for row, outcome in outcomes if outcome.score < 1.0)
    worse = [(row, row.rejected if row.liked else row.output) for row in rows]
    passing = tuple(row for row, output in worse if output and scored(unit, row, output).score == 1.0)
    return UnitGrades(unit.name, len(rows), failures, unit.check_kind.by_expect, passing=passing)


def settle(rows: Sequence[Example], grades: Sequence[UnitGrades], recipe: Recipe) -> list[Example]:
    """The rows to train on; failing rows are dropped if the recipe says so.

    Raises:
        Refused: rows fail and the recipe neither drops nor overrides, or no row is left.
    """
    failures = list(all_failures(grades))
    refusal = (
        f"{len(failures)} of {len(rows)} training rows fail the task's own checks; the model would learn these "
        f"mistakes. Fix them, or set in {show_path(recipe.path)} `failing_rows: drop` to train without them or "
        '`failing_rows: {override: "the reason"}` to train on them:'
    )
    wrong = [(each.row, str(each)) for each in failures]
    return settle_rows(rows, wrong, recipe, "failing_rows", "a row that passes", refusal)


def settle_rows(
    rows: Sequence[Example], wrong: Sequence[tuple[Example, str]], recipe: Recipe, key: str, expected: str, refusal: str
) -> list[Example]:
    """The rows to train on by the recipe's rule for `wrong` ones, each with the line that says why.

    `key` names the rule. `expected` says what a row is that is not wrong; `refusal` begins the
    refusal.

    Raises:
        Refused: rows are wrong and the rule is to refuse them, or no row is left.
    """
    rule = getattr(recipe, key)
    if wrong and rule == REFUSE:
        lines = [refusal, *(f"  {line}" for _, line in wrong[:SHOWN])]
        if len(wrong) > SHOWN:
            lines.append(f"  and {len(wrong) - SHOWN} more; --report FILE.json lists them all")
        raise Refused("\n".join(lines))
    dropped = {id(row) for row, _ in wrong} if rule == DROP else set()
    left = [row for row in rows if id(row) not in dropped]
    if dropped and not left:
        raise Refused(f"{show_path(recipe.path)}: {key}: expected {expected}, found none of {len(rows)}")
    return left


def all_failures(grades: Sequence[UnitGrades]) -> Iterator[Failure]:
    """All failures, by unit."""
    return (failure for unit in grades for failure in unit.failures)
