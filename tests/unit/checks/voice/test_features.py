from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.checks.voice.features import FEATURES, features, function_share, words

NAMES = [feature.name for feature in FEATURES]


def measured(text: str) -> dict[str, float]:
    return dict(zip(NAMES, features(text).tolist(), strict=True))


def test_names_and_words_for_editors_are_all_different():
    assert len(set(NAMES)) == len(NAMES)
    assert len({side for feature in FEATURES for side in (feature.more, feature.less)}) == 2 * len(NAMES)


@pytest.mark.parametrize(
    ("name", "much", "little"),
    [
        ("sentence length", "We will come by and look at it on Monday.", "We will come by. We look. On Monday."),
        ("clipped sentences", "Boiler reset. Engineer Monday. Bring key.", "We'll reset the boiler on Monday."),
        ("contractions", "We\u2019ll see that it's done.", "We see the customer's boiler."),
        ("uncontracted", "We will not come, and it is late.", "We won't come, and it's late."),
        ("you", "You'll have your key.", "They have the key."),
        ("we", "We'll send our engineer to us.", "They send the engineer."),
        ("I", "I'm on my way.", "She's on the way."),
        ("exclamation marks", "Great news!", "Good news."),
        ("question marks", "Shall we?", "We shall."),
        ("hedges", "Perhaps it may work.", "It works."),
        ("apology", "Sorry, we regret that.", "That happens."),
        ("filler", "Please do not hesitate to ring.", "Just ring."),
        ("enthusiasm", "An absolutely fantastic day.", "A day."),
        ("intensifiers", "We're truly, deeply grateful.", "We're grateful."),
        ("chattiness", "Cheers mate, all sorted.", "Thanks, all done."),
        ("passive", "The valve has been quickly replaced.", "We replaced the valve."),
        ("formal nouns", "The installation of the equipment.", "We put it in."),
        ("linkers", "Therefore we ensure receipt.", "So we check."),
        ("commas", "One, two, three.", "One two three."),
        ("heavy punctuation", "Note: this (here); that.", "This here and that."),
        ("word length", "Accommodating circumstances considerably.", "We do it so."),
        ("variety", "Every word here stands once.", "The same the same the same."),
        ("direct opening", "You can do that.", "Regarding that, do it."),
        ("polite opening", "Dear Sam, it's done.", "It's done, Sam."),
        ("articles", "The valve in the hall.", "Valve in hall."),
        ("function words", "It is on for you.", "Valve hall boiler radiator."),
        ("symbols", "Done \U0001f600", "Done."),
    ],
)
def test_a_feature_tells_much_from_little(name, much, little):
    assert measured(much)[name] > measured(little)[name]


def test_every_feature_has_an_example():
    (mark,) = test_a_feature_tells_much_from_little.pytestmark
    assert [example[0] for example in mark.args[1]] == NAMES


@given(st.text())
def test_any_text_has_finite_features(text):
    assert np.isfinite(features(text)).all()


def test_length_is_no_feature():
    text = "We'll come on Monday at nine, so please be in by then. You don't have to move the things near the tank."

    assert features(f"{text} {text} {text}") == pytest.approx(features(text), abs=0.25)


def test_typographic_and_straight_apostrophes_are_the_same():
    assert features("It\u2019s here.").tolist() == features("It's here.").tolist()


def test_words_keep_contractions_and_numbers_whole():
    assert words("It\u2019s 9am,\n don't WAIT.") == ("it's", "9am", "don't", "wait")


def test_function_share_does_not_count_contractions():
    assert function_share(words("we will don't valve")) == 0.5
    assert function_share(()) == 0.0
