"""Phrases in a text: the forms of their words, and where words end."""

from __future__ import annotations

import pytest

from tunegate.harness.text.phrases import Phrases, phrase_book
from tunegate.harness.text.reading import read
from tunegate.harness.text.words import WordForms


def found(text, *phrases, language="en"):
    return [each.seen for each in Phrases(phrases, phrase_book(phrases, language)).find(read(text, language))]


def test_the_longest_phrase_is_found():
    assert found("as per usual, as per plan", "as per", "as per usual") == ["as per usual", "as per"]


def test_phrases_are_found_in_order_with_their_places():
    text = "One boi\u00adler, two **boilers**."
    first, second = Phrases(["boiler"], phrase_book(["boiler"], "en")).find(read(text, "en"))

    assert (first.seen, text[first.start : first.end]) == ("boiler", "boi\u00adler")
    assert (second.seen, second.is_mention) == ("boilers", False)
    assert text[second.start :].startswith("boilers")


def test_a_phrase_does_not_reach_over_a_paragraph():
    assert found("heating\nunit, heating-unit", "heating unit") == ["heating\nunit", "heating-unit"]
    assert found("heating\n\nunit", "heating unit") == []


def test_words_without_forms_are_found_as_they_are_written():
    exact = Phrases(["kind regards", "ta"], WordForms("", inflects=False))

    assert [each.seen for each in exact.find(read("Kind Regards. Tas, tax, ta"))] == ["kind regards", "ta"]


@pytest.mark.parametrize(
    ("text", "phrase", "language", "seen"),
    [
        ("er hat gewartet", "warten", "de", ["gewartet"]),
        ("eines alten Kessels", "alter Kessel", "de", ["alten kessels"]),
        ("Heizkessel und Kesselraum", "Kessel", "de", ["heizkessel", "kesselraum"]),
        ("ein Verratener", "Rat", "de", []),
        ("Alle Dampfkesselventile", "Kessel", "de", ["dampfkesselventile"]),
        ("Wir stellen die Pumpe heute ab.", "abstellen", "de", ["stellen die pumpe heute ab"]),
        ("Sie stellte die Pumpe ab, und er ging.", "abstellen", "de", ["stellte die pumpe ab"]),
        ("Wir stellen die Pumpe an. Ab morgen läuft sie.", "abstellen", "de", []),
        ("Wir stellen ab morgen Strom bereit.", "abstellen", "de", []),
        ("Neemt u het rooster eerst af?", "afnemen", "nl", ["neemt u het rooster eerst af"]),
        ("d'eau", "eau", "fr", ["eau"]),
        ("我们的锅炉", "锅炉", "zh", ["锅炉"]),
        ("产品和服务", "和服", "zh", []),
        ("您家的电热水器", "热水器", "zh", ["热水器"]),  # no word of the dictionary
        ("東京都", "京都", "ja", []),
        ("昨日、京都で点検しました", "京都", "ja", ["京都"]),
        ("昨日、京都で点検しました", "点検する", "ja", ["点検し"]),
        ("部品を直しました", "直す", "ja", ["直し"]),
        ("ดูตารางนัดหมาย", "ตา", "th", []),
        ("ทำน้ำ, ในตาราง", "น้ำ", "th", ["น้\u0e4d\u0e32"]),
        ("锅炉\ud800锅炉\U0001f525锅炉", "锅炉", "zh", ["锅炉"] * 3),
        ("デザイン", "イン", "ja", []),
        ("보일러를", "보일러", "ko", ["보일러"]),
    ],
)
def test_words_change_as_their_language_has_it(text, phrase, language, seen):
    assert found(text, phrase, language=language) == seen


def test_nothing_is_found_of_a_phrase_that_is_nothing_but_markup():
    assert found("<b>x</b>", "<b>") == []
