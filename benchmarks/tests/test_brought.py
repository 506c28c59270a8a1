"""The benchmark of records that changes bring: its tables say what the shipped code says, and what breaks the run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.brought import (
    ALL,
    FEW,
    FLIP_RATES,
    Cell,
    broken,
    chances,
    forged_records,
    is_far,
    is_noisy,
    odd_by_case,
    report,
    too_many,
    true_records,
)  # fmt: skip
from tunegate.harness.models.evaluation.record import Result
from tunegate.harness.review.change.brought import BELOW, is_more_than_noise, odd_runs


@pytest.mark.parametrize("kind", [FEW, ALL])
@pytest.mark.parametrize("flip_rate", FLIP_RATES)
def test_two_runs_differ_as_often_as_is_said(kind, flip_rate):
    for n in (50, 400):
        found = chances(kind, n, flip_rate)
        assert (len(found), list(found)) == (n, sorted(found))
        assert (2 * found * (1 - found)).mean() == pytest.approx(flip_rate)


def test_counts_by_case_are_those_of_whole_records():
    runs = np.random.default_rng(1).random((3, 60)) < 0.6
    cases = [tuple(Result(bool(passed), float(passed)) for passed in case) for case in runs.T]
    for sign in (-1, 1):
        by_case = odd_by_case(sign)[4 * runs[0] + 2 * runs[1] + runs[2]]
        assert by_case.sum(axis=0).tolist() == odd_runs(sign, cases)


def test_limits_are_those_of_the_shipped_code():
    assert [is_more_than_noise(count, 20, BELOW) for count in range(21)] == [
        count >= too_many(20, BELOW)[20] for count in range(21)
    ]
    assert is_far(100).tolist() == [False] * 6 + [True] * 95
    assert is_noisy(100, {-1: np.array([[2, 0, 0], [3, 0, 0]]), 1: np.zeros((2, 3), int)}).tolist() == [False, True]


def test_where_nothing_flips_two_cases_are_hidden_and_true_records_pass():
    still, random = chances(FEW, 100, 0.0), np.random.default_rng(1)

    found = Cell(100, 0.0, FEW, true_records(still, 50, random), forged_records(still, 50, random))
    assert vars(found.true) == {"noise": 0.0, "either": 0.0, "draws": 50}
    assert vars(found.hidden) == {"mean": 2.0, "once": 2.0, "tries": 2.0}


def test_what_is_refused_or_hidden_too_often_breaks_the_run():
    random = np.random.default_rng(1)
    cells = [
        Cell(100, rate, FEW, *(of(chances(FEW, 100, rate), 100, random) for of in (true_records, forged_records)))
        for rate in (0.0, 0.1)
    ]
    wrong = replace(cells[0], true=replace(cells[0].true, noise=0.2), hidden=replace(cells[0].hidden, once=3.0))

    assert list(broken(cells[:1])) == []
    assert list(broken([wrong])) == [
        "n = 100, few flip, flip rate 0 %: a true record is refused 20.0 % of the time",
        "n = 100, few flip, flip rate 0 %: a forged record hides 3.0 cases",
    ]
    assert "| 100 | 0 | few | 0.0 | 0.0 | 2.0 | 2.0 | 2.0 |" in report(cells, "made")
