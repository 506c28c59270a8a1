"""Names: what is left of one without the endings of its language, and those of two words that notes have otherwise.

Whether the Hull of `Marjorie Hull` or the Beech of `Beech Avenue` is a name no dictionary tells, which has them as
words; what stands beside them in notes does: Marjorie Tull, Birch Ave.
"""

from __future__ import annotations

from collections.abc import Iterator, Set

import regex

from tunegate_facts.calendar import calendar_of
from tunegate_facts.calendar_type import Said
from tunegate_facts.days import named_days
from tunegate_facts.patterns import Phrase, Values
from tunegate_facts.words import has_capital_nouns

_LEAST_OF_NAME = 3  # letters that are left where a name loses its ending, a double one being one
_NAME = r"\p{Lu}\p{Ll}[\p{L}'’-]{0,30}"
_PAIR = regex.compile(rf"(?<![\p{{L}}'’-])({_NAME}) ({_NAME})(?![\p{{L}}'’-])")
_OWNER = regex.compile(r"['’]s?$")
_STARTS = regex.compile(r"(?:^|[.!?:…\n,])[\s\"'“”„«»(¡¿]*$")  # a sentence, or what a salutation ends in


def name_stems(word: str, language: str) -> tuple[Said, ...]:
    """A name, and what may be left of it without the endings of its language, so that `Riikan` is `Riikka`."""
    own = calendar_of(language)
    shorter = {regex.sub(rf"{ending}$", "", word) for ending in own.name_endings}
    stems = {word, *(each for each in shorter if len(regex.sub(r"(.)\1", r"\1", each)) >= _LEAST_OF_NAME)}
    for pattern, base in own.name_changes:
        stems |= {regex.sub(pattern, base, stem) for stem in stems}
    return tuple(("name", stem) for stem in sorted(stems))


def name_pairs(text: str, language: str) -> Iterator[Phrase]:
    """Two words in a row with capitals; none where every noun has one, as in German."""
    if has_capital_nouns(language):
        return
    for found in _PAIR.finditer(text, overlapped=True):
        first, second = (_OWNER.sub("", found[place].casefold()) for place in (1, 2))
        if not (first in calendar_of(language).titles or _is_no_name(first, language) or _is_no_name(second, language)):
            yield Phrase.of(found, ("pair", (first, second)))


def misnamed(text: str, known: Values, sources: Set[Said], language: str) -> Iterator[Phrase]:
    """The pairs of an answer of which notes, where all is `known`, have one half beside another word only."""
    words = {word for kind, word in sources if kind == "name"}
    for pair in name_pairs(text, language):
        _, (first, second) = pair.said
        begins = _STARTS.search(text, max(0, pair.start - 9), pair.start)
        beside = {(one, other) for one, other in known["pair"] if _same(one, first) or _same(other, second)}
        missing = [each for each in (first, second) if not _stands(each, sources, words, language)]
        if beside and missing and not (begins and missing == [first]):
            yield pair


def _stands(name: str, sources: Set[Said], words: Set[str], language: str) -> bool:
    return not sources.isdisjoint(name_stems(name, language)) or any(_same(word, name) for word in words)


def _is_no_name(word: str, language: str) -> bool:
    own = calendar_of(language)
    return word in own.greetings or next(named_days(word, language, short=True), None) is not None


def _same(short: str, word: str) -> bool:
    """Whether notes have a word, perhaps shortened or of several: `ave`, `avenue`; `mothers`, `mother`."""
    if short.rstrip("s") == word.rstrip("s"):
        return True
    letters = iter(word)
    return 1 < len(short) <= len(word) * 2 / 3 and short[0] == word[0] and all(letter in letters for letter in short)
