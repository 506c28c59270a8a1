"""A decision of the gate as JUnit XML, which CI systems show: a test case per unit and per task.

The form is the one that pytest and Jenkins' xUnit plugin share (junit-10.xsd).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from tunegate.harness.core.escaping import shown
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.reporting.report import CandidateReport, candidate_report

HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'
PASSING = ("held", "improved")
MOST_CASES = 20  # regressed cases that a failure lists
Outcome = Literal["passed", "failure", "error", "skipped"]


@dataclass(frozen=True, slots=True)
class JUnitCase:
    """A test case: the class and name that CI shows, its outcome, the message and further lines."""

    classname: str
    name: str
    outcome: Outcome = "passed"
    message: str = ""
    text: str = ""


def junit_xml(decision: Mapping[str, Any], records: Sequence[Record]) -> str:
    """Return the XML of a decision; it has a failure or an error exactly if the decision does not pass.

    Args:
        decision: the decision as JSON data.
        records: the record of each entry of its `by_rules`.
    """
    verdicts = zip(decision["by_rules"], records, strict=True)
    suites = [("tunegate gate", "", list(_change(decision)))]
    for each, record in verdicts:
        report = candidate_report(record, contexts={})
        name = f"{report.name}, by {each['rules']}" if each["rules"] else report.name
        suites.append((name, record.created, list(_verdicts(each["blocks"], record, report))))
    every = [case for *_, cases in suites for case in cases]
    counts = _counts(every)
    del counts["skipped"]  # which the schema has for suites only
    root = ET.Element("testsuites", {"name": "tunegate", **counts})
    for name, created, cases in suites:
        stamp = {"timestamp": shown(created)[:19]} if created else {}
        suite = ET.SubElement(root, "testsuite", {"name": shown(name), **_counts(cases), **stamp})
        suite.extend(map(_element, cases))
    ET.indent(root)
    return f"{HEAD}{ET.tostring(root, encoding='unicode')}\n"


def _change(decision: Mapping[str, Any]) -> Iterator[JUnitCase]:
    """Yield what concerns the change as a whole."""
    refused, untrue = decision["refused"], decision["untrue"]
    modified = decision["modified"] if not decision["approved"] else []
    yield _case("evaluation", "error", "something could not be evaluated", refused.splitlines())
    yield _case("rule changes", "failure", "rule changes that no reviewer approved", modified)
    yield _case("records", "failure", "records that are not what the gate finds", untrue)


def _case(name: str, outcome: Outcome, message: str, lines: Sequence[str]) -> JUnitCase:
    text = "\n".join(map(shown, lines))
    return JUnitCase("tunegate", name, outcome, message, text) if lines else JUnitCase("tunegate", name)


def _verdicts(blocks: Sequence[str], record: Record, report: CandidateReport) -> Iterator[JUnitCase]:
    """Yield the units, each with what it was compared with, then the tasks, then what blocks without a verdict."""
    left = dict.fromkeys(blocks)
    sides = {unit.key: unit.side for unit in report.units}
    for key, verdict in record.verdicts.items():
        task, _, unit = key.partition("/")
        outcome: Outcome = "failure" if key in left else "passed" if verdict.verdict in PASSING else "skipped"
        text = "\n".join(_regressed(report, key)) if outcome == "failure" else ""
        yield JUnitCase(f"tunegate.{task}", f"{unit} ({sides[key]})", outcome, verdict.reason, text)
        left.pop(key, None)
    for task, reason in report.decisions.items():
        yield JUnitCase(f"tunegate.{task}", "decision", "failure" if task in left else "passed", reason)
        left.pop(task, None)
    for key in left:
        task, _, unit = key.partition("/")
        yield JUnitCase(f"tunegate.{task}", unit or "decision", "error", "no verdict: it was not evaluated completely")


def _regressed(report: CandidateReport, unit: str) -> Iterator[str]:
    """Yield a line for each regressed case of a unit, with its findings; none for a sealed unit."""
    cases = [case for case in report.worst if case.unit == unit]
    for case in islice(cases, MOST_CASES):
        critical = " (critical)" if case.critical else ""
        found = "; ".join(str(each) for each in case.findings)
        yield shown(f"{case.key}{critical} regressed" + (f": {found}" if found else ""))
    if len(cases) > MOST_CASES:
        yield f"and {len(cases) - MOST_CASES} more regressed cases"


def _counts(cases: Sequence[JUnitCase]) -> dict[str, str]:
    number = Counter(case.outcome for case in cases)
    found = {"failures": number["failure"], "errors": number["error"], "skipped": number["skipped"]}
    return {"tests": str(len(cases)), **{name: str(each) for name, each in found.items()}, "time": "0"}


def _element(case: JUnitCase) -> ET.Element:
    element = ET.Element("testcase", classname=shown(case.classname), name=shown(case.name), time="0")
    if case.outcome == "passed":
        return element
    inner = ET.SubElement(element, case.outcome, message=shown(case.message))
    inner.text = case.text or None
    return element
