"""The first lines of a report: the decisive cause with both scores, then a line for each further reason."""

from __future__ import annotations

from collections.abc import Sequence

from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import level
from tunegate.harness.gate.decision_messages import trouble
from tunegate.harness.models.evaluation.remarks import Code, Remark, remarks_text
from tunegate.harness.models.evaluation.verdict import Alike
from tunegate.harness.reporting.compared import THIS_CHANGE
from tunegate.harness.reporting.edited import EditedPart, edited_name
from tunegate.harness.reporting.next_step import ADVICE, approval_step, next_step
from tunegate.harness.reporting.report import CandidateReport, Report, UnitReport

MOST_SCORES = 3  # units whose scores stand in the first lines; the table has all
#: Of several causes of a verdict, which comes first: form, field, value, stratum; then, in their own order, the whole.
DECISIVE: Sequence[Code] = (
    "form-lost", "part-regression", "value-lost", "field-lost", "critical-regression", "slice-regression",
    "stratum-lost",
)  # fmt: skip
ITS_SCORES: Code = "significantly-worse"  # the cause that both scores show
Lines = tuple[str, ...]


def head(report: Report) -> tuple[str, Lines]:
    """Return the first line of a report, and those that follow it, one a reason; there may be none."""
    if len(report.candidates) != 1:
        near = (f"{each.name}: {each.about_near}" for each in report.candidates if each.about_near)
        said, unguarded = _parted(report.said)
        return _joined(remarks_text(said[:1]), unguarded, _step(said, ())), (*_texts(said[1:]), *near)
    first, rest = candidate_head(report.candidates[0], report.said, report.rules.configuration)
    approves = report.said and report.said[0].code == "rule-changes"
    return (_joined(first, approval_step(report.rules)) if approves else first), rest


def names_outcome(report: Report) -> bool:
    """Whether the first line begins with the outcome."""
    causes = report.outcome == "blocked"
    return any(each.code == report.outcome or (causes and each.severity == "error") for each in report.said[:1])


def candidate_head(
    candidate: CandidateReport, said: Sequence[Remark], edited: Sequence[EditedPart] = ()
) -> tuple[str, Lines]:
    """Return the first line of what was said of one candidate, and the further lines.

    Args:
        candidate: the candidate, whose units have the scores.
        said: what was said of all of it; what comes before its units, such as rule changes, stays first.
        edited: the edited parts of the configuration.
    """
    said, unguarded = _parted(said)
    first, blocking = said[:1], _blocking(candidate)
    is_its_own = candidate.outcome == "blocked" and first == candidate.said[:1]
    named = (blocking or _without_gain(candidate, first))[:1] if is_its_own else []
    line = f"Blocked: {_decisive(named[0], edited)}." if named else remarks_text(first)
    others = [f"{_named(unit)}{_scores_behind(':', unit)}." for unit in blocking if unit not in named]
    rest = [each for each in (said if named else said[1:]) if not _is_said(each, blocking, named)]
    step, rest = _step(said, named), [each for each in rest if named or each.code not in ADVICE]
    numbers = [] if blocking else _numbers(candidate, [*first, *named])
    return _joined(line, unguarded, step), tuple(filter(None, [*others, *_texts(rest), *numbers, candidate.about_near]))


def _parted(said: Sequence[Remark]) -> tuple[tuple[Remark, ...], str]:
    """Return what was said, and apart from it, for the first line, that there is no guard."""
    rest = tuple(each for each in said if each.code != "no-guard")
    return rest, remarks_text(dict.fromkeys(each for each in said if each not in rest))


def _texts(said: Sequence[Remark]) -> Lines:
    return tuple(each.text for each in said)


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _is_said(remark: Remark, blocking: Sequence[UnitReport], first: Sequence[UnitReport]) -> bool:
    """Whether the lines on the blocking units, or the `first` line, say a remark already."""
    if remark.code == "units-block":
        return {*remark.units} <= {unit.key for unit in blocking}
    return remark.code == "same-outputs" and {*remark.units} <= {unit.key for unit in first}


