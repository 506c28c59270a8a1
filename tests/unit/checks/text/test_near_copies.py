from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.checks.text.near_copies import grams, jaccard, near_copies

LEAST = 0.7
SHORT = st.text(alphabet="ab ", min_size=6, max_size=14)
LONG = st.lists(st.sampled_from(["rain", "falls", "today", "slowly", "there"]), min_size=6, max_size=9).map(" ".join)
TEXTS = st.lists(SHORT, max_size=8) | st.lists(LONG, max_size=8)  # the prefixes of long ones share `SHARED` grams


def pairs(texts, **more):
    return {(pair.first, pair.second) for pair in near_copies(texts, LEAST, **more)}


@given(TEXTS)
def test_it_finds_exactly_the_pairs_that_holding_each_against_each_finds(texts):
    alike = {
        (first, second)
        for second in range(len(texts))
        for first in range(second)
        if jaccard(grams(texts[first]), grams(texts[second])) >= LEAST
    }

    assert pairs(texts) == alike
    assert pairs(texts, of_firsts=True) <= alike


@given(TEXTS)
def test_every_copy_of_a_first_is_found_among_firsts_too(texts):
    found = pairs(texts, of_firsts=True)
    copies = {second for _, second in found}

    assert not any(first in copies for first, _ in found)
    assert {pair for pair in pairs(texts) if pair[0] not in copies} == found


def test_case_and_white_space_do_not_count():
    assert pairs(["It  drips.", "it drips."]) == {(0, 1)}
