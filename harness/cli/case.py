"""An incident becomes a case."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunegate.harness.cli.common import chatter, check_reason, console
from tunegate.harness.cli.options import FIXTURES, Cases, Quiet, shared
from tunegate.harness.core.errors import AuthoringError, Refused, UsageError, show_path
from tunegate.harness.core.escaping import shown, shown_lines
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.printing import print_line

if TYPE_CHECKING:
    from tunegate.harness.begin.scaffold.incident import Incident
    from tunegate.harness.cases.model import Unit


def case(
    unit: Annotated[str, typer.Argument(help="The unit that gets the case.", metavar="TASK/UNIT")],
    log: Annotated[Path, shared("from", "case")],
    wanted: Annotated[str, shared("id", "case")],
    expect: Annotated[str | None, shared("expect", "case")] = None,
    critical: Annotated[bool, shared("critical")] = False,
    name: Annotated[str | None, shared("name", "case")] = None,
    allow_personal: Annotated[str | None, shared("allow-personal")] = None,
    cases: Cases = FIXTURES,
    quiet: Quiet = False,
) -> None:
    """Make a case of an incident: an input out of a log of production, with what was to be expected.

    The output of the log is shown, scored against the expectation, and not kept. An input with secrets or personal
    data is refused, and so is one that the unit has. The rest of the unit's file stays as it is.
    """
    from tunegate.harness.begin.scaffold.incident import asks_expectation, case_id, check_unit, read_incident, same_case
    from tunegate.harness.cases.loader import find_unit, load_tasks

    check_reason("--allow-personal", allow_personal)
    found = find_unit(load_tasks(cases), unit)
    check_unit(found)
    incident = read_incident(log, wanted)
    if other := same_case(found, incident):
        raise Refused(
            f"{incident.place}: expected an input that {found.key} lacks, found that of {other.id} ({other.place})"
        )
    private = _private(incident.place, incident.text, allow_personal)
    if expect is None and asks_expectation(found):
        expected, critical = _asked(found, incident, critical)
    else:
        expected = _given(found, expect) if expect is not None else None
    private += _private("the expectation", str(expected), allow_personal)
    data = {"id": case_id(found, incident, name), "input": incident.written}
    more = {"context": incident.context, "critical": critical or None, "expect": expected}
    data |= {key: value for key, value in more.items() if value is not None}
    said = [f"kept with {listed(sorted(set(private)))}: {allow_personal}"] if private else []
    _add(found, incident, data, said, cases, quiet)


def _private(place: str, text: str, reason: str | None) -> list[str]:
    """Return the kinds of secrets and personal data in a text; without a reason to keep them, refuse it."""
    from tunegate.harness.rows.privacy.detectors import private_kinds

    kinds = private_kinds(text)
    if kinds and not reason:
        raise Refused(
            f"{place}: expected no secrets or personal data, found {listed(kinds)}; replace them in a copy of the log, "
            "or keep them with --allow-personal REASON"
        )
    return kinds


def _given(unit: Unit, text: str) -> Any:
    from tunegate.harness.begin.scaffold.incident import read_expectation

    return read_expectation(unit, text)


def _asked(unit: Unit, incident: Incident, critical: bool) -> tuple[Any, bool]:
    """Ask for the expectation until it is one of the unit's, and whether the case is critical."""
    for what, text in (("input", incident.text), ("output", incident.output)):
        if text is not None:
            print_line(f"{what}: {shown_lines(text)}")
    optional = "" if unit.check_kind.needs_expect else " (Enter: none)"
    question = f"Expected: {unit.check_kind.expect['description']}, or a right output{optional}"
    try:
        expected = _answer(unit, question)
        return expected, critical or typer.confirm("Critical: does one failed output block?", default=False)
    except typer.Abort as error:
        if sys.stdin.isatty():
            raise
        raise UsageError("--expect: expected a value, found none and no terminal to ask on") from error


def _answer(unit: Unit, question: str) -> Any:
    while True:
        text = str(typer.prompt(question, default="", show_default=False)).strip()
        if not text and not unit.check_kind.needs_expect:
            return None
        try:
            return _given(unit, text)
        except AuthoringError as error:
            console.print(str(error))


def _add(unit: Unit, incident: Incident, data: dict[str, Any], comments: list[str], cases: Path, quiet: bool) -> None:
    """Add the case, and print where, whether it catches the output of the log, and what is next."""
    from tunegate.harness.begin.scaffold.incident import add_case, findings_of
    from tunegate.harness.checks.registry import project_kinds

    path = add_case(unit, data, project_kinds(cases), comments)
    console.print(f"{unit.key}/{data['id']}: added to {show_path(path)}")
    aside = chatter(quiet)
    findings = findings_of(unit, incident, data.get("expect"))
    if findings:
        aside.print(f"the output in the log fails this case: {shown(findings[0])}")
    elif findings is not None:
        console.print("note: the output in the log passes this case, so the case does not catch the incident")
    folder = cases.as_posix()
    aside.print(f"next: tunegate lint {show_path(path)}")
    aside.print(f"then record again only this unit: pytest {folder} --tg-record -k {unit.key!r}")
