"""The first lines of a report: the verdict, both scores of the unit that regressed, and the part that was edited."""

from __future__ import annotations

from collections.abc import Sequence

from tunegate.harness.core.formatting import level, quantity
from tunegate.harness.reporting.compared import THIS_CHANGE
from tunegate.harness.reporting.edited import EditedPart, edited_name
from tunegate.harness.reporting.report import CandidateReport, Report, UnitReport

MOST_SCORES = 3  # units whose scores stand in the first lines; the table has all


def head(report: Report) -> tuple[str, str]:
    """Return the first line of a report, and the sentences that follow it; these may be empty."""
    if len(report.candidates) != 1:
        first, rest = first_sentence(report.verdict)
        return first, _joined(
            rest, *(f"{each.name}: {each.about_near}" for each in report.candidates if each.about_near)
        )
    return candidate_head(report.candidates[0], report.verdict, report.rules.configuration)


def candidate_head(candidate: CandidateReport, verdict: str, edited: Sequence[EditedPart] = ()) -> tuple[str, str]:
    """Return the first line and the rest of a verdict on one candidate.

    Args:
        candidate: the candidate, whose units have the scores.
        verdict: the verdict on all of it; what comes before its units, such as rule changes, stays first.
        edited: the edited parts of the configuration.
    """
    blocking = fallen(candidate)
    first, rest = first_sentence(verdict)
    if not blocking or not first.startswith("Blocked: "):
        numbers = " ".join(f"{each.key}: {scores(each)}." for each in (blocking or _scored(candidate))[:MOST_SCORES])
        return first, _joined(rest, numbers, candidate.about_near)
    unit = blocking[0]
    more = f", and {quantity(len(blocking) - 1, 'more unit')}" if blocking[1:] else ""
    what = f"; edited: {name}" if (name := edited_name(edited)) else ""
    line = f"Blocked: {unit.key} {unit.verdict}{_although_higher(unit)}: {scores(unit)}{more}{what}."
    said = f"Blocked: {unit.key} {unit.verdict}."
    return line, _joined(
        verdict.removeprefix(said).lstrip() if verdict.startswith(said) else verdict, candidate.about_near
    )


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _although_higher(unit: UnitReport) -> str:
    """Return the cause in brackets where the scores do not show it: the mean did not fall."""
    if unit.verdict != "regressed" or (unit.difference or 0.0) < 0:
        return ""
    cause = first_sentence(unit.reason)[0].removeprefix("Regressed: ").removesuffix(".")
    return f" ({cause})"


def _scored(candidate: CandidateReport) -> list[UnitReport]:
    """Return the units with two scores, if they are few enough for the first lines."""
    found = [unit for unit in candidate.units if unit.base is not None and unit.mean is not None]
    return found if len(found) <= MOST_SCORES else []


def fallen(candidate: CandidateReport) -> list[UnitReport]:
    """Return the blocking units with two scores: the regressed ones first, and of these what lost most."""
    found = [unit for unit in candidate.units if unit.blocks and unit.difference is not None]
    return sorted(found, key=lambda unit: (unit.verdict != "regressed", unit.kind != "pass/fail", unit.difference))


def scores(unit: UnitReport) -> str:
    """Return both scores of a unit: `in service 100.0 %, this change 75.8 %`."""
    return f"{unit.side} {level(unit.base, unit.kind)}, {THIS_CHANGE} {level(unit.mean, unit.kind)}"


def first_sentence(text: str) -> tuple[str, str]:
    """Split a text into its first sentence and the rest."""
    first, end, rest = text.partition(". ")
    return first + end.rstrip(), rest
