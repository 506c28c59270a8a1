"""The cost suite under pytest."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support.project import Project
from tests.unit.checks.test_cost import GOOD, PRICES, write_cost, write_task

IDS = [f"case{number:02}" for number in range(20)]


# --- under pytest


def lines(tokens_out: int, wrong: int = 0, **more: Any) -> str:
    rows = [
        {"case": f"desk/triage/{case}", "output": "?" if number < wrong else GOOD, "tokens_in": 60,
         "tokens_out": tokens_out + number} | more
        for number, case in enumerate(IDS)
    ]  # fmt: skip
    return "\n".join(map(json.dumps, rows))


def run(project: Project, text: str, *arguments: str) -> pytest.RunResult:
    (project.path / "outputs.jsonl").write_text(text)
    return project.run("--tg-model=replay:outputs.jsonl", *arguments)


@pytest.fixture
def spending(project: Project) -> Project:
    """Twenty cases and their cost, with `base.json`: sixty-odd tokens in, forty-odd out."""
    project.unit(IDS, generate={"max_new_tokens": 110})
    write_task(project.fixtures, triage={"margin": 0.4}, spend={"margin": 0.00005})
    write_cost(project.fixtures)
    run(project, lines(40), "--tg-out=base.json")
    return project


def test_a_cost_unit_is_scored_beside_its_source(spending):
    result = run(spending, lines(40), "--tg-out=record.json")
    assert result.ret == 0
    result.assert_outcomes(passed=40)
    assert spending.record()["units"]["desk/spend"]["mean"] == pytest.approx(-(60 + 10 * 49.5) / 1e6)
    assert spending.record()["partial"] is False


def test_an_answer_that_costs_more_regresses(spending):
    result = run(spending, lines(90), "--tg-against=base.json", "--tg-out=record.json")
    assert result.ret == 1
    verdict = spending.record()["verdicts"]["desk/spend"]
    assert verdict["verdict"] == "regressed"
    assert verdict["difference"] == pytest.approx(-500e-6)
    assert not re.search(r"\de-", str(verdict["remarks"]))


def test_a_cheaper_one_holds(spending):
    assert run(spending, lines(8), "--tg-against=base.json", "--tg-out=record.json").ret == 0
    assert spending.record()["verdicts"]["desk/spend"]["verdict"] == "held"


def test_another_price_is_not_compared(spending):
    write_task(spending.fixtures, {**PRICES, "output_per_million": 1}, triage={"margin": 0.4}, spend={"margin": 1e-4})
    result = run(spending, lines(40), "--tg-against=base.json")
    assert result.ret == 4
    assert "desk/spend was evaluated with other prices" in " ".join(result.stderr.str().split())


def test_answers_without_tokens_fail_with_a_clear_finding(spending):
    bare = "\n".join(json.dumps({"case": f"desk/triage/{case}", "output": GOOD}) for case in IDS)
    result = run(spending, bare)
    result.assert_outcomes(passed=20, failed=20)
    result.stdout.fnmatch_lines(["*unscored: the output has no price: tokens_in and tokens_out missing*"])


def test_a_replayed_line_for_a_cost_case_is_refused(spending):
    result = run(spending, json.dumps({"case": "desk/spend/case00", "output": GOOD}))
    assert result.ret == 4
    assert "a case of the fixtures" in result.stderr.str()


def test_selected_cost_cases_have_their_sources_cases_scored(spending):
    result = run(spending, lines(40), "-k", "desk/spend/case00 or desk/spend/case01", "--tg-out=part.json")
    assert result.ret == 0
    result.assert_outcomes(passed=2, deselected=38)
    assert sorted(spending.record("part.json")["cases"]) == [
        "desk/spend/case00", "desk/spend/case01", "desk/triage/case00", "desk/triage/case01",
    ]  # fmt: skip
    assert spending.record("part.json")["partial"] is True


def test_a_selected_gate_judges_the_unit_and_its_source_whole(spending):
    run(spending, lines(40), "--tg-against=base.json", "--tg-out=g.json", "-k", "test_cost_gate and desk/spend")
    assert set(spending.record("g.json")["verdicts"]) == {"desk/triage", "desk/spend"}


def test_selected_cases_of_the_source_leave_the_cost_unit_alone(spending):
    result = run(spending, lines(40), "-k", "test_schema", "--tg-out=part.json")
    assert list(spending.record("part.json")["units"]) == ["desk/triage"]
    assert "partial: desk/spend was not evaluated as a whole (0 of 20 cases)" in result.stdout.str()
