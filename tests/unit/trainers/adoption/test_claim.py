"""Losses on claimed rows and on cases: what is said of the claim."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunegate.trainers.adoption.claim import LEAST, Losses, weigh

SOME = st.lists(st.floats(0.01, 9), min_size=LEAST, max_size=64)
BASE = [2.0, 2.4, 1.8, 2.2] * 4
NOTHING = Losses([], [])


def lowered(to: list[float]) -> Losses:
    return Losses(BASE, to * 4)


def test_rows_that_it_learned_by_heart_beside_cases_that_it_learned():
    claim = weigh(lowered([0.01, 0.02, 0.01, 0.03]), lowered([0.2, 0.4, 0.3, 0.1]))

    assert claim.found == "supported"
    assert claim.said == (
        "the loss on 16 claimed rows went from 2.100 to 0.018 nats per token, that on 16 cases that no row comes near "
        "from 2.100 to 0.250"
    )
    assert claim.as_dict()["loss"]["cases"] == {"n": 16, "base": 2.1, "adapter": 0.25}


@pytest.mark.parametrize(
    ("rows", "cases", "found", "said"),
    [
        (Losses(BASE, BASE[::-1]), lowered([0.1] * 4), "doubted", "which is no clear fall"),
        (lowered([3.0] * 4), NOTHING, "doubted", "they are another adapter's, or the base is"),
        (lowered([0.2, 0.4, 0.3, 0.1]), lowered([0.2, 0.4, 0.3, 0.1]), "doubted", "not clearly more"),
        (lowered([0.2, 0.4, 0.3, 0.1]), lowered([0.01] * 4), "doubted", "cases were among them"),
        (lowered([0.1] * 4), NOTHING, "untested", "only 0 cases with a certain output to compare with, of 8 at least"),
        (Losses([2.0], [0.1]), lowered([0.2] * 4), "untested", "only 1 row"),
        (NOTHING, NOTHING, "untested", "no claimed row can be scored"),
    ],
)
def test_claims_that_do_not_hold(rows, cases, found, said):
    claim = weigh(rows, cases)

    assert claim.found == found
    assert said in claim.said


@given(SOME, SOME)
def test_rows_are_no_more_an_adapters_own_than_themselves(base, adapter):
    both = Losses(base[:LEAST], adapter[:LEAST])

    assert weigh(both, both).found == "doubted"


@given(SOME, SOME, SOME, SOME)
def test_a_claim_that_holds_rests_on_a_larger_fall(base, adapter, other_base, other):
    rows = Losses(base[:LEAST], adapter[:LEAST])
    cases = Losses(other_base[:LEAST], other[:LEAST])

    if weigh(rows, cases).found == "supported":
        assert statistics.fmean(rows.falls) > max(0.0, statistics.fmean(cases.falls))
        assert weigh(cases, rows).found == "doubted"