def _decisive(unit: UnitReport, edited: Sequence[EditedPart]) -> str:
    """Return a unit with its decisive cause and both scores, and what was edited."""
    name = edited_name(edited)
    also = f"; edited: {name}" if name else ""
    return f"{_cause(unit)}{also}"


def _step(said: Sequence[Remark], named: Sequence[UnitReport]) -> str:
    """Return what to do next about the named unit, or about what is said first."""
    if not named:
        return next_step(said[0].code, said) if said else ""
    [unit] = named
    if unit.alike.same or unit.verdict == "ungated":
        return next_step("same-outputs" if unit.alike.same else "ungated", (), unit)
    causes = _causes(unit)
    return next_step(causes[0].code if causes else ITS_SCORES, causes[:1], unit)


def _cause(unit: UnitReport) -> str:
    if unit.alike.same:
        return f"{unit.key} {_outputs(unit.alike)}{_scores_behind(';', unit)}"
    if unit.verdict == "ungated":
        return f"{_named(unit)}, so any loss would pass"
    causes = _causes(unit)
    if not causes or (causes[0].code == ITS_SCORES and (unit.difference or 0.0) < 0 and unit.mean is not None):
        return f"{_named(unit)}{_scores_behind(':', unit)}"
    if unit.difference is None:
        return f"{unit.key} {causes[0].text}"
    return f"{_named(unit)}: {causes[0].text}{_scores_behind(';', unit)}"


def _causes(unit: UnitReport) -> list[Remark]:
    """Return the causes of a unit's verdict, the decisive one first."""
    return sorted((each for each in unit.remarks if each.severity == "error"), key=_rank)


def _rank(remark: Remark) -> int:
    return DECISIVE.index(remark.code) if remark.code in DECISIVE else len(DECISIVE)


def _outputs(alike: Alike) -> str:
    where = "every case" if alike.same == alike.n else f"{alike.same} of {alike.n} cases"
    # JSON is read as it is, a text in quotes
    output = alike.output if alike.output.startswith(("{", "[")) or not alike.output else f'"{alike.output}"'
    return f"outputs {shown(output) or 'the same'} in {where}"


def _named(unit: UnitReport) -> str:
    return f"{unit.key} {trouble(unit.verdict, unit.difference)}"


def _scores_behind(mark: str, unit: UnitReport) -> str:
    """Return both scores behind a mark; nothing if they cannot be compared, or of labelled traffic."""
    known = unit.difference is not None and unit.base is not None and unit.mean is not None
    return f"{mark} {scores(unit)}" if known else ""


def _numbers(candidate: CandidateReport, named: Sequence[Remark | UnitReport]) -> list[str]:
    """Return the scores of the units that nothing named has, if they are few enough for the first lines."""
    known = {key for each in named for key in (each.units if isinstance(each, Remark) else (each.key,))}
    found = [unit for unit in candidate.units if unit.base is not None and unit.mean is not None]
    return (
        [f"{unit.key}: {scores(unit)}." for unit in found if unit.key not in known] if len(found) <= MOST_SCORES else []
    )


def _without_gain(candidate: CandidateReport, first: Sequence[Remark]) -> list[UnitReport]:
    """Return the targets without a gain whose outputs are the same, which is why."""
    short = {unit for each in first if each.code == "no-gain" for unit in each.units}
    return [unit for unit in candidate.units if unit.key in short and unit.alike.same and unit.verdict != "improved"]


def _blocking(candidate: CandidateReport) -> list[UnitReport]:
    """Return the blocking units: the regressed ones first, and of these what lost most."""
    found = [unit for unit in candidate.units if unit.blocks]
    return sorted(
        found, key=lambda unit: (unit.verdict != "regressed", unit.kind != "pass/fail", unit.difference or 0.0)
    )


def scores(unit: UnitReport) -> str:
    """Return both scores of a unit: `in service 100.0 %, this change 75.8 %`."""
    return f"{unit.side} {level(unit.base, unit.kind)}, {THIS_CHANGE} {level(unit.mean, unit.kind)}"
