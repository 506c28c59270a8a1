"""What a run under pytest claims of quality and cost together."""

from __future__ import annotations

import json

from tests.integration.checks.test_cost import lines, run
from tests.support.project import Project
from tests.unit.checks.test_cost import write_cost, write_task
from tunegate.harness.models.evaluation.record import read_record

# --- under pytest


def test_the_claim_is_shown_and_kept(project: Project):
    project.unit([f"case{number:02}" for number in range(20)])
    write_task(project.fixtures, triage={"margin": 0.4})
    write_cost(project.fixtures)
    run(project, lines(90), "--tg-out=few.json")
    result = run(project, lines(30), "--tg-against=few.json", "--tg-out=tuned.json")
    told = "the claim: desk/triage: quality held (100.0 % against 100.0 %, margin 40 points) at "
    assert result.ret == 0
    assert told in result.stdout.str()
    record = read_record(project.path / "tuned.json")
    assert record.claims["desk/spend"].outcome == "proved"
    assert read_record(project.path / "few.json").claims == {}


def test_a_part_of_a_unit_makes_no_claim(project: Project):
    project.unit([f"case{number:02}" for number in range(20)])
    write_task(project.fixtures, triage={"margin": 0.4})
    write_cost(project.fixtures)
    run(project, lines(90), "--tg-out=few.json")
    run(project, lines(30), "--tg-against=few.json", "--tg-out=part.json", "-k", "test_cost and case01")
    assert json.loads((project.path / "part.json").read_text())["claims"] == {}


def test_a_target_that_only_equals_the_costlier_record_is_blocked_beside_its_claim(project: Project):
    project.unit([f"case{number:02}" for number in range(20)])
    write_task(project.fixtures, triage={"role": "target", "margin": 0.4})
    write_cost(project.fixtures)
    run(project, lines(90), "--tg-out=few.json")
    result = run(project, lines(30), "--tg-against=few.json")
    assert result.ret == 1
    told = result.stdout.str()
    assert "the claim: desk/triage: quality held" in told
    assert (
        "Blocked: nothing to gain on desk/triage (100.0 % -> 100.0 %), where the record passes every case: "
        "declare it a guard" in told
    )
