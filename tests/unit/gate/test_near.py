"""Cases that training rows come near: no evidence of a gain, but they count against the candidate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.records import record, write_desk, write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.evaluation.record import Record
from tunegate.harness.gate import rule as gate

T = "desk/triage"


@pytest.fixture
def evaluate(tmp_path):
    """Compare rows of ones and zeros of which the first `near` cases are near."""

    def run(base: str, tuned: str, near: int, **more: Any) -> dict[str, Any]:
        tasks = load_tasks(tmp_path)
        ids = [case.id for case in tasks[0].units[0].cases]
        references = {"baseline": record(tasks, {T: base})}
        candidate = replace(record(tasks, {T: tuned}, **more), near={T: ids[:near]} if near else {})
        judged: Record = gate.compare(tasks, candidate, references, ["desk"])
        return dict(judged.verdicts[T])

    return run


@pytest.fixture
def target(tmp_path):
    write_desk(tmp_path, 120)
    write_policy(tmp_path, triage={"role": "target", "margin": 0.1})


def test_a_gain_on_near_cases_alone_is_no_gain(evaluate, target):
    base, tuned = "0" * 120, "1" * 60 + "0" * 60
    assert evaluate(base, tuned, 0)["verdict"] == "improved"
    found = evaluate(base, tuned, 60)
    assert found["verdict"] == "held"
    assert (found["n"], found["mean"]) == (60, 0.0)
    assert found["near"] == {
        "n": 60, "clean": 60, "base": 0.0, "mean": 1.0, "excess": 1.0, "interval": None,
    }  # fmt: skip
    assert "It rests on 60 of 120 cases; training rows come near the others (0.0 % -> 100.0 %)" in found["reason"]


def test_a_gain_on_the_other_cases_counts_and_its_numbers_are_theirs(evaluate, target):
    found = evaluate("0" * 120, "1" * 50 + "0" * 10 + "1" * 30 + "0" * 30, 60)
    assert found["verdict"] == "improved"
    assert (found["base"], found["mean"]) == (0.0, 0.5)
    assert found["near"]["mean"] == pytest.approx(50 / 60)
    low, high = found["near"]["interval"]
    assert found["near"]["excess"] == pytest.approx(1 / 3)
    assert low < 1 / 3 < high
    assert len(found["fixed_cases"]) == 80


def test_a_loss_that_near_cases_hide_is_found(evaluate, target):
    base = "0" * 60 + "1" * 60
    tuned = "1" * 60 + "1" * 30 + "0" * 30
    assert evaluate(base, tuned, 0)["verdict"] != "regressed"
    assert evaluate(base, tuned, 60)["verdict"] == "regressed"


def test_a_loss_on_near_cases_counts_against_it(evaluate, target):
    found = evaluate("1" * 120, "0" * 40 + "1" * 80, 60)
    assert found["verdict"] == "regressed"
    assert "with the cases that training rows come near" in found["reason"]


def test_without_a_clean_case_nothing_can_be_said(evaluate, target):
    found = evaluate("0" * 120, "1" * 120, 120)
    assert (found["verdict"], found["blocks"]) == ("inconclusive", True)
    assert "training rows come near all of its 120 cases" in found["reason"]


def test_few_clean_cases_are_inconclusive_and_say_how_many_it_takes(evaluate, target):
    found = evaluate("0" * 60 + "1" * 60, "0" * 60 + "1" * 60, 100)
    assert found["verdict"] == "inconclusive"
    assert "cases" in found["reason"].split("settle it")[0]


def test_cases_of_other_units_change_nothing(evaluate, target):
    assert evaluate("1" * 120, "1" * 120, 0)["near"] is None
