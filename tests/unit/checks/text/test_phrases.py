"""Phrases in a text: the forms of their words, and where words end."""

from __future__ import annotations

from tunegate.harness.checks.text.phrases import Phrases, phrase_book
from tunegate.harness.checks.text.reading import read
from tunegate.harness.checks.text.words import WordForms


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


SAID = {
    "de": [
        ("er hat gewartet", "warten", ["gewartet"]),
        ("eines alten Kessels", "alter Kessel", ["alten kessels"]),
        ("Heizkessel und Kesselraum", "Kessel", ["heizkessel", "kesselraum"]),
        ("ein Verratener", "Rat", []),
        ("Alle Dampfkesselventile", "Kessel", ["dampfkesselventile"]),
        ("Wir stellen die Pumpe heute ab.", "abstellen", ["stellen die pumpe heute ab"]),
        ("Sie stellte die Pumpe ab, und er ging.", "abstellen", ["stellte die pumpe ab"]),
        ("Wir stellen die Pumpe an. Ab morgen läuft sie.", "abstellen", []),
        ("Wir stellen ab morgen Strom bereit.", "abstellen", []),
    ],
    "nl": [
        ("Neemt u het rooster eerst af?", "afnemen", ["neemt u het rooster eerst af"]),
    ],
    "fr": [
        ("d'eau", "eau", ["eau"]),
    ],
    "zh": [
        ("我们的锅炉", "锅炉", ["锅炉"]),
        ("产品和服务", "和服", []),
        ("您家的电热水器", "热水器", ["热水器"]),  # no word of the dictionary
        ("锅炉\ud800锅炉\U0001f525锅炉", "锅炉", ["锅炉"] * 3),
    ],
    "ja": [
        ("東京都", "京都", []),
        ("昨日、京都で点検しました", "京都", ["京都"]),
        ("昨日、京都で点検しました", "点検する", ["点検し"]),
        ("部品を直しました", "直す", ["直し"]),
        ("デザイン", "イン", []),
    ],
    "th": [
        ("ดูตารางนัดหมาย", "ตา", []),
        ("ทำน้ำ, ในตาราง", "น้ำ", ["น้\u0e4d\u0e32"]),
    ],
    "ko": [
        ("보일러를", "보일러", ["보일러"]),
    ],
}  # fmt: skip


def test_words_change_as_their_language_has_it():
    for language in SAID:
        book = phrase_book([phrase for _, phrase, _ in SAID[language]], language)  # one pass through its dictionary
        for text, phrase, seen in SAID[language]:
            assert [each.seen for each in Phrases([phrase], book).find(read(text, language))] == seen, text


def test_nothing_is_found_of_a_phrase_that_is_nothing_but_markup():
    assert found("<b>x</b>", "<b>") == []
