"""Find word boundaries in languages written without spaces, by ICU's dictionaries."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import regex

from tunegate.harness.checks.text.languages import language_of
from tunegate.harness.core.extras import need

_ICU = "icu4py.breakers"
_LONE_SURROGATE = regex.compile(r"\p{Cs}")
# vowels of Thai and Lao that NFKC splits and dictionaries do not
_IN_TWO = {"\N{THAI CHARACTER NIKHAHIT}\N{THAI CHARACTER SARA AA}": "\N{THAI CHARACTER SARA AM}",
           "\N{LAO NIGGAHITA}\N{LAO VOWEL SIGN AA}": "\N{LAO VOWEL SIGN AM}"}  # fmt: skip
_HIRAGANA = regex.compile(r"\p{Hiragana}")


def check_segmenter(language: str) -> None:
    """Verify that the words of a language can be segmented.

    Raises:
        CouldNotRun: it is written without spaces, and ICU is not installed.
    """
    if language_of(language).spaceless:
        need(_ICU)


def word_edges(text: str, language: str) -> Set[int] | None:
    """The positions of word boundaries in a text, as it is read; None if spaces separate its words.

    Raises:
        CouldNotRun: see `check_segmenter`.
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
    """Whether a match consists of whole words, by the `edges` of its text.

    A word in ICU's dictionary must have edges on both sides. A match that ICU splits may be an unknown compound
    whose neighbours are split wrongly: one edge is enough.
    """
    is_known = word_edges(part[0], language) == {0, len(part[0])}
    return (all if is_known else any)(_is_edge(part.string, place, edges) for place in part.span())


def _is_edge(text: str, place: int, edges: Set[int]) -> bool:
    """Whether a word may begin or end at a place; ICU's cuts inside a Hiragana ending are unreliable."""
    return place in edges or all(_HIRAGANA.match(each) for each in (text[place - 1], text[place]))
