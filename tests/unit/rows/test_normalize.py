"""Texts as they are compared."""

from __future__ import annotations

from tunegate.harness.rows.normalize import normalise

SAYS = "The scaffolding goes up on Wednesday morning, and Dan will swap the flue on Friday."


def test_normalised_texts_are_stable():
    assert normalise("  Ça VA?\n") == normalise("ça-va") == "ça va"
    assert normalise(normalise(SAYS)) == normalise(SAYS)


def test_what_a_reader_does_not_see_makes_no_other_text():
    for copy in ("sc\u0430ffolding", "scaf\u200bfolding", "**scaffolding**", "sca\ufb00olding", "<b>scaf</b>folding"):
        assert normalise(SAYS.replace("scaffolding", copy)) == normalise(SAYS), copy


def test_a_text_that_is_nothing_but_markup_keeps_it():
    assert normalise("<BR>") == "<br>"
    assert normalise("***") == "***"
