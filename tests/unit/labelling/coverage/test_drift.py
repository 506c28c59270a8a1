from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import energy_distance

from tests.unit.labelling.coverage.test_near import topics
from tunegate.harness.labelling.coverage.drift import drift_p, energy_distances, moved_clusters

NUMBERS = st.lists(st.floats(-10, 10), min_size=1, max_size=8)


@given(NUMBERS, NUMBERS)
def test_the_energy_distance_is_that_of_scipy(first, second):
    both = np.array([*first, *second])
    distances = np.abs(both[:, None] - both)

    [found] = energy_distances(distances, (np.arange(len(both)) < len(first))[:, None])

    assert found == pytest.approx(energy_distance(first, second) ** 2, abs=1e-6)


def test_samples_of_one_distribution_are_seldom_told_apart():
    p = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        p.append(drift_p(*(topics(random, dict.fromkeys(range(5), 8), spread=0.3) for _ in range(2))))

    assert sum(each <= 0.05 for each in p) <= 3
    assert max(p) > 0.5


def test_a_topic_that_grew_is_named_with_its_shares():
    random = np.random.default_rng(0)
    before = topics(random, {0: 60, 1: 60, 2: 60, 3: 60, 4: 10})
    after = topics(random, {0: 60, 1: 60, 2: 60, 3: 10, 4: 60})

    assert drift_p(before, after) == 0.001
    moved = moved_clusters(before, after)
    grown = [at for each in moved if each.after > each.before for at in each.members.tolist()]
    fallen = [at for each in moved if each.after < each.before for at in each.members.tolist()]
    assert {*grown} <= {*range(240, 250), *range(440, 500)}
    assert {*fallen} <= {*range(180, 240), *range(430, 440)}
    assert sum(abs(each.after - each.before) for each in moved) == pytest.approx(0.4, abs=0.1)


def test_equal_samples_have_no_moved_cluster():
    points = topics(np.random.default_rng(0), dict.fromkeys(range(5), 12))

    assert moved_clusters(points, points) == []
    assert drift_p(points, points) == 1
