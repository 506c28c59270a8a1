"""Words of the calendar, of the clock and of numbers by language, as data: what `facts` reads beside digits."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import pairwise

from tunegate_facts.calendar_type import Calendar
from tunegate_facts.calendars_finnish import FINNISH
from tunegate_facts.calendars_germanic import ENGLISH, GERMAN
from tunegate_facts.calendars_romance import FRENCH, SPANISH

CALENDARS: Mapping[str, Calendar] = {"en": ENGLISH, "de": GERMAN, "fr": FRENCH, "es": SPANISH, "fi": FINNISH}


def calendar_of(code: str) -> Calendar:
    """The words of a language code such as `de-AT`."""
    return CALENDARS[code.split("-")[0]]


_ANY_I = str.maketrans({"\N{LATIN SMALL LETTER DOTLESS I}": "i", "\N{COMBINING DOT ABOVE}": None})


def value_of_numeral(word: str, language: str) -> int:
    """The value of a number in words, in any case; a pattern that ignores case takes each Turkish i for any other."""
    return numerals_of(language)[word.casefold().translate(_ANY_I)]


@cache
def numerals_of(code: str) -> Mapping[str, int]:
    """Every number in words up to 99: `twenty-five`, `fünfundzwanzig`, `soixante-dix-sept`."""
    own = calendar_of(code)
    found = {**own.numbers, **own.tens}
    for (ten, start), (_, end) in pairwise([*own.tens.items(), ("", 100)]):
        for word, value in own.numbers.items():
            if value < end - start:
                found |= {join.format(ten=ten, one=word): start + value for join in own.joins}
    if own.times:
        found |= {word + own.times: value for word, value in found.items()}
    return found | {word.casefold(): value for word, value in found.items()}  # dreißig, DREISSIG
