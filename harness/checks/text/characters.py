"""Normalize characters: one form each, no invisible ones, and look-alikes in the text's own script."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache

import regex

from tunegate.harness.checks.text.languages import language_of
from tunegate.harness.checks.text.markup import Edit

# UAX 15 considers 30 marks per letter enough for any language; normalizing more takes quadratic time.
_MARKS = regex.compile(r"(?<=\p{M}{30})\p{M}+")
LEAST_ALIKE = 3  # letters of a word entirely in another script
_INVISIBLE = regex.compile(r"[\p{Cf}\p{Default_Ignorable_Code_Point}]+")
_NOT_ASCII = regex.compile(r"[\x00-\x7f]?[^\x00-\x7f]+")
_CLUSTER = regex.compile(r"\X")
_SPACE = regex.compile(r"[\s\p{Z}\x1c-\x1f]+")
_BREAK = regex.compile("\r\n|[\n\r\x85\N{LINE SEPARATOR}]")
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+")
_SCRIPTS = {name: regex.compile(rf"\p{{Script={name}}}") for name in ("Latin", "Cyrillic", "Greek")}
_OF_ANY = regex.compile(r"[\p{Latin}\p{Cyrillic}\p{Greek}\p{Armenian}\p{Cherokee}\p{Lisu}\p{Coptic}]")
_FOREIGN = {name: regex.compile(rf"[{_OF_ANY.pattern[1:-1]}--\p{{Script={name}}}]", regex.V1) for name in _SCRIPTS}


def invisible(text: str) -> Iterator[Edit]:
    """Characters without width: joiners, soft hyphens, direction marks, and marks beyond the limit per letter."""
    found = [*_INVISIBLE.finditer(text), *_MARKS.finditer(text)] if not text.isascii() else []
    last = 0
    for each in sorted(found, key=lambda each: each.span()):
        if each.end() > last:
            yield Edit(max(last, each.start()), each.end())
            last = each.end()


def one_form(text: str) -> Iterator[Edit]:
    """Compatibility forms (NFKC): full width, ligatures, decomposed letters."""
    if unicodedata.is_normalized("NFKC", text):
        return
    for run in _NOT_ASCII.finditer(text):
        if not unicodedata.is_normalized("NFKC", run[0]):
            for cluster in _CLUSTER.finditer(text, *run.span()):
                normal = unicodedata.normalize("NFKC", cluster[0])
                if normal != cluster[0]:
                    yield Edit.of(cluster, normal)


def spaces(text: str) -> Iterator[Edit]:
    """Runs of white space: to a space, a line break, or two at the end of a paragraph; removed at both ends."""
    for run in _SPACE.finditer(text):
        is_end = run.start() == 0 or run.end() == len(text)
        breaks = 2 if "\N{PARAGRAPH SEPARATOR}" in run[0] else len(_BREAK.findall(run[0]))
        single = "" if is_end else "\n" * min(breaks, 2) or " "
        if single != run[0]:
            yield Edit.of(run, single)


def look_alikes(text: str, language: str) -> Iterator[Edit]:
    """Letters of another script inside a word, and words entirely of look-alikes in a text without other scripts.

    A Cyrillic word in a Russian sentence is kept, and so is a single Greek letter.
    """
    script = language_of(language).script
    foreign, own = _FOREIGN[script], _SCRIPTS[script]
    if (script == "Latin" and text.isascii()) or not foreign.search(text):
        return
    words = [word for word in _WORD.finditer(text) if foreign.search(word[0])]
    like = {word.span(): _alike(word[0], script) for word in words}
    is_foreign = any(found is None and not own.search(text, *span) for span, found in like.items())
    for (start, end), found in like.items():
        if found is not None and (own.search(text, start, end) or (not is_foreign and end - start >= LEAST_ALIKE)):
            yield Edit(start, end, found)


def _alike(word: str, script: str) -> str | None:
    """`word` in `script`; None if a letter has no look-alike."""
    foreign, table = _FOREIGN[script], _table(script)
    letters = [table.get(char, "") if foreign.match(char) else char for char in word]
    return "".join(letters) if all(letters) else None


@cache
def _table(script: str) -> Mapping[str, str]:
    """The letters of other scripts that look like one of `script`, with their look-alikes (Unicode's TR 39)."""
    from confusable_homoglyphs.confusables import confusables_data

    table: dict[str, str] = {}
    for char, likes in confusables_data.items():
        if len(char) == 1 and _FOREIGN[script].match(char):
            own = [each["c"] for each in likes if len(each["c"]) == 1 and _SCRIPTS[script].match(each["c"])]
            # prefer the same case and plain letters
            own.sort(key=lambda like: (like.isupper() != char.isupper(), not like.isascii(), like))
            table |= {char: own[0]} if own else {}
    return table


_QUOTES = {
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f", '"'),
}
_PLAIN_QUOTES = str.maketrans(_QUOTES)
_PLAIN_SIGNS = str.maketrans({**_QUOTES, **dict.fromkeys("\u2010\u2011", "-")})


def plain_quotes(text: str) -> str:
    """Replace typographic quotes by straight ones, character by character."""
    return text.translate(_PLAIN_QUOTES)


def plain_signs(text: str) -> str:
    """Replace typographic quotes and hyphens by plain ones, character by character."""
    return text.translate(_PLAIN_SIGNS)


def small(text: str, language: str) -> Iterator[Edit]:
    """Fold letters to one case by the rules of the language."""
    own = dict(language_of(language).case)
    for at, char in enumerate(text):
        folded = own.get(char) or char.casefold()
        if folded != char:
            yield Edit(at, at + 1, folded)
