"""How two people agree, against scikit-learn and a simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from tunegate.harness.statistics.agreement import agreement_of


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_kappa_is_what_scikit_learn_computes(pairs):
    found = agreement_of(pairs)

    if found.kappa is None:
        assert found.differing == 0
        assert len(set(pairs)) == 1
    else:
        assert found.kappa == pytest.approx(cohen_kappa_score(*zip(*pairs, strict=True)), abs=1e-12)


def test_the_error_rate_is_that_of_two_people_who_err_independently():
    random = np.random.default_rng(1)
    for rate in (0.0, 0.05, 0.1, 0.3):
        truth = random.random(100_000) < 0.7
        first, second = (truth ^ (random.random(truth.size) < rate) for _ in range(2))

        assert agreement_of(zip(first, second, strict=True)).error_rate == pytest.approx(rate, abs=0.01)


def test_people_who_differ_on_more_than_half_guess():
    assert agreement_of([(True, False)] * 3 + [(True, True)]).error_rate == 0.5


def test_nothing_labelled_says_nothing():
    nothing = agreement_of([])

    assert (nothing.count, nothing.kappa, nothing.error_rate) == (0, None, None)
