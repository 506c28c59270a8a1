"""The benchmark of topics: its worlds lose what they say, and topics that are known help."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.gate_topics import World, _changes, _judged, _labels, _unit, worlds


@pytest.mark.parametrize(
    ("how", "intraclass"), [("plain", 0.0), ("rare", 0.0), ("normal", 0.05), ("normal", 0.1), ("these", 0.0)]
)
def test_the_loss_is_the_margin_and_the_spread_what_it_says(how: str, intraclass: float):
    world, random = World(400, 20, 0.1, 0.04, how, intraclass=intraclass), np.random.default_rng(3)
    changes = np.array([_changes(world, random) for _ in range(4_000)])
    assert changes.mean() == pytest.approx(-0.1, abs=0.004)
    if how == "normal":
        d = np.array([_unit(world, _labels(world), random) for _ in range(1_000)])
        assert changes.var() / d.var() == pytest.approx(intraclass, rel=0.1)
    if how == "these":
        assert np.ptp(changes.mean(axis=1)) < 1e-12


def test_uneven_topics_are_all_there_and_differ():
    sizes = np.bincount(_labels(World(200, 20, 0.05, 0.04, "rare", uneven=True)))
    assert (len(sizes), sizes.sum()) == (20, 200)
    assert sizes.max() > 3 * sizes.min() > 0


def test_a_loss_of_some_topics_is_held_less_often_with_topics():
    found = _judged(World(400, 20, 0.1, 0.04, "rare"), draws=60)
    assert found.known < found.clear + 0.1 < found.without


def test_every_world_is_listed_once():
    listed = list(worlds(200, 10))
    assert len(set(listed)) == len(listed) == 24
    assert _judged(listed[0], 3).world == listed[0]
