"""What degenerate answers fail; the others are tried with a fitted voice, in tests/integration."""

from __future__ import annotations

import pytest

from tunegate.harness.checks.voice.degeneration import curt

SAYS = "Your £46 is nine days late. If you can pay it today, your cover carries on. If not, it'll stop on Friday."


@pytest.mark.parametrize(
    "output",
    [
        SAYS,
        "You're nine days late with £46. Pay it today and your cover carries on, or else it'll stop on Friday.",
        "Your £46 is nine days late, so please pay it today, or your cover will have to stop on Friday.",
    ],
)
def test_the_same_in_about_as_many_words_is_not_curt(output):
    assert list(curt(output, SAYS)) == []


@pytest.mark.parametrize("output", ["Nine days late. £46. Pay today. Cover stops Friday.", "Pay. Today.", "Pay", "..."])
def test_the_same_in_far_fewer_words_and_shorter_sentences_is(output):
    (finding,) = curt(output, SAYS)

    assert finding.rule == "curt"


def test_the_finding_tells_both_lengths():
    (finding,) = curt("Nine days late. £46. Pay today. Cover stops Friday.", SAYS)

    assert finding.message == (
        "9 words in sentences of 2.2 vs. 22 words in sentences of 7.3 in the required content: 35% of its length, "
        "at least 70%"
    )


def test_what_had_to_be_said_may_be_one_word():
    assert list(curt("We will.", "Yes.")) == []
