"""A text as a reader sees it, with the original position of every character.

Markdown and HTML are read through; characters without width are dropped; characters are normalized (NFKC) and
look-alikes of other scripts replaced; white space becomes a space, a line break, or two between paragraphs.
"""

from __future__ import annotations

import functools
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import regex

from tunegate.harness.checks.text import characters, markup
from tunegate.harness.checks.text.languages import language_of
from tunegate.harness.checks.text.markup import Edit

Span = tuple[int, int]
MENTION = 60  # characters; longer quotations are speech, not a mentioned word
_QUOTED = regex.compile(
    rf"“[^“”„]{{1,{MENTION}}}”|„[^“”„]{{1,{MENTION}}}[“”]|«[^«»]{{1,{MENTION}}}»|»[^«»]{{1,{MENTION}}}«"
    rf"|「[^「」]{{1,{MENTION}}}」|『[^『』]{{1,{MENTION}}}』|‘[^‘’]{{1,{MENTION}}}’(?!\w)|‚[^‘’‚]{{1,{MENTION}}}[‘’]"
    rf"|(?<!\w)\"(?=\S)[^\"]{{1,{MENTION}}}(?<=\S)\"(?!\w)|(?<!\w)'(?=\S)[^']{{1,{MENTION}}}(?<=\S)'(?!\w)"
)
_ADDRESS = regex.compile(r"\b(?:https?://|www\.)[^\s<>\"]{1,2000}|[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,8}")
_CLAUSE_END = regex.compile(r"[.,;:!?()\N{EM DASH}\N{EN DASH}\"“”„«»]|\n\n")
DENIED_WITHIN = 3  # words between a negation and the negated word


@dataclass(frozen=True)
class Reading:
    """A reading: `text`, and `at`, the original positions of its characters and of its end."""

    text: str
    at: Sequence[int]
    language: str = ""

    def changed(self, edits: Iterable[Edit]) -> Reading:
        """Apply replacements, which must be in order and disjoint."""
        parts: list[str] = []
        places: list[int] = []
        end = 0
        for edit in edits:
            parts += [self.text[end : edit.start], edit.text]
            places += self.at[end : edit.start]
            places += [self.at[edit.start]] * len(edit.text)
            end = edit.end
        if not parts:
            return self
        return Reading("".join([*parts, self.text[end:]]), [*places, *self.at[end:]], self.language)

    def span(self, start: int, end: int) -> Span:
        """The span in the original of a part of the text."""
        return self.at[start], self.at[end]

    @functools.cached_property
    def folded(self) -> Reading:
        """The reading in one case and with plain quotes and hyphens, for comparisons."""
        small = self.text.casefold()
        if len(small) == len(self.text) and not language_of(self.language).case:
            lower = Reading(small, self.at, self.language)
        else:
            lower = self.changed(characters.small(self.text, self.language))
        return Reading(characters.plain_signs(lower.text), lower.at, self.language)

    @functools.cached_property
    def addresses(self) -> Sequence[Span]:
        """The spans of web and mail addresses in the original."""
        return [self.span(*found.span()) for found in _ADDRESS.finditer(self.text)]

    @functools.cached_property
    def quoted(self) -> Sequence[Span]:
        """The spans in the original of short quotations."""
        return [self.span(*found.span()) for found in _QUOTED.finditer(self.text)]

    def is_denied(self, place: int) -> bool:
        """Whether the clause negates the word at a place in the original: "not a boiler", "kein Kessel"."""
        end = bisect_right(self.at, place - 1)
        clause = _CLAUSE_END.split(characters.plain_signs(self.text[max(0, end - 80) : end]).casefold())[-1]
        words = clause.split()[-DENIED_WITHIN - 1 :]
        own = language_of(self.language)
        denials = [number for number, word in enumerate(words) if _is_one_of(word, own.denials)]
        return bool(denials) and not any(word in own.only for word in words[denials[-1] + 1 :])


def _is_one_of(word: str, patterns: Iterable[str]) -> bool:
    return any(
        word.startswith(each[:-1])
        if each.endswith("*")
        else word.endswith(each[1:])
        if each[0] == "*"
        else word == each
        for each in patterns
    )


def within(span: Span, others: Iterable[Span]) -> bool:
    """Whether a span lies inside one of others."""
    return any(start <= span[0] and span[1] <= end for start, end in others)


MARKUP = (markup.tags, markup.links, markup.entities, markup.blocks, markup.emphasis, markup.escapes)
# characters without width twice: a compatibility form may contain some
CHARACTERS = (characters.invisible, characters.one_form, characters.invisible)


def read(text: str, language: str = "") -> Reading:
    """Read a text; `language`, a code such as `de-AT`, determines its script, by default Latin."""
    reading = Reading(text, range(len(text) + 1), language)
    for step in (*MARKUP, *CHARACTERS):
        reading = reading.changed(step(reading.text))
    reading = reading.changed(characters.look_alikes(reading.text, language))
    return reading.changed(characters.spaces(reading.text))


def signs(text: str) -> str:
    """A text with its markup, normalized by character, for finding signs such as `!` or `**`."""
    reading = Reading(text, range(len(text) + 1))
    for step in CHARACTERS:
        reading = reading.changed(step(reading.text))
    return reading.text


def verbatim(text: str) -> str:
    """Normalize a text that must match word for word.

    Only white space, typographic quotes, characters without width, and the composition of letters may differ.
    """
    seen = Reading(text, range(len(text) + 1)).changed(characters.invisible(text))
    return characters.plain_quotes(" ".join(unicodedata.normalize("NFC", seen.text).split()))
