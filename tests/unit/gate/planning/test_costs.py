"""What a cost guard can hold: by max_new_tokens, by its cases, by its margin; and what a plan and lint say of it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.records import ENGINE, LOCAL, save, write_desk
from tests.unit.checks.test_cost import GOOD, PRICES, write_cost, write_task
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.progress import quiet
from tunegate.harness.gate.planning.costs import Calls, held_with, holds_if_still, least_margin, most_tokens
from tunegate.harness.gate.planning.history import COSTS_ASSUMED, Past
from tunegate.harness.gate.planning.plan import Plan, plan_units
from tunegate.harness.gate.planning.remedies import why_never
from tunegate.harness.gate.rule import compare
from tunegate.harness.models.api import Completion, Fingerprint
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.evaluation.scoring import evaluate
from tunegate.harness.models.replay import Replay
from tunegate.harness.review.lint.rules import lint_fixtures
from tunegate.harness.statistics.power import Continuous

COST = "desk/spend"
OUT = PRICES["output_per_million"] / 1e6  # the price of an output token


class Desk:
    """A unit of `n` cases of `limit` new tokens, and what they cost."""

    def __init__(self, home: Path, n: int, limit: int, margin: float) -> None:
        self.home, self.n = home, n
        write_desk(home / "fixtures", n, generate={"max_new_tokens": limit})
        write_cost(home / "fixtures")
        write_task(home / "fixtures", triage={"role": "target"}, spend={"margin": margin})

    @property
    def tasks(self):
        return load_tasks(self.home / "fixtures")

    def record(self, lengths, adapter: str | None = None) -> Record:
        """A record whose outputs have these lengths, in turn."""
        keys = [f"desk/triage/c{index:03}" for index in range(self.n)]
        answers = {(key, 0): Completion(key, GOOD, 50, lengths[index % len(lengths)]) for index, key in enumerate(keys)}
        who = Fingerprint(LOCAL | {"adapter": adapter}, ENGINE, {"model": "tiny"})
        made = evaluate(self.tasks[0].units, Replay(answers, who), quiet())
        return replace(made, policies=self.tasks[0].policies)

    def answer(self, lengths, released: bool = False) -> None:
        """Keep a baseline, or a release."""
        made = self.record(lengths, "a" * 64 if released else None)
        save(self.home / "baselines", made, self.tasks[0].units, released)

    def plan(self) -> Plan:
        past = Past(folder=self.home / "baselines" / LOCAL["model"])
        return next(each for each in plan_units(self.tasks, past) if each.unit.key == COST)

    def lint(self) -> list[str]:
        found = lint_fixtures(self.home / "fixtures", self.home / "baselines").warnings
        return [each.text for each in found if each.text.startswith(COST)]


def test_a_call_can_cost_max_new_tokens_more_than_another(tmp_path):
    desk = Desk(tmp_path, 60, 500, 20 * OUT)

    assert desk.plan().bounds.span == pytest.approx(500 * OUT)
    assert desk.plan().bounds.collapse is None  # it is bounded: nothing else is promised


def test_prompts_that_differ_are_part_of_it_and_outputs_that_are_longer_have_no_bound():
    calls = Calls(limit=500, price=2.0, prompts=30.0)

    assert calls.span == 1030
    assert Calls(limit=500, price=2.0, longest=600).span is None


def test_an_output_beyond_the_limit_counts_in_a_plan_as_it_does_in_the_gate(tmp_path):
    desk = Desk(tmp_path, 60, 40, 20 * OUT)
    desk.answer([30, 900])  # as supplied outputs may be: ten margins are 200 tokens, and one was longer
    old, new = desk.record([30, 900]), desk.record([30, 900], "a" * 64)
    verdict = compare(desk.tasks, new, {"baseline": old}, ["desk"]).verdicts[COST]
    bounds = desk.plan().bounds

    assert bounds.room(20 * OUT) == pytest.approx(verdict.span) == pytest.approx(900 * OUT)
    assert bounds.collapse  # nothing bounds them, so how many collapse is asked too
    assert not verdict.bounded
    assert bounds.room(100 * OUT) == pytest.approx(1000 * OUT)  # the larger of both


def test_a_guard_of_too_few_cases_can_never_hold_its_margin_and_is_given_a_number_for_each_way_out(tmp_path):
    desk = Desk(tmp_path, 60, 500, 20 * OUT)  # C is 25 margins: more than 3.06 * 24 cases
    found = desk.plan()

    assert found.fewest == math.floor(1.7507**2 * 24) + 1 == 74
    assert why_never(found).startswith("60 cases can never show that the mean cost rises by less than 0.")
    assert "at max_new_tokens 500 one call may cost" in why_never(found)
    (warning,) = desk.lint()
    assert warning.startswith(f"{COST}: 60 cases can never show that the mean cost rises by less than ")
    assert "it takes 74 cases, or max_new_tokens 4" in warning
    assert ", or a margin of 0." in warning


def test_the_numbers_for_each_way_out_hold_and_a_little_less_does_not():
    power, calls = Continuous(1e-9, span=500.0), Calls(limit=500, price=1.0)
    tokens, margin = most_tokens(power, calls, 60, 20.0, None), least_margin(power, 60)

    assert Continuous(1e-9, span=tokens).fewest(20.0) <= 60 < Continuous(1e-9, span=tokens + 1).fewest(20.0)
    assert power.fewest(margin) <= 60 < power.fewest(0.93 * margin)


def test_the_tokens_that_would_hold_it_often_enough_leave_room_for_usual_outputs():
    power, calls = Continuous(8.0, span=500.0), Calls(limit=500, price=1.0, output=40.0)
    tokens = most_tokens(power, calls, 60, 20.0, 0.9)

    assert held_with(power, calls, 60, 20.0, tokens) >= 0.9 > held_with(power, calls, 60, 20.0, tokens + 1)
    assert most_tokens(power, Calls(limit=500, price=1.0, output=499.0), 60, 20.0, 0.9) is None


def test_without_a_second_model_the_outputs_of_the_baseline_tell_how_far_costs_lie_apart(tmp_path):
    desk = Desk(tmp_path, 100, 56, 20 * OUT)
    desk.answer([10, 20, 30, 40])
    found = desk.plan()

    assert found.seen.is_assumed
    assert found.seen.source == COSTS_ASSUMED
    assert found.seen.spread == pytest.approx(math.sqrt(2) * math.sqrt(125) * OUT)
    assert found.chance > 0.9
    assert desk.lint() == []


def test_a_release_tells_how_far_costs_lie_apart(tmp_path):
    desk = Desk(tmp_path, 100, 56, 20 * OUT)
    desk.answer([10, 20])
    desk.answer([12, 18], released=True)
    found = desk.plan()

    assert not found.seen.is_assumed
    assert found.seen.spread == pytest.approx(2 * OUT, rel=0.01)
    assert found.seen.calls.output == 15


def test_a_record_without_its_baseline_tells_how_far_costs_lie_apart_by_the_interval_of_its_verdict(tmp_path):
    desk = Desk(tmp_path, 200, 56, 20 * OUT)
    base, tuned = desk.record([10, 50]), desk.record([40, 20], adapter="a" * 64)
    judged = compare(desk.tasks, tuned, {"baseline": base}, ["desk"])
    found = next(each for each in plan_units(desk.tasks, Past(judged)) if each.unit.key == COST)

    # every cost moves by 30 tokens, and C is 56 of them, in the interval as in the verdict
    assert found.seen.spread == pytest.approx(30 * OUT, rel=0.1)
    assert found.seen.source.endswith("against the baseline, from its interval")


def test_near_cases_leave_fewer_that_can_hold_if_nothing_moves():
    power = Continuous(1.0, span=2.0, near=0.5)
    fewest = power.fewest(0.2)

    assert holds_if_still(power, fewest, 0.2)
    assert not holds_if_still(power, fewest - 2, 0.2)
