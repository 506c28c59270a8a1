"""Candidates: drawn models, what the shipped gate makes of them, and what breaks the run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.candidate_adapters import Below, Equal, below
from benchmarks.candidate_chains import Chain, Growth, Runs, chain, growth, runs
from benchmarks.candidate_rewordings import Passed, Rewording, plans_of, unmeasured
from benchmarks.candidate_worlds import (
    Shape,
    answers,
    as_adapter,
    as_configuration,
    check_whole,
    is_held,
    most_regressed,
    passes,
    unit_of,
    worse,
)
from benchmarks.candidates import Found, broken, report
from benchmarks.gate_worlds import Mismatch, World
from tunegate.harness.begin.scaffold.outlook import half_points, rewording_margin
from tunegate.harness.gate import rule as gate
from tunegate.harness.gate.planning.whole_tasks import with_anchor
from tunegate.harness.statistics.sample_size import PassFail

SHAPE = Shape(60, 0.1, 1)
STEADY = np.arange(60) < 48


def test_models_differ_in_the_flip_rate_and_by_the_loss():
    random = np.random.default_rng(1)
    steady = random.random((400, 200)) < 0.8
    one, other = (answers(steady, 0.1, random) for _ in range(2))
    lower = answers(worse(steady, 0.05, 0.1, random), 0.1, random)

    assert (one ^ other).mean() == pytest.approx(0.1, abs=0.005)
    assert one.mean() - lower.mean() == pytest.approx(0.05, abs=0.005)


def test_the_gate_holds_what_the_exact_rule_holds():
    rule = PassFail(0.1)
    for flips in range(12):
        most = most_regressed(60, 0.1, flips)
        for lost in range(flips + 1):
            expected = bool(rule.is_held(np.array(lost), np.array(flips - lost), 60, 0.1))
            assert (lost <= most) == expected
    assert not is_held(10, 0.1, 8, 8)


def test_a_world_that_the_gate_decides_otherwise_ends_the_run():
    candidates, reference = np.array([STEADY]), np.array([STEADY])
    found = passes(candidates, [reference], 0.1)
    check_whole([(candidates, [reference, reference])], 0.1, found, "a test")
    with pytest.raises(Mismatch, match="a test, world 0: expected a block"):
        check_whole([(candidates, [reference])], 0.1, ~found, "a test")


def test_an_adapter_need_not_be_held_of_the_one_in_service():
    serving, candidate = np.arange(60) < 50, (np.arange(60) >= 3) & (np.arange(60) < 51)
    world = World((unit_of(candidate, np.arange(60) < 20, 0.1, serving),))

    assert gate.blocked(as_configuration(world))
    assert as_adapter(world).tasks["desk"].reason.startswith("Release: desk/unit0 (-3.3) below the adapter in service")


def test_merges_that_lose_nothing_go_on_and_large_losses_stop_at_once():
    still = chain(SHAPE, 0.3, 0.0, 1, anchored=True, draws=20)
    assert (still.unstopped, still.lost) == (1.0, 0.0)
    gone = chain(SHAPE, 0.1, 5.0, 1, anchored=True, draws=20)
    assert (gone.stops[0], gone.by, gone.most) == (1.0, (0.0, 0.0, 1.0), 0.0)


def test_merges_that_add_cases_stop_at_the_anchor():
    still = growth(SHAPE, 0.3, 0.0, 5, anchored=True, draws=10)
    assert (still.beyond, still.merged) == (0.0, 12.0)
    beside, without = (growth(SHAPE, 0.2, 0.06, 5, anchored=each, draws=60) for each in (True, False))
    assert beside.merged < without.merged
    assert beside.beyond < without.beyond


def test_runs_add_up():
    found = runs(SHAPE, 0.1, 50)
    for rates in (found.apart, found.learning):
        assert list(rates) == sorted(rates)
    assert found.learning[-1] > found.apart[-1]


def test_the_margins_are_those_that_plan_names():
    [plan] = plans_of(Shape(60, 0.04, 1), 0.04)
    assert half_points(plan.held_margin) == pytest.approx(0.085)
    assert half_points(with_anchor(plan).held_margin) == pytest.approx(0.1, abs=0.006)
    assert rewording_margin(unmeasured(Shape(60, 0.2, 1))) == pytest.approx(0.11)
    assert below(Shape(40, 0.04, 1), 2).draws == 2


@pytest.fixture
def found() -> Found:
    """What keeps every promise."""
    passed = Passed(0.1, 0.86, 0.81, 0.87, 0.82)
    cell = Chain(SHAPE, 0.1, 0.5, 1, True, (0.5, 0.5), (0.0, 0.4, 0.6), 0.4, 0.5, 2_000)
    said = tuple(1 - 0.96**run for run in range(1, 21))
    return Found(
        [Rewording(shape, passed, passed, passed, 0.03, None, 2_000) for shape in (SHAPE, Shape(60, 0.05, 1))],
        [cell, replace(cell, anchored=False, most=5.0)],
        [Below(SHAPE, 0.6, 0.4, 0.8, 0.8, 500)],
        Equal(0.6, 0.59, 0.42, 500),
        [Runs(SHAPE, 0.1, said, tuple(1.0 for _ in said), 2_000)],
        [
            Growth(SHAPE, 0.1, 0.02, 5, anchored, beyond, 2.0, 0.4, 2_000)
            for anchored, beyond in ((True, 0.03), (False, 0.5))
        ],
    )


def test_what_was_written_down_is_asked_of_each_part(found):
    assert list(broken(found)) == []
    text = report(found, "made")
    assert "| 1 | 10 | 60 | 10 | 86.0 (87.0) | 81.0 (82.0) |" in text
    assert "Held at the 7th run of these cases: of 7 candidates" in text

    low = replace(found.rewordings[0], anchored=Passed(0.1, 0.86, 0.7, 0.87, 0.8))
    guessed = replace(found.rewordings[1], guess=Passed(0.1, 0.86, 0.7, 0.87, 0.7))
    wrong = Found(
        [low, guessed],
        [replace(found.chains[0], most=2.0)],
        [replace(found.below[0], named=0.7)],
        replace(found.equal, of_both=0.55),
        [replace(found.runs[0], apart=(0.5,) * 20)],
        [replace(found.grown[0], beyond=0.2)],
    )
    said = list(broken(wrong))
    assert [line.partition(",")[0].partition(":")[0] for line in said] == [
        "rewordings", "rewordings", "rewordings", "merges", "merges that add 5 cases", "adapters", "adapters", "runs",
        "runs",
    ]  # fmt: skip
