"""The first lines of a report: the verdict, both scores of the unit that regressed, and the part that was edited."""

from __future__ import annotations

from collections.abc import Sequence

from tunegate.harness.core.formatting import level, quantity
from tunegate.harness.evaluation.remarks import Remark, causes_text, remarks_text
from tunegate.harness.reporting.compared import THIS_CHANGE
from tunegate.harness.reporting.edited import EditedPart, edited_name
from tunegate.harness.reporting.report import CandidateReport, Report, UnitReport

MOST_SCORES = 3  # units whose scores stand in the first lines; the table has all


def head(report: Report) -> tuple[str, str]:
    """Return the first line of a report, and the sentences that follow it; these may be empty."""
    if len(report.candidates) != 1:
        near = (f"{each.name}: {each.about_near}" for each in report.candidates if each.about_near)
        said, unguarded = _parted(report.said)
        return _joined(remarks_text(said[:1]), unguarded), _joined(remarks_text(said[1:]), *near)
    return candidate_head(report.candidates[0], report.said, report.rules.configuration)


def names_outcome(report: Report) -> bool:
    """Whether the first line begins with the outcome."""
    causes = report.outcome == "blocked"
    return any(each.code == report.outcome or (causes and each.severity == "error") for each in report.said[:1])


def candidate_head(
    candidate: CandidateReport, said: Sequence[Remark], edited: Sequence[EditedPart] = ()
) -> tuple[str, str]:
    """Return the first line of what was said of one candidate, and the rest.

    Args:
        candidate: the candidate, whose units have the scores.
        said: what was said of all of it; what comes before its units, such as rule changes, stays first.
        edited: the edited parts of the configuration.
    """
    blocking = fallen(candidate)
    said, unguarded = _parted(said)
    if not blocking or candidate.outcome != "blocked" or said[:1] != candidate.said[:1]:
        numbers = " ".join(f"{each.key}: {scores(each)}." for each in (blocking or _scored(candidate))[:MOST_SCORES])
        return _joined(remarks_text(said[:1]), unguarded), _joined(
            remarks_text(said[1:]), numbers, candidate.about_near
        )
    unit = blocking[0]
    more = f", and {quantity(len(blocking) - 1, 'more unit')}" if blocking[1:] else ""
    what = f"; edited: {name}" if (name := edited_name(edited)) else ""
    line = f"Blocked: {unit.key} {unit.verdict}{_although_higher(unit)}: {scores(unit)}{more}{what}."
    is_all = said[0].code == "units-block" and said[0].units == (unit.key,)
    return _joined(line, unguarded), _joined(remarks_text(said[is_all:]), candidate.about_near)


def _parted(said: Sequence[Remark]) -> tuple[tuple[Remark, ...], str]:
    """Return what was said, and apart from it, for the first line, that there is no guard."""
    rest = tuple(each for each in said if each.code != "no-guard")
    return rest, remarks_text(dict.fromkeys(each for each in said if each not in rest))


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _although_higher(unit: UnitReport) -> str:
    """Return the cause in brackets where the scores do not show it: the mean did not fall."""
    if unit.verdict != "regressed" or (unit.difference or 0.0) < 0:
        return ""
    return f" ({causes_text(unit.remarks)})"


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
