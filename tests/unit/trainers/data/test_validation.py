"""Rows judged by the checks of the demo's own task, with rows that each check must refuse among good ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.checks.registry import CHECKS
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.rows.examples import Example, read_examples
from tunegate.trainers.config.recipe import Recipe
from tunegate.trainers.config.sections import DROP
from tunegate.trainers.data.duplicates import find_duplicates
from tunegate.trainers.data.preference import LabelledExample, Preference
from tunegate.trainers.data.report import ExampleReport, measured, render_grades, render_lengths
from tunegate.trainers.data.tokenize import Tokens
from tunegate.trainers.data.validation import grade, settle

TASK = load_tasks(ROOT / "fixtures")[0]
BROKEN = {
    "triage": ('{"product": "boiler"}', "required"),
    "orders": ("Two valves, please.", "json"),
    "replies": ("We've booked Kofi for the 18th, so you'll be warm again by the evening!", "house rule"),
    "wording": ("A technician will come to your house in the morning.", "vocabulary.banned"),
    "questions": ("Well, " * 41, "length"),
}


def row(output: str, unit: str | None = None, line: int = 1, asked: str = "Hello?") -> Example:
    return Example((("user", asked),), asked, output, "rows.jsonl", line, unit)


def recipe(**changes) -> Recipe:
    return Recipe(Path("recipe.yaml"), "support", (), Path("adapter"), **changes)


@pytest.fixture(scope="module")
def graded():
    return {unit.name: unit for unit in grade([row(text, unit) for unit, (text, _) in BROKEN.items()], TASK, quiet())}


@pytest.mark.parametrize(("unit", "rule"), [(unit, rule) for unit, (_, rule) in BROKEN.items()])
def test_a_row_that_its_unit_would_fail_is_found(graded, unit, rule):
    (failure,) = graded[unit].failures

    assert [finding for finding in failure.findings if rule in str(finding)], failure.findings
    assert str(failure).startswith("rows.jsonl:1: ")


def test_what_hangs_on_an_expect_is_not_scored_and_said(graded):
    found = grade([row("Lisbon, of course.", "questions")], TASK, quiet())

    assert found[0].failures == ()
    assert found[0].not_scored == "the accepted outputs"
    assert {unit.not_scored for unit in graded.values()} > {"which values are right", "the required content"}


@pytest.mark.data("trainers/recipes/rows/*.jsonl", "fixtures/support/**/*")
def test_the_rows_of_the_demo_pass():
    for rows in sorted((ROOT / "trainers/recipes/rows").glob("*.jsonl")):
        found = grade(read_examples([rows], TASK), TASK, quiet())

        assert [str(failure) for unit in found for failure in unit.failures] == []
        assert all(unit.graded for unit in found)


def test_a_rejected_answer_that_the_check_passes_is_told():
    good = "Kofi can be with you on the 18th at 7.30 in the morning."
    rows = [
        replace(row(good, "replies", line), rejected=worse)
        for line, worse in enumerate(["We'll be there on the 18th!", "Kofi will be there on the 18th."], start=1)
    ]
    report = ExampleReport(recipe(method="dpo"), 2, grade(rows, TASK, quiet()), [])

    assert [row.line for row in report.passing] == [2]
    assert report.as_dict()["rejected_that_pass"] == [{"file": "rows.jsonl", "line": 2}]
    assert report.summary()["rejected_that_pass"] == 1
    (told,) = [warning for warning in report.warnings() if "rejected" in warning]
    assert told.startswith("1 rejected output passes the check too (rows.jsonl:2 first): the suites cannot measure")


def test_rejected_answers_of_another_length_are_told(grades):
    def of(length):
        return Tokens([1] * (3 + length), [0] * 3 + [1] * length)

    def told(length):
        found = measured(
            ExampleReport(recipe(method="dpo"), 1, grades, []), [row("x")], [Preference(of(6), of(length))], TASK
        )
        (line, *more) = render_lengths(found)
        return line, [warning for warning in more if "differ in length" in warning]

    assert told(8) == ("  tokens per row: 9 to 11, median 10; per output: 6 to 6, median 6; "
                       "per rejected output: 8 to 8, median 8", [])  # fmt: skip
    assert len(told(10)[1]) == len(told(3)[1]) == 1


def test_rows_of_messages_belong_to_no_unit():
    (found,) = grade([row("Anything!")], TASK, quiet())

    assert (found.name, found.rows, found.graded, found.failures) == ("", 1, False, ())


def test_a_unit_whose_cases_have_different_checks_is_not_graded(tmp_path):
    schemas = ({"const": 1}, {"const": 2})
    cases = [
        {"id": f"c{index}", "input": f"{index}", "check": {"schema": schema}} for index, schema in enumerate(schemas)
    ]
    write_unit(tmp_path, [], cases=cases)
    (task,) = load_tasks(tmp_path)

    (found,) = grade([row("3", "triage")], task, quiet())

    assert (found.graded, found.not_scored) == (False, "the unit's cases have 2 different checks")


def test_every_check_that_generates_says_what_it_cannot_score_without_an_expect():
    assert [name for name, kind in CHECKS.items() if kind.asks == "generate" and not kind.derived] == [
        name for name, kind in CHECKS.items() if kind.by_expect
    ]


# what becomes of failing rows

GOOD = '{"product": "boiler", "request": {"kind": "fault", "urgency": "urgent"}, "callback": true}'
ROWS = [row(GOOD, "triage", 1, "one"), *[row("{}", "triage", line, f"row {line}") for line in range(2, 9)]]


@pytest.fixture(scope="module")
def grades():
    return grade(ROWS, TASK, quiet())


def test_failing_rows_refuse_the_training_and_the_first_are_shown(grades):
    with pytest.raises(Refused) as refused:
        settle(ROWS, grades, recipe())

    said = str(refused.value).splitlines()
    assert said[0].startswith("7 of 8 training rows fail the task's own checks")
    assert "`failing_rows: drop`" in said[0]
    assert '`failing_rows: {override: "the reason"}`' in said[0]
    assert [line.split(": ")[0] for line in said[1:6]] == [f"  rows.jsonl:{line}" for line in range(2, 7)]
    assert said[6] == "  and 2 more; --report FILE.json lists them all"


def test_a_recipe_may_drop_or_override_them(grades):
    assert settle(ROWS, grades, recipe(failing_rows=DROP)) == ROWS[:1]
    assert settle(ROWS, grades, recipe(failing_rows={"override": "a format to come"})) == ROWS


def test_nothing_left_after_dropping_is_refused():
    found = grade(ROWS[1:], TASK, quiet())

    with pytest.raises(Refused, match=r"recipe\.yaml: failing_rows: expected a row that passes, found none of 7"):
        settle(ROWS[1:], found, recipe(failing_rows=DROP))


# the report


def report(grades, **changes) -> ExampleReport:
    return ExampleReport(recipe(**changes), len(ROWS), grades, find_duplicates(ROWS))


def test_the_report_in_words(grades):
    said = list(render_grades(report(grades, failing_rows=DROP)))

    assert said[0] == "  triage: 8 rows, 7 fail the check; not scored: which values are right"
    assert said[1].startswith("    rows.jsonl:2: schema.required: ")
    assert said[1].endswith("(and 2 more)")
    assert len([line for line in said if line.startswith("    rows.jsonl:")]) == 5
    assert said[-1] == "  7 rows dropped, as set in the recipe; 1 left for training"


def test_an_override_is_said_with_its_reason(grades):
    said = list(render_grades(report(grades, failing_rows={"override": "a format to come"})))

    assert said[-1] == "  7 rows kept despite failing, as overridden in the recipe: a format to come"


def test_the_report_for_machines_has_every_failure_and_its_summary_has_its_digest(grades):
    one, other = report(grades, failing_rows=DROP), report(grades)

    data = json.loads(json.dumps(one.as_dict()))
    assert [failure["line"] for failure in data["failures"]] == list(range(2, 9))
    assert len(data["failures"][0]["findings"]) == 3
    assert (data["rows"], data["failed"], data["trained"], data["failing_rows"]) == (8, 7, 1, "drop")
    (unit,) = data["units"]
    assert (unit["unit"], unit["passed"], unit["failed"], unit["graded"]) == ("triage", 1, 7, True)
    assert one.summary()["report"] != other.summary()["report"]
    assert "failures" not in one.summary()


def test_lengths_and_warnings(grades):
    tokens = [Tokens([1] * 10, [0] * 4 + [1] * 6) for _ in ROWS[:-1]] + [Tokens([1] * 200, [1] * 200)]

    found = measured(report(grades), ROWS, tokens, TASK)

    assert list(render_lengths(found)) == [
        "  tokens per row: 10 to 200, median 10; per output: 6 to 200, median 6",
        "  warning: 8 rows are few: a small LoRA needs a few hundred to a few thousand good rows",
        "  warning: 1 output is longer than the unit's max_new_tokens (rows.jsonl:8 first): the suites would "
        "truncate such an output",
    ]
    assert found.as_dict()["tokens"]["answer"] == {"least": 6, "median": 6, "most": 200}
    assert found.as_dict()["longer_than_the_suites_allow"] == [{"file": "rows.jsonl", "line": 8}]
    assert found.summary()["longer_than_the_suites_allow"] == 1


@pytest.mark.parametrize(("rows", "said"), [(199, "199 rows are few"), (5001, "5001 rows are many")])
def test_too_few_and_too_many_rows_are_warned_of(rows, said):
    (warning,) = ExampleReport(recipe(), rows, (), ()).warnings()

    assert warning.startswith(said)


@pytest.mark.parametrize("rows", [200, 5000])
def test_a_few_hundred_to_a_few_thousand_are_right(rows):
    assert list(ExampleReport(recipe(), rows, (), ()).warnings()) == []


def test_an_output_that_is_not_liked_may_fail_and_is_named_where_it_passes():
    good, bad = row("Lisbon, of course.", "questions"), row("Well, " * 41, "questions", 2)

    (found,) = grade([replace(bad, liked=False)], TASK, quiet())
    assert (found.rows, found.failures, found.passing) == (1, (), ())

    (found,) = grade([replace(good, liked=False), bad], TASK, quiet())
    assert ([each.row.line for each in found.failures], [each.line for each in found.passing]) == ([2], [1])


def test_lengths_of_outputs_that_are_not_liked_count_as_rejected():
    rows = [row("Lisbon.", "questions"), replace(row("Well.", "questions", 2), liked=False)]
    data = [Tokens([1, 2, 3], [0, 0, 1]), LabelledExample(Tokens([1, 2, 3, 4], [0, 0, 1, 1]), liked=False)]

    report = measured(ExampleReport(recipe(), 2, (), ()), rows, data, TASK)

    assert (report.outputs.most, report.rejected.most) == (1, 2)
