"""The ladder's two other tasks: facts that stand in the passages alone, sums whose answers stand nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tunegate.harness.cases.loader import find_unit, load_tasks
from tunegate.harness.cases.model import Case
from tunegate.harness.models.model_options import RUNGS
from tunegate.harness.models.prompts import CONSTRAINED
from tunegate.harness.release.diagnosis.ladder import offers
from tunegate.harness.review.lint.rules import lint_fixtures
from tunegate.harness.rows.examples import Example, read_examples
from tunegate.harness.rows.normalize import normalise
from tunegate.trainers.config.recipe import read_recipe
from tunegate.trainers.decontamination.check import decontaminate

ROOT = ROOT / "benchmarks/ladder_tasks"
TASKS = load_tasks(ROOT)
UNITS = {key: find_unit(TASKS, key) for key in ("handbook/facts", "rota/sums")}
FACTS, SUMS = (unit.cases for unit in UNITS.values())
RECIPES = {task.name: read_recipe(ROOT / f"_training/{task.name}.yaml") for task in TASKS}
ROWS = {task.name: read_examples(RECIPES[task.name].rows, task) for task in TASKS}
SENTENCE = re.compile(r"(?<=[.!?;])\s+")
RUN = 5  # words


def holds(text: str, case: Case, *answers: str) -> bool:
    """Would the case's own check find one of the answers (default: any that counts) in a sentence of the text?"""
    expect = {"answer": answers or case.expect["answer"]}
    return any(case.check(sentence, expect, "").score for sentence in SENTENCE.split(text))


def by_id(case: Case) -> str:
    return case.id


def runs(text: str) -> set[tuple[str, ...]]:
    words = normalise(text).split()
    return {tuple(words[start : start + RUN]) for start in range(len(words) - RUN + 1)}


def test_lint_finds_sixty_cases_each_and_nothing_to_say(tmp_path: Path) -> None:
    found = lint_fixtures(ROOT, tmp_path)
    assert found.units == ["handbook/facts: 60 retention cases", "rota/sums: 60 retention cases"]
    assert (found.mistakes, found.warnings) == ((), ())


@pytest.mark.parametrize("case", FACTS, ids=by_id)
def test_a_fact_stands_in_its_passage_and_not_in_its_question(case: Case) -> None:
    first = case.expect["answer"][0]  # as the passage writes it; the others are other ways to write it
    assert holds(case.context, case, first)
    assert not holds(f"{case.prompt.system} {case.input}", case)


@pytest.mark.parametrize("case", SUMS, ids=by_id)
def test_the_answer_to_a_sum_is_not_among_what_it_is_made_of(case: Case) -> None:
    assert not holds(f"{case.prompt.system} {case.input}", case)


@pytest.mark.parametrize("case", [*FACTS, *SUMS], ids=by_id)
def test_each_answer_that_counts_passes_alone(case: Case) -> None:
    assert all(case.check(answer, case.expect, "").score == 1.0 for answer in case.expect["answer"])


def test_shots_give_no_fact_away() -> None:
    shown = [f"{shot.input} {shot.output}" for shot in UNITS["handbook/facts"].shots]
    assert [case.id for case in FACTS for text in shown if holds(text, case)] == []


def test_the_handbook_offers_every_rung_that_needs_no_schema_and_the_sums_all_but_context() -> None:
    offered = {key: [rung for rung in RUNGS if offers(unit, rung)] for key, unit in UNITS.items()}
    free = [rung for rung in RUNGS if rung not in CONSTRAINED]
    assert offered == {"handbook/facts": free, "rota/sums": ["as-is", "few-shot", "steps"]}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_rows_are_apart_from_the_fixtures(task) -> None:
    assert decontaminate(ROWS[task.name], TASKS).evidence()["pairs"] == {"refuse": 0, "review": 0}
    (unit,) = task.units
    held = [case.input for case in unit.cases] + [shot.input for shot in unit.shots]
    held += [case.context for case in unit.cases if case.context]
    known = set().union(*map(runs, held))

    def copied(row: Example) -> bool:
        """Are three runs of five words, seven words on end for instance, a fixture's?"""
        return len(runs(row.input) & known) >= 3

    assert [row.input for row in ROWS[task.name] if copied(row)] == []


def test_no_row_answers_a_fact() -> None:
    told = [(case.id, row.input) for case in FACTS for row in ROWS["handbook"] if row.output in case.expect["answer"]]
    assert told == []
