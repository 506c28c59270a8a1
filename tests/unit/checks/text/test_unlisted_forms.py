"""Forms that neither the list nor the dictionary has are proposed; other words are not."""

from __future__ import annotations

import pytest

from tunegate.harness.checks.text.phrases import Phrases, phrase_book
from tunegate.harness.checks.text.unlisted_forms import UnlistedForms, split_compound

GERMAN = (
    "Außengerät", "Heizkörper", "Wartungsvertrag", "Wärmepumpe", "ausschalten", "entlüften", "nachfüllen", "Kessel",
)  # fmt: skip


def proposed(text, terms=GERMAN, language="de"):
    forms = phrase_book(terms, language)
    unlisted = UnlistedForms(terms, forms)
    found = {
        term: [text[each.start : each.end] for each in unlisted.find(text, term, Phrases([term], forms))]
        for term in terms
    }
    assert unlisted.may_be_in(text) or not any(found.values())
    return {term: seen for term, seen in found.items() if seen}


@pytest.mark.parametrize(
    ("text", "term", "form"),
    [
        ("Die Lüfter des Außengeräts sind laut.", "Außengerät", "Außengeräts"),
        ("Alle Außengeräte sind laut.", "Außengerät", "Außengeräte"),
        ("Unter den Außengeräten.", "Außengerät", "Außengeräten"),
        ("Innen- und Außengeräte", "Außengerät", "Außengeräte"),
        ("Außen- und Innengeräte", "Außengerät", "Außen- und Innengeräte"),
        ("Die Außengeräte-Abdeckung fehlt.", "Außengerät", "Außengeräte-Abdeckung"),
        ("Die Pumpe wurde ausgeschaltet.", "ausschalten", "ausgeschaltet"),
        ("neben der ausgeschalteten Pumpe", "ausschalten", "ausgeschalteten"),
        ("um sie auszuschalten", "ausschalten", "auszuschalten"),
        ("wenn sie sich ausschaltet", "ausschalten", "ausschaltet"),
        ("Wir haben entlüftet.", "entlüften", "entlüftet"),
        ("Es wird Wasser nachgefüllt.", "nachfüllen", "nachgefüllt"),
        ("Wartungs- und Reparaturverträge enden.", "Wartungsvertrag", "Wartungs- und Reparaturverträge"),
        ("Ihr Wartungs-\nvertrag endet.", "Wartungsvertrag", "Wartungs-\nvertrag"),
        ("Die Wärmepumpen-Anlage läuft.", "Wärmepumpe", "Wärmepumpen-Anlage"),
        ("Eine Wärme- und Kältepumpe.", "Wärmepumpe", "Wärme- und Kältepumpe"),
        ("Heiz-/Kühlkörper", "Heizkörper", "Heiz-/Kühlkörper"),
    ],
)
def test_a_form_is_proposed_as_it_was_seen(text, term, form):
    assert proposed(text) == {term: [form]}


@pytest.mark.parametrize(
    "text",
    [
        "Außengerät, Kessel und Heizkessel",  # listed
        "Schalten Sie es aus.",
        "Die Wartungsverträge der Wärmepumpen",
        "Innen- und Außentüren, Heiz- und Stromkosten, Wartungs- und Reparaturkosten",  # other words
        "eingeschaltet, umgeschaltet, auszufüllen, Außenleuchten, belüftet, abgefüllt",
        "https://example.com/wärmepumpen-anlage",
        "Es geriet außen in Brand; das Innengerät nicht.",
    ],
)
def test_what_is_listed_and_other_words_are_not_proposed(text):
    assert proposed(text) == {}


def test_a_noun_of_a_verbs_stem_is_no_form_of_it():
    assert proposed("Nach Ihrem Anruf, den Anrufen und dem Anruf", ("anrufen",)) == {}


def test_english_terms_have_none():
    assert proposed("the boiler-room and the boilers", ("boiler",), "en") == {}


def test_other_languages_with_compounds_have_theirs():
    assert proposed("Alla utomhusenheter brummar.", ("utomhusenhet",), "sv") == {"utomhusenhet": ["utomhusenheter"]}


def test_a_compound_ends_with_its_longest_known_part():
    assert split_compound("Außengerät", "de") == ("Außen", "Gerät")
    assert split_compound("Ventil", "de") is None
