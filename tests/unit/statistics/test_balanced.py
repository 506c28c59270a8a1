"""Evidence without near cases, balanced by what the reference has right."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.statistics.balanced import Balanced, balanced, score_strata


def evidence(before: str, after: str, near: str, *, of_gain: bool) -> Balanced:
    """Of ones and zeros."""
    old, new = [int(each) for each in before], [int(each) for each in after]
    d = [float(b - a) for a, b in zip(old, new, strict=True)]
    flags = [each == "x" for each in near]
    return balanced(score_strata(old), d, [-float(each) for each in old], flags, of_gain=of_gain)


def counts(found: Balanced) -> dict[float, int]:
    return dict(Counter(found.d))


@pytest.mark.parametrize(
    ("between", "strata"),
    [
        ([0.2] * 5 + [0.4] * 5 + [0.6] * 10, [1] * 10 + [2] * 10),
        ([0.2] * 10 + [0.8] * 9, [1] * 19),
        ([0.5] * 9, [3] * 9),
    ],
)
def test_strata_are_zero_those_between_in_two_halves_if_they_are_many_and_one(between, strata):
    assert score_strata([0, *between, 1]) == [0, *strata, 3]


@pytest.mark.parametrize(
    ("before", "after", "near", "of_gain", "expected"),
    [
        # 10 passed, 10 failed; rows near 5 of the passed: half of the failed go
        ("1" * 10 + "0" * 10, "1" * 10 + "0" * 10, "x" * 5 + "." * 15, True, {0.0: 10}),
        ("1" * 10 + "0" * 10, "1" * 10 + "1" * 4 + "0" * 6, "x" * 5 + "." * 15, True, {0.0: 8, 1.0: 2}),
        # rows near 5 of the failed: for a gain half of the passed go, for a hold near failed ones gain nothing
        ("1" * 10 + "0" * 10, "0" * 4 + "1" * 16, "." * 15 + "x" * 5, True, {-1.0: 2, 0.0: 3, 1.0: 5}),
        ("1" * 10 + "0" * 10, "0" * 4 + "1" * 16, "." * 15 + "x" * 5, False, {-1.0: 4, 0.0: 11, 1.0: 5}),
        # a passed one without a clean case beside it counts as lost, and the gain is shown all the same
        ("1" + "0" * 19, "1" + "1" * 15 + "0" * 4, "x" + "." * 19, True, {-1.0: 1, 0.0: 4, 1.0: 15}),
        # no clean case at all: no gain, and every passed case may be lost
        ("1" * 2 + "0" * 8, "1" * 10, "x" * 10, True, {-1.0: 2, 0.0: 8}),
        ("1" * 2 + "0" * 8, "1" * 10, "x" * 10, False, {-1.0: 2, 0.0: 8}),
    ],
)
def test_by_hand(before, after, near, of_gain, expected):
    assert counts(evidence(before, after, near, of_gain=of_gain)) == expected


def test_sizes_are_rounded_against_the_candidate():
    # 3 of 10 passed, one of them near: two thirds of 7 failed are 4.67, so 4
    found = evidence("1110000000", "1111111111", "x.........", of_gain=True)
    assert counts(found) == {0.0: 2, 1.0: 4}


SCORES = st.lists(
    st.tuples(st.sampled_from([0, 0.25, 0.5, 0.75, 1]), st.sampled_from([0, 0.5, 1]), st.booleans()), min_size=1
)


@given(SCORES, st.booleans())
def test_the_reference_is_right_as_often_as_on_all(cases, of_gain):
    before = [case[0] for case in cases]
    strata, d = score_strata(before), [case[1] - case[0] for case in cases]
    found = balanced(strata, d, [-each for each in before], [case[2] for case in cases], of_gain=of_gain)
    assert 0 < len(set(found.places)) == len(found.places) <= len(cases)
    taken = Counter(strata[place] for place in found.places)
    for stratum, size in Counter(strata).items():
        # one more or less, as shares of a stratum are rounded
        assert abs(taken[stratum] - len(found.places) * size / len(cases)) <= len(set(strata))


@given(SCORES)
def test_near_cases_add_no_gain(cases):
    before, near = [case[0] for case in cases], [case[2] for case in cases]
    d = [case[1] - case[0] for case in cases]
    for of_gain in (True, False):
        found = balanced(score_strata(before), d, [-each for each in before], near, of_gain=of_gain)
        assert all(value <= 0 for place, value in zip(found.places, found.d, strict=True) if near[place])


@given(SCORES)
def test_the_order_of_cases_does_not_matter(cases):
    def values(cases):
        before = [case[0] for case in cases]
        d = [case[1] - case[0] for case in cases]
        found = balanced(score_strata(before), d, [-x for x in before], [case[2] for case in cases], of_gain=True)
        return sorted(found.d)

    assert values(cases) == values(cases[::-1])


def test_without_near_cases_all_are_taken():
    assert len(evidence("1100", "1010", "....", of_gain=True).places) == 4
