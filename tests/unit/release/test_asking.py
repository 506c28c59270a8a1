"""How many cases are asked again, and how much may differ."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.unit.release.test_release import HALF, MOST, T, desk  # noqa: F401  (fixtures)
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.checks.base import FieldCount
from tunegate.harness.gate import rule
from tunegate.harness.history.baselines.lookup import baseline_references
from tunegate.harness.models.api import Fingerprint
from tunegate.harness.models.evaluation.record import Result
from tunegate.harness.models.evaluation.scoring import summarize
from tunegate.harness.release.asking import _differs, _failed, _loss, fewest_turning, sample_size


@given(st.integers(1, 400), st.integers(1, 400))
def test_the_sample_is_the_smallest_that_misses_so_rarely(cases, changed):
    changed = min(cases, changed)
    size = sample_size(cases, changed)
    missed = stats.hypergeom(cases, changed, size).pmf(0)
    assert missed <= 0.05 + 1e-12
    assert size <= 1 or stats.hypergeom(cases, changed, size - 1).pmf(0) > 0.05 - 1e-12


def test_known_sizes():
    for cases, changed, size in [(200, 10, 51), (200, 1, 190), (60, 60, 1), (1, 1, 1)]:
        assert sample_size(cases, changed) == size


@pytest.mark.parametrize("scores", [MOST, "1" * 40 + "0" * 20])
def test_the_fewest_that_turn_a_decision_are_the_fewest(desk, scores):  # noqa: F811
    adapter = desk.adapter()
    tasks, record = load_tasks(desk.fixtures), desk.evaluate(adapter, {T: scores})
    [unit] = tasks[0].units
    fingerprint = Fingerprint(record.fingerprint["subject"], record.fingerprint["engine"])
    references = baseline_references(desk.home / "baselines", tasks, [unit], fingerprint, "tiny")

    def decision(count: int, order: list) -> str:
        cases = {**record.cases, **{case.key: _failed(record.cases[case.key], unit, 0.0) for case in order[:count]}}
        summary = summarize(unit, [cases[case.key] for case in unit.cases])
        made = replace(record, cases=cases, units={unit.key: summary})
        return rule.compare(tasks, made, references, ["desk"]).tasks["desk"].decision

    found = fewest_turning(tasks, record, references, ["desk"], unit, unit.cases, most=60)
    first = list(unit.cases)  # the baseline passes the first half
    assert decision(found, first) == "block"
    for seed in range(10):
        order = random.Random(seed).sample(first, len(first))
        assert decision(found - 1, order) == "release"


def test_an_answer_that_failed_meets_none_of_its_parts(desk):  # noqa: F811
    unit = load_tasks(desk.fixtures)[0].units[0]
    result = Result(
        True, 1.0, rates={"exact": True}, fields={"product": FieldCount(1, 1, 1), "extra": FieldCount(0, 0, 1)}
    )

    assert set(_failed(result, unit, 0.0).parts.values()) == {0.0}


@pytest.mark.parametrize(("parts", "differs"), [({"clean": 0.1}, True), ({"terms": 0.1}, False), ({}, False)])
def test_a_gated_part_that_came_to_something_else_is_another_outcome(desk, parts, differs):  # noqa: F811
    made = desk.evaluate(desk.adapter(), {T: MOST})
    made = replace(made, policies={T: {**made.policies[T], "parts": parts}})
    before, now = (Result(False, 0.0, rates={"clean": is_clean, "terms": False}) for is_clean in (True, False))

    assert _differs(f"{T}/c000", now, before, made) is differs
    assert _differs(f"{T}/c000", before, before, made) is False


def test_cases_that_only_a_part_passes_are_taken_to_be_forged_first(desk):  # noqa: F811
    made = desk.evaluate(desk.adapter(), {T: MOST})
    results = {
        f"{T}/a": Result(False, 0.0, rates={"clean": True}),
        f"{T}/b": Result(False, 0.0, rates={"clean": False}),
    }
    made = replace(made, cases=results)

    losses = [_loss(key, made, {"baseline": made}, 0.0, ["clean"]) for key in results]
    assert losses[0] > losses[1]


def test_ten_forged_of_two_hundred_are_found_():
    size = sample_size(200, 10)
    assert math.isclose(1 - stats.hypergeom(200, 10, size).pmf(0), 0.95, abs_tol=0.005)
