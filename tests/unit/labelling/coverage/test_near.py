from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.labelling.coverage.near import LEVEL, nearness, smallest_share

WIDTH = 24


def around(random, topic: int, count: int, spread: float = 0.15) -> np.ndarray:
    """Unit vectors around the axis of a topic."""
    found = np.eye(WIDTH)[topic] + spread * random.standard_normal((count, WIDTH))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def topics(random, counts: dict[int, int], spread: float = 0.15) -> np.ndarray:
    return np.concatenate([around(random, topic, count, spread) for topic, count in counts.items()])


def on_a_circle(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_the_distance_of_the_nearest_reference_and_the_chance_of_the_run_before_it():
    found = nearness(on_a_circle(0, 2, 5, 90), on_a_circle(7, 95, 200))

    assert np.allclose(found.distance, 1 - np.cos(np.radians([7, 5, 2, 5])), atol=1e-6)
    # of 3 other points and 3 references, none of the nearest r is a reference
    assert found.p.tolist() == pytest.approx([comb(6 - r, 3) / comb(6, 3) for r in (2, 2, 0, 0)])


def test_the_rank_counts_references_that_are_as_far_from_another():
    # the references' own distances to another: 10, 10 and 30 degrees
    found = nearness(on_a_circle(-5, 60, 180), on_a_circle(0, 10, 40))

    assert found.rank.tolist() == [1.0, 0.5, 0.25]


def test_a_topic_without_references_is_far_and_nothing_else():
    random = np.random.default_rng(0)
    points, references = topics(random, {0: 60, 1: 60, 2: 60}), topics(random, {0: 30, 1: 30})

    far = nearness(points, references).far

    assert far[120:].all()
    assert not far[:120].any()


def test_points_drawn_like_the_references_are_seldom_far():
    found = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        both = topics(random, dict.fromkeys(range(8), 30), spread=0.3)
        at = random.permutation(len(both))
        found += nearness(both[at[:180]], both[at[180:]]).far.any()

    assert found <= 6  # 5 % of 60, and more than one standard error


def test_a_frequent_topic_is_not_far_from_few_references_that_are_near():
    random = np.random.default_rng(0)
    points = topics(random, {0: 400, 1: 20, 2: 20})
    references = np.concatenate([around(random, 0, 6), topics(random, {1: 40, 2: 40}, spread=0.25)])

    found = nearness(points, references)

    assert (found.p[:400] < 0.001).mean() > 0.5  # by density alone most of it would be
    assert found.far[:400].mean() < 0.05


def test_members_of_a_group_count_as_one_draw_and_are_no_neighbours():
    random = np.random.default_rng(0)
    seeds = topics(random, {0: 8, 1: 8, 2: 8})
    points = topics(random, {0: 30, 1: 30, 2: 30})
    copies, groups = np.repeat(seeds, 5, axis=0), np.repeat(np.arange(24), 5)

    assert nearness(points, copies).far.any()  # each has its copy beside it, so that every point seems far
    grouped, once = nearness(points, copies, groups), nearness(points, seeds)
    assert not grouped.far.any()
    assert np.allclose(grouped.p, once.p)


@given(st.integers(20, 5_000))
def test_the_smallest_share_is_as_unlikely_to_have_no_reference_as_it_must_be(references):
    share = smallest_share(references)

    assert (1 - share) ** references == pytest.approx(LEVEL * share, rel=1e-6)
