"""Continuous scores beside two references: the chance is that of drawn models, decided by the gate's own test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tunegate.harness.statistics.paired import LEVEL, held
from tunegate.harness.statistics.power import Continuous, Levels

DRAWS, N = 600, 150
ONE = Continuous(1.0, Levels(worse=LEVEL / 10), span=5.0)


@pytest.mark.parametrize(("margin", "change"), [(0.3, 0.0), (0.4, 0.0), (0.3, 0.1)])
def test_the_chance_is_that_of_drawn_models(margin, change):
    random = np.random.default_rng([round(100 * margin), round(100 * change)])
    first, second, candidate = (random.normal(0, np.sqrt(0.5), (DRAWS, N)) for _ in range(3))
    found = [
        all(held(np.clip((mine + change - each) / ONE.span, -1, 1), margin / ONE.span) for each in references)
        for mine, *references in zip(candidate, first, second, strict=True)
    ]

    foretold = replace(ONE, beside="held").prob_held(N, margin, change)
    assert abs(np.mean(found) - foretold) < 0.03 + 2 * np.sqrt(foretold * (1 - foretold) / DRAWS)
    assert foretold < ONE.prob_held(N, margin, change)


def test_a_second_reference_takes_a_wider_margin_and_more_cases():
    both = replace(ONE, beside="held")

    assert both.smallest_margin(N) > ONE.smallest_margin(N)
    assert both.cases_to_hold(0.4) > ONE.cases_to_hold(0.4)


def test_not_worse_is_asked_less_than_held_and_more_than_nothing():
    chances = [replace(ONE, beside=beside).prob_held(N, 0.3) for beside in ("held", "not worse", "")]

    assert chances == sorted(chances)
    assert len(set(chances)) == 3


def test_regressed_is_shown_by_either_reference():
    assert replace(ONE, beside="held").prob_regressed(N, 0.3, -0.3) > ONE.prob_regressed(N, 0.3, -0.3)
