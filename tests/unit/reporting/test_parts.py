"""What people read of the parts of a pass rule, on every face."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest

from tests.support.records import units_of, write_desk, write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.printing import Printer
from tunegate.harness.core.progress import quiet
from tunegate.harness.gate import rule as gate
from tunegate.harness.models.api import Completion, Fingerprint
from tunegate.harness.models.evaluation.record import Record, read_record
from tunegate.harness.models.evaluation.scoring import evaluate
from tunegate.harness.models.evaluation.verdict import NeverRight
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


STATE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "state": {"enum": ["CA", "NY"]}, "urgent": {"type": "boolean"}},
}
BARE, IN_CA = {"name": "Ada"}, {"name": "Ada", "state": "CA"}


@pytest.fixture
def addresses(tmp_path):
    """A unit whose first cases expect a state, and the others none."""

    def made(n=68, with_state=27, parts=None, **more):
        write_desk(
            tmp_path / "fixtures", n, case_keys=lambda index: {"expect": IN_CA if index < with_state else BARE},
            check={"schema": STATE, "match": "whole"}, **more,
        )  # fmt: skip
        write_policy(tmp_path / "fixtures", triage={"margin": 0.4, **({"parts": parts} if parts else {})})
        return load_tasks(tmp_path / "fixtures")

    return made


def shown(made: Record) -> str:
    console = Printer(file=io.StringIO(), width=100)
    print_record(console, made)
    return console.file.getvalue()


def test_a_field_is_told_with_its_rate_and_what_was_taken_for_what(tasks):
    made = answered(tasks(), *[SOON] * 22, *[{"product": "radiator", "urgency": "now"}] * 3, *["x"], RIGHT)

    assert 'desk/triage: urgency: 77.0 % of 100 right, outputs "soon" instead of "now" 22 times\n' in shown(made)
    assert 'desk/triage: product: 96.0 % of 100 right, outputs "radiator" instead of "boiler" 3 times\n' in shown(made)


def test_beside_a_reference_the_rate_of_each_field_has_the_other_one(tasks):
    both = tasks()
    made = gate.compare(both, answered(both, *[SOON] * 22, RIGHT), {"baseline": answered(both, RIGHT)}, [])

    assert 'urgency: 78.0 % of 100 right (baseline: 100.0 %), outputs "soon" instead of "now" 22 times' in shown(made)
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
    assert (
        '| **fell**: urgency | 100 | 100.0 % | 78.0 % | 5.0 | outputs "soon" instead of "now" 22 times |'
        in markdown_report(report)
    )
    page = html_page(report)
    assert "parts of desk/triage" in page
    assert "outputs &#34;soon&#34; instead of &#34;now&#34; 22 times" in page


def test_of_a_sealed_unit_nothing_is_told_of_what_was_taken_for_what(tasks):
    made = answered(tasks(sealed=True), *[SOON] * 22, RIGHT)

    assert "urgency: 78.0 % of 100 right\n" in shown(made)
    assert "22 times" not in shown(made) + markdown_report(report_of([made])) + html_page(report_of([made]))


def test_a_record_keeps_fields_and_confusions(tasks, tmp_path):
    made = answered(tasks(), *[SOON] * 22, RIGHT).write(tmp_path / "r.json")
    read = read_record(tmp_path / "r.json")

    assert read.units == made.units
    assert read.cases == made.cases
    assert json.loads((tmp_path / "r.json").read_text())["cases"][f"{T}/c000"]["fields"] == {
        "product": [1, 1, 1], "urgency": [0, 1, 1, [['"now"', '"soon"']]],
    }  # fmt: skip


def test_a_baseline_shows_the_same_rate_of_a_field_everywhere(addresses):
    # the base has 2 of 27 states right and invents none; the tune invents them in all of the other cases
    both = addresses()
    base, tuned = answered(both, IN_CA, IN_CA, BARE), answered(both, *[IN_CA] * 68)

    made = gate.compare(both, tuned, {"baseline": base}, [])

    parts = {part.name: part for part in made.verdicts[T].parts}
    assert (parts["state"].n, parts["state"].base, parts["state"].mean) == (27, 2 / 27, 1.0)
    left_out = parts["state (none expected)"]
    assert (left_out.n, left_out.base, left_out.mean) == (41, 1.0, 0.0)
    assert "desk/triage: state: 7.4 % of 27 right" in shown(base)
    page, text = html_page(report_of([made])), markdown_report(report_of([made]))
    assert "| state | 27 | 7.4 % | 100.0 % |" in text
    assert "| state (none expected) | 41 | 100.0 % | 0.0 % |" in text
    assert '<th scope="row">state</th><td>27</td><td>7.4 %</td>' in page
    assert "'state (none expected)' fell from 100.0 % to 0.0 % of 41 cases" in made.verdicts[T].reason
    assert "'state (none expected)' fell from 100.0 % to 0.0 % of 41 cases" in text


def test_the_rate_of_a_baseline_is_the_same_beside_whatever_answers(addresses):
    both = addresses()
    base = answered(both, IN_CA, IN_CA, BARE)
    rates = {
        part.base
        for tuned in (base, answered(both, *[IN_CA] * 68), answered(both, BARE), answered(both, "x"))
        for part in gate.compare(both, tuned, {"baseline": base}, ()).verdicts[T].parts
        if part.name == "state"
    }

    assert rates == {2 / 27}


def test_a_margin_of_a_field_holds_what_is_invented_too(addresses):
    both = addresses(parts={"state": {"margin": 0.05, "reason": "a letter each"}})
    base, tuned = answered(both, *[IN_CA] * 27, BARE), answered(both, IN_CA)

    verdict = gate.compare(both, tuned, {"baseline": base}, []).verdicts[T]

    assert verdict.reason.startswith("Regressed: ")
    assert "'state (none expected)' fell from 100.0 % to 0.0 % of 41 cases" in verdict.reason
    assert [part.fell for part in verdict.parts if part.margin] == [False, True]


def test_an_answer_that_lacks_what_its_case_expects_makes_no_part_look_better(addresses):
    both = addresses()

    made = answered(both, *[IN_CA] * 20, *["x"] * 7, BARE)

    assert (made.units[T].fields["state"].right, made.units[T].fields["state"].n) == (20, 27)


def test_an_alternative_without_a_field_that_is_right_makes_it_right(tmp_path):
    expect = {"any_of": [IN_CA, {"name": "Bob"}]}
    check = {"schema": STATE, "match": "whole"}
    write_desk(tmp_path / "fixtures", 100, case_keys=lambda _: {"expect": expect}, check=check)
    both = load_tasks(tmp_path / "fixtures")

    base, tuned = answered(both, *[IN_CA] * 50, {"name": "Bob"}), answered(both, "x")
    (part,) = [
        each for each in gate.compare(both, tuned, {"baseline": base}, ()).verdicts[T].parts
        if each.name == "state"
    ]  # fmt: skip

    assert (base.units[T].fields["state"].rate, part.base, part.mean) == (1.0, 1.0, 0.0)


def test_the_cases_of_a_group_count_alike_in_the_record_and_beside_another(tmp_path):
    write_desk(
        tmp_path / "fixtures", 60, check={"schema": SCHEMA},
        case_keys=lambda index: {"expect": RIGHT, "group": f"g{min(index, 30)}"},
    )  # fmt: skip
    both = load_tasks(tmp_path / "fixtures")
    base, tuned = answered(both, *[RIGHT] * 30, SOON), answered(both, SOON)

    made = gate.compare(both, tuned, {"baseline": base}, [])

    (part,) = [each for each in made.verdicts[T].parts if each.name == "urgency"]
    assert (part.n, part.observations, part.base) == (60, 31, 0.5)
    assert base.units[T].fields["urgency"].rate == 0.5


def test_a_value_that_is_never_answered_stands_in_the_report_of_a_record(tasks, tmp_path):
    made = answered(tasks(), *[RIGHT] * 10, SOON)
    never = answered(tasks(), SOON)

    assert "never" not in shown(made)
    assert (
        'desk/triage: urgency: 0.0 % of 100 right, outputs "soon" instead of "now" 100 times; '
        'never outputs "now" (0 of 100)' in shown(never)
    )
    report = report_of([read_record(never.write(tmp_path / "r.json").path)])
    assert 'never outputs "now" (0 of 100)' in markdown_report(report)
    assert "never outputs &#34;now&#34; (0 of 100)" in html_page(report)


def test_of_a_sealed_unit_the_value_that_is_never_answered_is_not_told(tasks):
    both = tasks(sealed=True)
    never, base = answered(both, SOON), answered(both, RIGHT)

    made = gate.compare(both, replace(never, sealed=True), {"baseline": base}, [])

    said = "'urgency' is never right where one of its values is expected: 0 of 100 cases, 100 in the baseline"
    assert said in made.verdicts[T].reason
    assert made.verdicts[T].never_right == (NeverRight("urgency", "", 100, 100, lost=True),)
    assert "never outputs one of its values (0 of 100)" in shown(never)
    for each in (made, never):
        report = report_of([each])
        assert '"now"' not in shown(each) + markdown_report(report)
        assert "&#34;now&#34;" not in html_page(report)
