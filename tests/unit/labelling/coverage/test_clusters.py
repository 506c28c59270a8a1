from __future__ import annotations

import numpy as np

from tests.unit.labelling.coverage.test_near import around
from tunegate.harness.labelling.coverage.clusters import distinctive_words, far_clusters, most_central


def test_points_nearer_to_each_other_than_to_references_are_a_cluster():
    random = np.random.default_rng(0)
    points = np.concatenate([around(random, 0, 5), around(random, 1, 9), around(random, 2, 2)])

    found = far_clusters(points, np.full(len(points), 0.8))

    assert [sorted(each.tolist()) for each in found] == [list(range(5, 14)), list(range(5))]  # two are no cluster


def test_points_that_are_nearer_to_references_are_single():
    points = around(np.random.default_rng(0), 0, 6, spread=1)

    assert far_clusters(points, np.full(6, 0.001)) == []
    assert far_clusters(points[:2], np.full(2, 0.8)) == []


def test_the_most_central_point_comes_first():
    points = np.array([[1, 0], [0, 1], [0.6, 0.8], [0, -1]], np.float32)

    assert most_central(points, np.array([0, 1, 2])).tolist()[0] == 2


def test_words_that_only_the_cluster_has_tell_it():
    inside = ["where is my parcel", "my parcel is late", "the parcel is lost"]
    outside = ["where is my card", "the bill is late", "my bill is wrong"]

    assert distinctive_words(inside, outside)[0] == "parcel"
    assert "lost" not in distinctive_words(inside, outside)  # one input has it
    assert distinctive_words(["Anna called", "nothing"], outside) == ()
    assert distinctive_words([], outside) == ()
