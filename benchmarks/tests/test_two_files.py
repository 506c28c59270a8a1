"""The benchmark of two result files: what it writes, what it finds in small, and what breaks the run."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.two_files import ALIKE, SAMPLED, World, broken, erred, models, report, tally, verdict


@pytest.mark.parametrize("kind", [ALIKE, SAMPLED])
def test_equal_models_are_equal_on_average_and_others_lose_the_margin(kind):
    old, equal, lost = models(World(kind, 200_000, 1, 0.1), np.random.default_rng(1))

    assert [each.mean() for each in (old, equal, lost)] == pytest.approx([0.7, 0.7, 0.6], abs=0.005)


def test_draws_that_differ_in_the_order_of_questions_alone_have_one_tally():
    old, new = np.array([1, 1, 0, 1]), np.array([0, 0, 1, 1])

    assert tally(old, new, 2) == tally(np.roll(old, 2), np.roll(new, 2), 2) == ((1, 2), (2, 0))


def test_a_question_is_one_observation_unless_its_samples_have_inputs_of_their_own(tmp_path):
    old, new = np.ones(200, int), np.repeat([0, 1], [10, 190])

    assert verdict(tmp_path, tally(old, new, 10), 10, 0.05) == "inconclusive"
    assert verdict(tmp_path, tally(old, new, 1), 1, 0.05) == "regressed"


@pytest.mark.parametrize("lost", [0, 1, 2, 4])
def test_the_number_that_is_left_out_changes_no_verdict(tmp_path, monkeypatch, lost):
    passed = tuple((1, int(question >= lost)) for question in range(100))
    without = verdict(tmp_path, passed, 1, 0.05)

    verdict.cache_clear()
    monkeypatch.setattr("benchmarks.two_files.patch", lambda *_, **__: nullcontext())
    assert verdict(tmp_path, passed, 1, 0.05) == without


def test_samples_counted_singly_err_and_questions_do_not(tmp_path):
    found = erred(World(ALIKE, 20, 10, 0.05), 40, tmp_path)

    assert found.shipped.regressed <= 0.1 < 0.2 < found.singly.regressed
    assert list(broken([found])) == []
    wrong = replace(found, shipped=replace(found.shipped, improved=0.3))
    assert list(broken([wrong])) == ["alike, 20 x 10, margin 5: improved 30.0 %"]
    assert "| alike | 20 x 10 | 5 |" in report([found], "made")
