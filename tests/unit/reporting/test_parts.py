"""What people read of the parts of a pass rule, on every face."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from tests.support.records import units_of, write_desk, write_policy
from tunegate.harness.core.progress import quiet
from tunegate.harness.evaluation.record import Record, read_record
from tunegate.harness.evaluation.scoring import evaluate
from tunegate.harness.fixtures.loader import load_tasks
from tunegate.harness.gate import rule as gate
from tunegate.harness.models.api import Completion, Fingerprint
from tunegate.harness.models.replay import Replay
from tunegate.harness.reporting.html import html_page
from tunegate.harness.reporting.markdown import markdown_report
from tunegate.harness.reporting.record import print_record
from tunegate.harness.reporting.report import report_of

T = "desk/triage"
SCHEMA = {
    "type": "object",
    "properties": {"product": {"enum": ["boiler", "radiator"]}, "urgency": {"enum": ["now", "soon"]}},
    "additionalProperties": False,
}
RIGHT, SOON = ({"product": "boiler", "urgency": urgency} for urgency in ("now", "soon"))


@pytest.fixture
def tasks(tmp_path):
    def made(parts=None, **more):
        write_desk(tmp_path / "fixtures", 100, case_keys=lambda _: {"expect": RIGHT}, check={"schema": SCHEMA}, **more)
        write_policy(tmp_path / "fixtures", triage={"margin": 0.4, **({"parts": parts} if parts else {})})
        return load_tasks(tmp_path / "fixtures")

    return made


def answered(tasks, *answers) -> Record:
    """A record of a run in which the cases were answered so, one after another; the last one holds for the rest."""
    unit = units_of(tasks)[T]
    given = {
        (case.key, 0): Completion(case.key, json.dumps(answers[min(index, len(answers) - 1)]))
        for index, case in enumerate(unit.cases)
    }
    names = {"model": "tiny"}
    made = evaluate([unit], Replay(given, Fingerprint({"model": "tiny-1", "rung": "as-is"}, {}, names)), quiet())
    return replace(made, policies=tasks[0].policies, sealed=unit.sealed)


def shown(made: Record) -> str:
    console = Console(file=io.StringIO(), width=100)
    print_record(console, made)
    return console.file.getvalue()


def test_a_field_is_told_with_its_rate_and_what_was_taken_for_what(tasks):
    made = answered(tasks(), *[SOON] * 22, *[{"product": "radiator", "urgency": "now"}] * 3, *["x"], RIGHT)

    assert 'desk/triage: urgency: 77.0 % right, "now" taken for "soon" 22 times\n' in shown(made)
    assert 'desk/triage: product: 96.0 % right, "boiler" taken for "radiator" 3 times\n' in shown(made)


def test_beside_a_reference_the_rate_of_each_field_has_the_other_one(tasks):
    both = tasks()
    made = gate.compare(both, answered(both, *[SOON] * 22, RIGHT), {"baseline": answered(both, RIGHT)}, [])

    assert 'urgency: 78.0 % right (baseline: 100.0 %), "now" taken for "soon" 22 times' in shown(made)
    assert "product" not in shown(made)


def test_every_face_shows_the_parts(tasks):
    both = tasks({"urgency": {"margin": 0.05, "reason": "a call each"}})
    made = gate.compare(both, answered(both, *[SOON] * 22, RIGHT), {"baseline": answered(both, RIGHT)}, [])
    report = report_of([made])

    (part, *_) = report.as_dict()["candidates"][0]["units"][0]["parts"]
    assert (part["name"], part["n"], part["base"], part["mean"], part["margin"], part["fell"]) == (
        "urgency", 100, 1.0, 0.78, 0.05, True,
    )  # fmt: skip
    assert part["taken"] == (('"now"', '"soon"', 22),)
    assert '| **fell**: urgency | 100 | 100.0 % | 78.0 % | 5.0 | "now" taken for "soon" 22 times |' in markdown_report(
        report
    )
    page = html_page(report)
    assert "parts of desk/triage" in page
    assert "&#34;now&#34; taken for &#34;soon&#34; 22 times" in page


def test_of_a_sealed_unit_nothing_is_told_of_what_was_taken_for_what(tasks):
    made = answered(tasks(sealed=True), *[SOON] * 22, RIGHT)

    assert "urgency: 78.0 % right\n" in shown(made)
    assert "22 times" not in shown(made) + markdown_report(report_of([made])) + html_page(report_of([made]))


def test_a_record_keeps_fields_and_confusions(tasks, tmp_path):
    made = answered(tasks(), *[SOON] * 22, RIGHT).write(tmp_path / "r.json")
    read = read_record(tmp_path / "r.json")

    assert read.units == made.units
    assert read.cases == made.cases
    assert json.loads((tmp_path / "r.json").read_text())["cases"][f"{T}/c000"]["fields"] == {
        "product": [1, 1, 1], "urgency": [0, 1, 1, ['"now"', '"soon"']],
    }  # fmt: skip
