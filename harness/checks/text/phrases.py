"""Find phrases in a text, in any of their forms, as separate words.

A space in a phrase also matches a line break or one hyphen, but not the end of a paragraph. Words end where letters,
digits and marks end; hyphens join: `e-mail` does not contain `mail`. Words written without spaces are segmented by
ICU (`segmentation`); Katakana is one word up to another script; a Korean word may have a particle. In languages with
closed compounds, a one-word phrase also matches inside them: `Kessel` in `Heizkessel`. Addresses contain no words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import regex

from tunegate.harness.checks.text.languages import language_of
from tunegate.harness.checks.text.reading import Reading, read, within
from tunegate.harness.checks.text.segmentation import is_of_whole_words, word_edges
from tunegate.harness.checks.text.words import WordForms, is_compound, split_verb, word_forms

_SPACELESS = r"\p{Han}\p{Hiragana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_KATAKANA = r"\p{Katakana}\u30fc"
_JOINED = rf"[[\w\p{{M}}]--[{_SPACELESS}{_KATAKANA}\p{{Hangul}}]]"  # what continues a word
_LEAST_OF_COMPOUND = 4  # letters; shorter words occur in too many others by chance
_MOST_OF_COMPOUND = 40
_MOST_OF_CLAUSE = 100  # characters between a verb and its prefix
_PREFIX_END = r"(?=\s*(?:[.,;:!?)]|\Z|\n))"  # a verb's prefix is the last word of its clause


@dataclass(frozen=True)
class Occurrence:
    """A phrase found in a text: as it is read, and its span in the original."""

    seen: str
    start: int
    end: int
    is_mention: bool


class Phrases:
    """Compiled phrases of a language."""

    def __init__(self, phrases: Sequence[str], forms: WordForms) -> None:
        self.language = forms.language
        # the longest first: `as per usual` takes precedence over `as per`
        longest_first = sorted(phrases, key=lambda phrase: (-len(phrase), phrase))
        split = [words for phrase in longest_first if (words := words_of(phrase, self.language))]
        self.pattern = _compiled("|".join(_choice(words, forms) for words in split)) if split else None
        single = [words[0] for words in split if len(words) == 1]
        self.compounds = self._compounds(single, forms)
        self.split_verbs = self._split_verbs(single, forms)

    def _compounds(self, words: Iterable[str], forms: WordForms) -> Any:
        long = sorted({form for word in words for form in forms.of(word) if len(form) >= _LEAST_OF_COMPOUND})
        if language_of(self.language).links is None or not long:
            return None
        inner, outer = one_of(long), rf"\w{{1,{_MOST_OF_COMPOUND}}}"
        return _compiled(
            rf"(?<!{_JOINED})(?:(?:{inner})(?P<after>{outer})|(?P<before>{outer}?)(?:{inner})(?P<after>{outer})?)"
            rf"(?!{_JOINED})"
        )

    def _split_verbs(self, words: Iterable[str], forms: WordForms) -> Any:
        parts = [split_verb(word, self.language) for word in words] if forms.inflects else []
        each = [
            rf"(?:{one_of(forms.of(verb))})(?!{_JOINED})[^.,;:!?()\n]{{1,{_MOST_OF_CLAUSE}}}?"
            rf"(?<!{_JOINED}){prefix}{_PREFIX_END}"
            for verb, prefix in filter(None, parts)
        ]
        return _compiled(rf"(?<!{_JOINED})(?:{'|'.join(each)})") if each else None

    def find(self, reading: Reading) -> Iterator[Occurrence]:
        """Yield the phrases in order of their position; the longest one if several match at the same place."""
        folded = reading.folded
        found = [*self.pattern.finditer(folded.text)] if self.pattern else []
        found += self._compounds_in(folded.text)
        found += self.split_verbs.finditer(folded.text) if self.split_verbs else ()
        edges = word_edges(folded.text, self.language) if found else None
        for match in sorted(found, key=lambda each: each.span()):
            if edges is not None and not is_of_whole_words(match, edges, self.language):
                continue
            start, end = folded.span(*match.span())
            if not within((start, end), reading.addresses):
                yield Occurrence(match[0], start, end, _is_mention(reading, start, end))

    def _compounds_in(self, text: str) -> Iterator[Any]:
        for match in self.compounds.finditer(text) if self.compounds else ():
            if is_compound(match["before"] or "", match["after"] or "", self.language):
                yield match


def _is_mention(reading: Reading, start: int, end: int) -> bool:
    """Whether a phrase is mentioned, not used: in quotation marks, or negated."""
    return within((start, end), reading.quoted) or reading.is_denied(start)


def words_of(phrase: str, language: str) -> list[str]:
    """The words of a phrase as it is read, in their original case."""
    return read(phrase, language).text.split()


def phrase_book(phrases: Iterable[str], language: str) -> WordForms:
    """The forms of every word of some phrases, and of verbs also without their prefix."""
    words = {word for phrase in phrases for word in words_of(phrase, language)}
    verbs = {parts[0] for word in words if (parts := split_verb(word, language))}
    return word_forms(frozenset(words | verbs), language)


def _choice(words: Sequence[str], forms: WordForms) -> str:
    """A pattern for a phrase: any form of each word, at word boundaries."""
    inner = r"[ \n-]".join(f"(?:{one_of(forms.of(word, len(words) > 1))})" for word in words)
    return f"{_before(words[0][0])}{inner}{_after(words[-1][-1])}"


def one_of(words: Iterable[str]) -> str:
    """A pattern of any of some words, the longest first."""
    return "|".join(regex.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))


def _before(first: str) -> str:
    if regex.match(rf"[{_SPACELESS}]|[^\w\p{{M}}]", first):
        return ""
    if regex.match(f"[{_KATAKANA}]", first):
        return f"(?<![{_KATAKANA}])"
    return r"(?<!\p{Hangul})" if regex.match(r"\p{Hangul}", first) else f"(?<!{_JOINED}|{_JOINED}-)"


def _after(last: str) -> str:
    if regex.match(rf"[{_SPACELESS}\p{{Hangul}}]|[^\w\p{{M}}]", last):
        return ""
    return f"(?![{_KATAKANA}])" if regex.match(f"[{_KATAKANA}]", last) else f"(?!{_JOINED}|-{_JOINED})"


def _compiled(pattern: str) -> Any:
    return regex.compile(pattern, regex.V1)
