"""Whether a word with a capital is a word of its language, or a name: by the dictionary (`simplemma`)."""

from __future__ import annotations

import regex

from tunegate.harness.checks.text.words import dictionary, is_compound
from tunegate_facts.calendar import calendar_of

_LEAST_HALF = 4  # letters of each part of a compound of which no part is known beforehand


def is_word(word: str, language: str) -> bool:
    """Whether a word in lower case is one of the language; of German also one with a capital, as all nouns have one."""
    known, own, small = dictionary(language), calendar_of(language), word.lower()
    made = (regex.sub(pattern, base, small) for pattern, base in own.derived)
    return (
        small in own.unlisted
        or any(each in known for each in (small, *made))
        or (has_capital_nouns(language) and word in known)
    )


def is_name(word: str, language: str) -> bool:
    """Whether the dictionary has a word with a capital in a language that gives one to names alone."""
    return not has_capital_nouns(language) and word[:1].isupper() and word in dictionary(language)


def has_capital_nouns(language: str) -> bool:
    """Whether a language gives a capital to every noun, and not to names alone."""
    return language.split("-")[0] == "de"


def is_written_together(word: str, language: str, *, is_inside: bool) -> bool:
    """Whether a word with a capital may be a compound of known words: at a sentence's start, or anywhere in German."""
    if is_inside and not has_capital_nouns(language):
        return False
    ends = range(_LEAST_HALF, len(word) - _LEAST_HALF + 1)
    return any(is_compound(word[:end], word[end:], language) for end in ends)
