"""Where words begin and end in languages that are written without spaces: by the dictionaries of ICU."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import regex

from tunegate.harness.core.extras import need
from tunegate.harness.text.languages import language_of

_ICU = "icu4py.breakers"
_LONE_SURROGATE = regex.compile(r"\p{Cs}")
# vowels of Thai and Lao that a reading (NFKC) has in two parts, and dictionaries in one
_IN_TWO = {"\N{THAI CHARACTER NIKHAHIT}\N{THAI CHARACTER SARA AA}": "\N{THAI CHARACTER SARA AM}",
           "\N{LAO NIGGAHITA}\N{LAO VOWEL SIGN AA}": "\N{LAO VOWEL SIGN AM}"}  # fmt: skip
_HIRAGANA = regex.compile(r"\p{Hiragana}")


def check_segmenter(language: str) -> None:
    """See that the words of a language can be told apart.

    Raises:
        CouldNotRun: it is written without spaces, and ICU is not installed.
    """
    if language_of(language).spaceless:
        need(_ICU)


def word_edges(text: str, language: str) -> Set[int] | None:
    """The places in a text, as it is read, where a word begins or ends; None where spaces tell.

    Raises:
        CouldNotRun: as `check_segmenter` says.
    """
    if not language_of(language).spaceless:
        return None
    text = _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
    for parts, whole in _IN_TWO.items():
        text = text.replace(parts, whole)
    edges, place = {0}, 0
    for word in need(_ICU).WordBreaker(text, language):
        place += len(word) + sum(word.count(whole) for whole in _IN_TWO.values())
        edges.add(place)
    return edges


def is_of_whole_words(part: Any, edges: Set[int], language: str) -> bool:
    """Whether a match is no part of other words, by the `edges` of its text.

    A word that ICU's dictionary has must stand between edges. What it takes for several words may be a compound that it
    does not know, and the text beside it cut wrongly for that: one edge is enough.
    """
    is_known = word_edges(part[0], language) == {0, len(part[0])}
    return (all if is_known else any)(_is_edge(part.string, place, edges) for place in part.span())


def _is_edge(text: str, place: int, edges: Set[int]) -> bool:
    """Whether a word may begin or end at a place; inside the Hiragana of an ending ICU cuts at will."""
    return place in edges or all(_HIRAGANA.match(each) for each in (text[place - 1], text[place]))
