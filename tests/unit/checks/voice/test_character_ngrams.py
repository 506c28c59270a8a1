from __future__ import annotations

import numpy as np
import pytest

from tunegate.harness.checks.voice.features import SEEN, WEIGHT, CharNgrams, prepared

TEXTS = ["We'll ring you on Monday.", "We'll text you on Friday.", "Regarding Monday: kindly await notification."]


def test_one_form_for_each_character_and_one_digit_for_all():
    assert prepared("It\u2019s \u00a364 on  the 3rd") == "it's \u00a300 on the 0rd"


def test_each_text_is_a_vector_of_one_length():
    measured = CharNgrams(TEXTS).measure([*TEXTS, "We'll see."])
    assert measured.shape[0] == 4
    assert np.sqrt(measured.multiply(measured).sum(axis=1)) == pytest.approx(WEIGHT)


def test_texts_that_are_spelt_alike_lie_close():
    one, other, stiff = CharNgrams(TEXTS).measure(TEXTS).toarray()
    assert one @ other > one @ stiff


def test_runs_that_one_text_alone_holds_are_not_looked_at():
    assert not CharNgrams(TEXTS).measure(["zyzzyva"]).nnz


def test_only_the_beginning_of_an_endless_text_is_read():
    text = "we'll ring you on monday " * 100_000
    assert len(prepared(text)) <= SEEN
    both = CharNgrams(TEXTS).measure([text, text[:SEEN]]).toarray()
    assert both[0] == pytest.approx(both[1])
