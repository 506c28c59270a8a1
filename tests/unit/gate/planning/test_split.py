"""How many cases to seal."""

from __future__ import annotations

import pytest

from tests.support.records import write_desk, write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.gate.planning.history import Past
from tunegate.harness.gate.planning.plan import plan_units
from tunegate.harness.gate.planning.render import seals
from tunegate.harness.gate.planning.split import best_split
from tunegate.harness.statistics.power import Continuous, Levels
from tunegate.harness.statistics.sample_size import PassFail

OPENED = Levels(0.032, 0.04, 0.032)


def test_the_fewest_are_sealed_that_show_the_gain():
    found = best_split(200, PassFail(0.1), 0.05, 0.1)
    sealed = PassFail(0.1, levels=OPENED)
    assert found.open + found.sealed == 200
    assert sealed.prob_improved(found.sealed, 0.05, 0.1) >= 0.8
    assert sealed.prob_improved(found.sealed - 8, 0.05, 0.1) < 0.8
    regressed = PassFail(0.1).prob_regressed(found.open, 0.05, 0.1)
    assert found.gained == pytest.approx((1 - regressed) * sealed.prob_improved(found.sealed, 0.05, 0.1))
    assert found.equal < 0.032 * 1.25


def test_what_guards_is_sealed_until_it_holds_with_the_chance_asked_for():
    few, many = best_split(600, PassFail(0.1), 0.05, None), best_split(600, PassFail(0.1), 0.05, None, asked=0.9)
    assert 300 <= few.sealed < many.sealed < 450
    assert few.equal >= 0.77


def test_half_of_plenty_is_sealed():
    assert best_split(800, PassFail(0.04), 0.05, 0.1).sealed == 400


def test_three_in_four_at_most_are_sealed():
    assert best_split(100, PassFail(0.1), 0.05, 0.05).sealed == 75
    assert best_split(200, Continuous(0.5), 0.2, 0.2).sealed <= 150
    few = best_split(20, PassFail(0.04), 0.02, None)
    assert (few.sealed, few.gained < 0.01) == (15, True)
    enough = best_split(few.needed, PassFail(0.04), 0.02, None)
    assert enough.gained > 0.77


def test_a_single_case_is_split_without_an_error():
    assert best_split(1, PassFail(0.04), 0.05, 0.1).gained < 0.01


def test_a_plan_says_it_of_a_target_that_nothing_seals(tmp_path):
    write_desk(tmp_path, 200)
    write_desk(tmp_path, 200, "replies")
    write_policy(tmp_path, triage={"role": "target", "margin": 0.05}, replies={"margin": 0.05})
    plans = plan_units(load_tasks(tmp_path), Past(), gain=0.1)
    [line] = seals(plans)
    assert line == (
        "desk/triage: seal 100 of these 200 cases for releases, and work with the other 100: a release then "
        "shows a gain of 10 points 83 % of the time, and at the second, third and fourth evaluation of the same sealed "
        "cases 61, 33 and 14 %. Open cases prove a gain only in the task's first complete run, as later adapters "
        "are chosen by them."
    )
    [plan] = [each for each in plans if each.unit.name == "triage"]
    assert plan.as_dict()["split"]["sealed"] == plan.split.sealed


def test_a_target_that_is_sealed_already_is_passed_over_and_one_too_small_is_told(tmp_path):
    write_desk(tmp_path, 12)
    write_policy(tmp_path, triage={"role": "target", "margin": 0.05})
    [line] = seals(plan_units(load_tasks(tmp_path), Past()))
    assert line == (
        "desk/triage: too few cases to prove a gain at a release with sealed ones; 322 would do, 242 of them sealed. "
        "Until then only the task's first complete run does."
    )
    write_desk(tmp_path, 60, "final", sealed=True)
    write_policy(tmp_path, triage={"role": "target"}, final={"role": "target", "seals": "triage"})
    assert not [*seals(plan_units(load_tasks(tmp_path), Past()))]
