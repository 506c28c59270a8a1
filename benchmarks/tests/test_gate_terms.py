"""Graded, continuous and declared scores, power, costs and promises: right in small, and loud where a rule is wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import promises
from benchmarks.gate_costs import LAWS, MEAN, Lengths, cost_claim, cost_guard, is_held, rambling, verdict_of
from benchmarks.gate_evaluations import evaluation
from benchmarks.gate_grid import falsely_held, held, held_before, prices, two_points
from benchmarks.gate_power import SIZE, best_power, powers
from benchmarks.gate_results import MINIMA, Claim
from benchmarks.gate_tails import laws, tails
from benchmarks.gate_thresholds import crossings, is_released, minima, on_minimum
from benchmarks.gate_told import bounded, copied, planned
from benchmarks.gate_worlds import Mismatch
from benchmarks.promises import Figure, Kept, Promise
from tunegate.harness.statistics.distributions import binom_at

# Continuous scores


@pytest.mark.parametrize("law", laws(0.05), ids=lambda law: law.name)
def test_a_law_has_the_means_and_the_share_that_it_says(law):
    drawn = law.draw(np.random.default_rng(1), (1, 400_000))
    spread = float(np.clip(drawn, -10, 10).std()) / 400_000**0.5

    assert np.clip(drawn, -10, 10).mean() == pytest.approx(law.cut_mean, abs=5 * spread)
    assert (drawn <= -10).mean() == pytest.approx(law.collapsed, abs=0.002)


def test_the_worlds_break_each_promise_and_none():
    broken = {law.name: law.broken(0.02) for law in laws(0.02)}

    assert broken["bell"] == ("mean",)
    assert broken["2 % lose 40 margins, the others make up for it"] == ("share",)
    assert broken["10 % lose 10 margins, the others equal"] == ("mean", "share")
    assert broken["1 % lose 100 margins, the others equal"] == ()


def test_what_breaks_a_promise_is_hardly_ever_held():
    assert all(each.held <= 0.08 for each in tails(100, 0.05, draws=150, worlds=1) if each.broken)


def test_a_gate_that_looks_at_the_mean_of_what_counts_alone_is_noticed(monkeypatch):
    monkeypatch.setattr("benchmarks.gate_tails.is_sound", lambda *_: True)
    found = {each.law: each for each in tails(100, 0.05, draws=100, worlds=0)}

    assert found["5 % lose 40 margins, the others make up for it"].held > 0.5
    with pytest.raises(Mismatch, match="expected held, found inconclusive"):
        tails(100, 0.05, draws=5, worlds=5)


# Graded scores


def test_the_grid_is_exact():
    n, margin, lost, won = 30, 0.2, 0.4, 0.7
    chance = (lost - margin) / (lost + won)
    counts = np.arange(n + 1)
    whole = sum(
        float(binom_at(k, n, chance)) for k in counts if held(np.repeat([won, -lost], [k, n - k]), margin)
    )  # fmt: skip

    assert chance * won - (1 - chance) * lost == pytest.approx(-margin)
    assert falsely_held(n, margin, lost, won, held) == pytest.approx(whole, abs=1e-6)


def test_the_rule_before_is_told_from_the_shipped_one():
    found = two_points(60, 0.3, losses=6, gains=6)

    assert found.held <= 0.055 < 0.07 < found.before
    assert all(each.before >= each.held for each in prices(60, 0.1, draws=60))
    assert held_before(np.zeros(100), 0.05)


# Declared scores


def test_an_equal_model_is_not_released_by_its_target_score():
    found = crossings(60, 0.1)

    assert max(each.released for each in found) <= 0.05
    assert max(each.before for each in found) > 0.2
    # 54 passed, 57 pass: over the target of .85, and no gain beyond chance
    assert not is_released(60, [0, 3, 54], 0.85)
    assert is_released(60, [0, 8, 50], 0.85)
    assert not is_released(60, [0, 8, 40], 0.85)


def test_a_crossing_is_what_a_simulation_finds():
    n, flips, rate, target = 60, 0.1, 0.85, 0.8
    found = next(each for each in crossings(n, flips) if (each.rate, each.target) == (rate, target))
    random = np.random.default_rng(2)
    counts = random.multinomial(n, (flips / 2, flips / 2, rate - flips / 2, 1 - rate - flips / 2), size=60)
    released = np.mean([is_released(n, each[:3].tolist(), target) for each in counts])

    assert released == pytest.approx(found.released, abs=0.09)


def test_units_on_their_minimum_are_one_family():
    found = minima(100, 0.04, 4, 0.9, draws=300, worlds=2)

    assert found.regressed <= 0.08 < found.before
    assert found.found > 0.5


def test_one_unit_on_its_minimum_is_what_a_simulation_finds():
    found = on_minimum(20, 0.1)
    drawn = minima(20, 0.1, 1, found.rate, draws=2_000, worlds=1)

    assert drawn.regressed == pytest.approx(found.regressed, abs=0.015)


def test_a_minimum_tested_by_itself_is_noticed(monkeypatch):
    monkeypatch.setattr("benchmarks.gate_thresholds.LEVEL", 0.3)  # a rule that is not the shipped one
    with pytest.raises(Mismatch, match="regressed by the gate are"):
        minima(100, 0.04, 4, 0.9, draws=20, worlds=20)
    assert Claim(MINIMA, minima(100, 0.04, 4, 0.9, draws=200, worlds=0).regressed, 200, "").broken


# Sealed evaluations, and power


def test_evaluations_are_what_plan_says_and_grow_weaker():
    first, second = (evaluation(opening, worlds=1) for opening in (1, 2))

    assert (first.held, first.improved) == pytest.approx(first.planned, abs=1e-9)
    assert [round(first.held, 2), round(second.held, 2)] == [0.62, 0.24]
    assert [round(first.improved, 2), round(second.improved, 2)] == [0.91, 0.74]


def test_evaluations_that_do_not_divide_the_level_are_noticed(monkeypatch):
    monkeypatch.setattr("benchmarks.gate_evaluations.sealed_level", lambda _: 0.04)
    with pytest.raises(Mismatch, match="evaluation 4"):
        evaluation(4, worlds=3)


def test_the_best_test_finds_no_less_than_the_gate():
    found = powers(60, 0.1, 0.1)

    assert found.held > found.held_before
    assert found.held < found.held_bound < 1
    assert found.improved < found.improved_bound < 1
    # where there is nothing to tell, a test says yes as often as it may err
    assert best_power(60, (0.1, 0.05), (0.1, 0.05)) == pytest.approx(SIZE)


# Costs


@pytest.mark.parametrize("law", LAWS)
def test_lengths_have_the_mean_that_they_should(law):
    before, after = Lengths(law, 5, 0.9).draw(100_000, np.random.default_rng(3))

    assert before.mean() == pytest.approx(MEAN, rel=0.02)
    assert after.max() <= 5 * MEAN
    assert np.corrcoef(before, after)[0, 1] > 0.7


def test_a_cost_is_bounded_by_the_longest_answer():
    found = cost_guard(Lengths("gamma", 5, 0.5), 100, 0.25, draws=100, worlds=2)

    assert found.falsely <= 0.1
    assert found.held == pytest.approx(found.planned, abs=0.12)
    assert cost_claim(Lengths("gamma", 5, 0.5), 60, draws=160).missed <= 0.12


def test_four_calls_that_ramble_are_not_held():
    found = rambling(100)

    assert found.rise > 0.3
    assert (found.held, found.verdict) == (0, "inconclusive")


def test_a_cost_judged_at_another_level_is_noticed(monkeypatch):
    monkeypatch.setattr("benchmarks.gate_costs.LEVEL", 0.3)
    with pytest.raises(Mismatch, match="expected True, found inconclusive"):
        cost_guard(Lengths("gamma", 10, 0.9), 100, 0.25, draws=10, worlds=10)


def test_the_shipped_gate_says_what_is_said_here_of_a_cost():
    random = np.random.default_rng(4)
    before = random.integers(20, 80, 100)
    for more in (0, 3, 20):
        verdict = verdict_of(before, before + more, 200, 0.1 * before.mean() * 0.2 / 1e6)
        held_here = is_held(before, before + more, 200, 0.1 * before.mean() * 0.2 / 1e6)
        assert held_here == (verdict in {"held", "improved"}), more


# What is told, and promised


def test_what_plan_names_comes_true():
    found = planned(0.1, 0.1)

    assert min(found.held, found.improved, found.regressed) >= 0.8
    assert bounded(60, 0.1).missed < 0.13
    assert copied(200).singly > copied(200).grouped


def figure(rate, draws=0):
    return Figure(rate, draws, "a cell")


def promise(sense, level):
    return Promise("README.md", "beyond chance", "a chance", sense, level, lambda _: figure(level))


@pytest.mark.parametrize(
    ("sense", "level", "rate", "draws", "broken"),
    [
        ("at most", 0.05, 0.051, 0, True), ("at most", 0.05, 0.05, 0, False), ("at most", 0.05, 0.055, 4_000, False),
        ("at least", 0.8, 0.79, 0, True), ("at least", 0.8, 0.79, 1_000, False), ("about", 0.22, 0.224, 0, False),
        ("about", 0.22, 0.23, 0, True), ("about", 0.22, float("nan"), 0, True),
    ],
)  # fmt: skip
def test_a_broken_promise_is_told(sense, level, rate, draws, broken):
    assert Kept(promise(sense, level), figure(rate, draws), there=True).broken is broken


def test_a_promise_whose_words_are_gone_is_told():
    gone = replace(promise("at most", 0.05), words="beyond a doubt")
    kept = Kept(gone, figure(0.01), promises.is_there(gone))

    assert kept.broken
    assert "the words are gone" in str(kept)
    assert "1 of 1 are broken" in promises.report([kept], [])


def test_every_promise_stands_where_it_is_said_to():
    assert [each.words for each in promises.promises() if not promises.is_there(each)] == []
