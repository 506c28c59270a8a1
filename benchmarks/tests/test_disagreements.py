"""Guards by disagreement: the worlds lose what they say, and what breaks the run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.disagreement_worlds import (
    VERDICTS,
    InTopics,
    Mislabelled,
    Needed,
    Sampled,
    Stratified,
    _losses,
    _table,
    in_topics,
    mislabelled,
    needed,
    sampled,
    stratified,
    truths,
)
from benchmarks.disagreements import Found, broken, report
from tunegate.harness.statistics.label_strata import StratifiedDisagreements


def test_every_world_loses_the_margin():
    worlds = list(truths(0.1))
    assert len(set(worlds)) == len(worlds) > 40
    for share, _, won, lost in worlds:
        assert share * (lost - won) == pytest.approx(0.1)
        assert 0 <= won <= won + lost <= 1 + 1e-9
    random = np.random.default_rng(1)
    for how, expected in (("rare", 0.1), ("these", 0.1), ("equal", 0.0)):
        sizes = np.full(20, 100)
        assert np.mean([_losses(how, sizes, 0.1, random) for _ in range(2_000)]) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("by", VERDICTS)
def test_strata_change_nothing_about_the_loss(by):
    random = np.random.default_rng(2)
    tables = [_table(2_000, 60, 0.1, 0.2, (0.6, 0.3, 0.1), by, random) for _ in range(300)]
    assert all(isinstance(each, StratifiedDisagreements) and each.labelled == 60 for each in tables)
    assert np.mean([each.difference for each in tables]) == pytest.approx(-0.1, abs=0.004)


def test_small_worlds_keep_the_promise_and_wrong_labels_do_not():
    found = sampled(200, 10, 0.1, tries=False)
    assert 0.02 < found.held <= 0.04
    assert mislabelled("10 % swapped", 40).held > 2 * mislabelled("none", 40).held
    drawn = stratified(2_000, 20, 0.1, 0.4, 1.0, "good", 30)
    assert drawn.equal > drawn.held
    topics = in_topics(50, 40, 0.05, True, 20)
    assert topics.rare <= topics.without
    assert needed(0.1, 0.05, 0.0, 500).labels


def test_what_was_written_down_is_asked_of_each_part():
    found = Found(
        [Sampled(200, 10, 0.1, 0.032, 0.1, 1.0, 0.03)],
        [Stratified(2_000, 20, 0.1, 0.4, 1.0, "good", 0.03, 0.5, 0.4, 4_000)],
        [InTopics(50, 50.0, 40, 0.05, False, 0.035, 0.15, 0.0, 0.9, 0.92, 2_000)],
        [Needed(0.1, 0.05, 0.0, 29, 288, 0.8), Needed(0.6, 0.03, 0.0, None, 4_518, None)],
        [Mislabelled("none", 40, 0.03)],
    )
    assert list(broken(found)) == []
    text = report(found, "made")
    assert "| 200 | 10 | 10 | 3.20 | 10 | 100 | 3.00 |" in text
    assert "| 60 | 3 | 0 | - | 4518 | - |" in text
    wrong = Found(
        [replace(found.sampled[0], any_try=0.041)],
        [replace(found.stratified[0], held=0.06)],
        [replace(found.topics[0], rare=0.06), replace(found.topics[0], effective=36.0, rare=0.2)],
        [replace(found.needed[0], held=0.7)],
        found.mislabelled,
    )
    assert list(broken(wrong)) == [
        "200 inputs, 10 labels, margin 0.1, any of seven tries: 4.1 %",
        "strata, 2000 inputs, 20 labels, good: 6.0 %",
        "50 topics, at large: 6.0 %",
        "29 labels for 0.1 and 0.05 hold 70.0 %",
    ]
