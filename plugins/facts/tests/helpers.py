"""What tests share."""

from __future__ import annotations

from tunegate_facts.facts import stated, unfounded


def wrong(answer: str, notes: str, language: str = "en") -> list[str]:
    """What an answer states and its notes do not, as it is written there."""
    return [fact.seen for fact in unfounded(answer, stated(notes, language), language)]
