"""Cases that training rows come near: no evidence of a gain, but they count against the candidate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.records import record, write_desk, write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.gate import rule as gate
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.evaluation.verdict import NearScores, Proof, UnitVerdict

T = "desk/triage"


@pytest.fixture
def evaluate(tmp_path):
    """Compare rows of ones and zeros of which the first `near` cases are near."""

    def run(base: str, tuned: str, near: int, **more: Any) -> UnitVerdict:
        tasks = load_tasks(tmp_path)
        ids = [case.id for case in tasks[0].units[0].cases]
        references = {"baseline": record(tasks, {T: base})}
        candidate = replace(record(tasks, {T: tuned}, **more), near={T: ids[:near]} if near else {})
        judged: Record = gate.compare(tasks, candidate, references, ["desk"])
        return judged.verdicts[T]

    return run


@pytest.fixture
def target(tmp_path):
    write_desk(tmp_path, 120)
    write_policy(tmp_path, triage={"role": "target", "margin": 0.1})


@pytest.fixture
def guard(tmp_path):
    write_desk(tmp_path, 120)
    write_policy(tmp_path, triage={"margin": 0.1})


def test_a_gain_on_near_cases_alone_is_no_gain(evaluate, target):
    base, tuned = "0" * 120, "1" * 60 + "0" * 60
    assert evaluate(base, tuned, 0).verdict == "improved"
    found = evaluate(base, tuned, 60)
    assert found.verdict == "held"
    assert "This gain is not shown without the cases that training rows come near." in found.reason


def test_every_number_is_of_all_cases_and_the_proof_stands_beside_it(evaluate, target):
    found = evaluate("0" * 120, "1" * 50 + "0" * 10 + "1" * 30 + "0" * 30, 60)
    assert found.verdict == "improved"
    assert (found.n, found.base, found.mean, len(found.fixed_cases)) == (120, 0.0, 80 / 120, 80)
    assert found.near == NearScores(
        n=60, clean=60, near=(0.0, 50 / 60), others=(0.0, 0.5),
        gain=Proof(60, 0.5, pytest.approx(0.391, abs=0.001)), hold=Proof(120, 0.25, pytest.approx(0.190, abs=0.001)),
    )  # fmt: skip
    assert "near 60 of 120 cases (0.0 % -> 83.3 %; the others 0.0 % -> 50.0 %)" in found.reason
    assert "Without the gains of these: +50.0 points on 60 balanced cases, at least +3" in found.reason


def test_rows_near_what_the_base_passes_make_no_gain_of_chance(evaluate, target):
    # six flips either way: rows come near the lost ones and others that the base passes
    base, tuned = "1" * 66 + "0" * 54, "0" * 12 + "1" * 54 + "1" * 12 + "0" * 42
    found = evaluate(base, tuned, 60)
    assert found.verdict == "inconclusive"
    assert found.difference == 0


def test_a_loss_that_near_cases_hide_is_not_held(evaluate, target):
    base = "0" * 60 + "1" * 60
    tuned = "1" * 60 + "1" * 30 + "0" * 30
    assert evaluate(base, tuned, 0).verdict == "improved"
    found = evaluate(base, tuned, 60)
    assert found.verdict == "inconclusive"
    assert "without the gains of cases that training rows come near, the loss may be up to 3" in found.reason


def test_a_loss_on_near_cases_counts_as_any_other(evaluate, target):
    base, tuned = "1" * 120, "0" * 40 + "1" * 80
    found, plain = evaluate(base, tuned, 60), evaluate(base, tuned, 0)
    assert found.verdict == plain.verdict == "regressed"
    assert (found.mean, found.interval) == (plain.mean, plain.interval)


@pytest.mark.parametrize("more", [{"minimum_score": 0.9}, {"lower": "block"}])
def test_near_cases_that_are_lost_block_a_guard_by_every_rule(evaluate, tmp_path, more):
    write_desk(tmp_path, 120)
    write_policy(tmp_path, triage={"margin": 0.4, "reason": "a test"} | more)
    found = evaluate("1" * 120, "0" * 30 + "1" * 90, 30)
    assert found.verdict == "regressed"


def test_a_slice_of_near_cases_can_fall(evaluate, tmp_path):
    write_desk(tmp_path, 120, case_keys=lambda at: {"tags": {"hue": "red" if at < 18 else "blue"}})
    write_policy(tmp_path, triage={"margin": 0.4, "reason": "a test"})
    found = evaluate("1" * 120, "0" * 18 + "1" * 102, 18)
    assert found.worse_slices == ("hue=red",)


def test_near_cases_of_a_right_reference_do_not_keep_a_guard_from_being_held(evaluate, guard):
    found = evaluate("1" * 120, "1" * 120, 60)
    assert (found.verdict, found.near.hold.observations) == ("held", 60)


def test_without_a_clean_case_no_gain_is_shown(evaluate, target):
    found = evaluate("0" * 120, "1" * 120, 120)
    assert (found.verdict, found.near.gain.difference) == ("held", 0)
    assert "Training rows come near 120 of 120 cases (0.0 % -> 100.0 %). Without" in found.reason


def test_few_clean_cases_are_inconclusive_and_say_how_many_it_takes(evaluate, target):
    found = evaluate("1" * 120, "1" * 120, 100)
    assert found.verdict == "inconclusive"
    assert "cases without a row near them would settle it" in found.reason


def test_cases_of_other_units_change_nothing(evaluate, target):
    assert evaluate("1" * 120, "1" * 120, 0).near is None
