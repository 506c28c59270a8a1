"""Rows that are a fixture in another language, by an encoder of which the tests decide what it sees."""

from __future__ import annotations

import numpy as np
import pytest

from tunegate.harness.core.progress import quiet
from tunegate.harness.rows.translations import LIKENESS, LIKENESS_OF_SHORT, UNRELATED, translations

ENGLISH = "The boiler in our kitchen drips whenever somebody takes a shower upstairs."
OTHER = "Please move the visit on Thursday to the week after, we are at a wedding in Leeds."
GERMAN = "Die Heizung in der Küche tropft, sobald jemand im oberen Stock unter der Dusche steht."


def seeing(**cosines):
    """An encoder: what is German has these cosines with the texts that begin so."""
    places = list(cosines)

    def encode(texts):
        rows = np.zeros((len(texts), len(places) + 1), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            at = next((at for at, begins in enumerate(places) if text.startswith(begins)), None)
            if at is None:
                row[: len(places)] = [cosines[each] for each in places]
            else:
                row[at] = 1
        return rows

    return encode


def found(texts, against, encode, cases=None):
    return list(translations(texts, against, cases or [str(at) for at in range(len(against))], quiet(), encode))


def test_a_row_is_found_by_its_cosine_and_half_of_its_lead_over_the_next_case():
    [near] = found([GERMAN], [ENGLISH, OTHER], seeing(The=0.7, Please=0.5))

    assert (near.row, near.eval_text, near.limit) == (0, 0, LIKENESS)
    assert (near.cosine, near.likeness) == (pytest.approx(0.7), pytest.approx(0.8))


def test_a_row_as_near_to_another_case_is_left():
    assert found([GERMAN], [ENGLISH, OTHER], seeing(The=0.64, Please=0.64)) == []


def test_no_lead_is_counted_over_texts_of_the_same_case_nor_from_below_what_any_two_texts_share():
    [near] = found([GERMAN], [ENGLISH, OTHER], seeing(The=0.7, Please=0.69), cases=["one", "one"])

    assert near.likeness == pytest.approx(0.7 + (0.7 - UNRELATED) / 2)


def test_of_a_row_in_the_language_of_the_fixtures_no_meaning_is_asked():
    def encode(texts):
        raise AssertionError(texts)

    assert found([ENGLISH], [OTHER], encode) == []


def test_texts_of_one_language_are_never_a_pair():
    near = found([GERMAN, ENGLISH], [ENGLISH, GERMAN + " Danke."], seeing(The=0.9))

    assert [(each.row, each.eval_text) for each in near] == [(0, 0), (1, 1)]


def test_a_short_case_needs_more():
    short = "The cat is called what?"

    assert found([GERMAN], [short], seeing(The=0.7)) == []
    [near] = found([GERMAN], [short], seeing(The=0.8))
    assert near.limit == LIKENESS_OF_SHORT


def test_texts_that_are_too_short_to_tell_a_language_are_left():
    assert found(["Ja, danke."], [ENGLISH], seeing(The=1.0)) == []
    assert found([GERMAN], ["OK"], seeing(OK=1.0)) == []


@pytest.mark.parametrize("odd", ["Make wolf plural.", "Two AA. HH-26043"])
def test_a_text_whose_language_is_a_guess_makes_nobody_look(odd):
    """Else one such row, guessed to be Dutch or Chinese, would have every fixture embedded."""

    def encode(texts):
        raise AssertionError(texts)

    assert found([odd], [ENGLISH, OTHER], encode) == []
    assert found([ENGLISH], [odd, OTHER], encode) == []


def test_half_a_surrogate_pair_is_read_over():
    [near] = found([GERMAN + " \ud83d"], [ENGLISH], seeing(The=0.9))

    assert near.row == 0
