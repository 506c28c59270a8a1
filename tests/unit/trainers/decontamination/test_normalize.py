"""Texts as they are compared."""

from __future__ import annotations

from tunegate.trainers.decontamination.normalize import normalise

SAYS = "The scaffolding goes up on Wednesday morning, and Dan will swap the flue on Friday."


def test_normalised_texts_are_stable():
    assert normalise("  Ça VA?\n") == normalise("ça-va") == "ça va"
    assert normalise(normalise(SAYS)) == normalise(SAYS)
