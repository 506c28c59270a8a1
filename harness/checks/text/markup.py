"""Read through Markdown and HTML: keep the visible text, drop the markup."""

from __future__ import annotations

import html
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import regex


class Edit(NamedTuple):
    """A replacement: the text from `start` to before `end` is read as `text`."""

    start: int
    end: int
    text: str = ""

    @classmethod
    def of(cls, match: Any, text: str = "") -> Edit:
        """Replace the match of a pattern by `text`."""
        return cls(match.start(), match.end(), text)


PARAGRAPH = "\n\n"
# every repetition is bounded: an output may have a megabyte of signs that open and never close
_TAG = regex.compile(r"<(?:!--(?s:.{0,500}?)--|[/!?]?([a-zA-Z][\w:-]{0,30})(?:\s[^<>]{0,2000}|/)?)>")
_BLOCKS = frozenset(
    {"p", "div", "li", "ul", "ol", "dl", "dt", "dd", "table", "tr", "td", "th", "h1", "h2", "h3", "h4", "h5", "h6"}
    | {"blockquote", "pre", "section", "article", "header", "footer", "hr"}
)
_OTHERS = (
    "a abbr acronym address area aside audio b base bdi bdo big body br button canvas caption center cite code col"
    " colgroup data datalist del details dfn dialog dir em embed fieldset figcaption figure font form frame frameset"
    " head hgroup html i iframe img input ins kbd label legend link main map mark marquee math menu meta meter nav"
    " nobr noframes noscript object optgroup option output param picture progress q rp rt ruby s samp script search"
    " select slot small source span strike strong style sub summary sup svg tbody template textarea tfoot thead time"
    " title track tt u var video wbr"
)
# what stands in angle brackets otherwise is visible in plain text: a placeholder such as <technician name>
_ELEMENTS = _BLOCKS.union(_OTHERS.split())
_ENTITY = regex.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]\w{1,30});")
_LINK = regex.compile(r"!?\[([^\[\]]{0,500})\]\((?:[^()\s]|\([^()\s]{0,200}\)){0,500}(?:\s+\"[^\"\n]{0,200}\")?\)")
_LINE_START = regex.compile(r"^[ \t]{0,9}(?:((?:>[ \t]?){1,9}|#{1,6}[ \t])|[-*+][ \t])", regex.MULTILINE)
_ESCAPE = regex.compile(r"\\(?=[!-/:-@\[-`{-~])")
_DELIMITER = regex.compile(r"(?<!\\)(\*{1,3}|_{1,3}|~~|`{1,3})")
_BLANK_LINE = regex.compile(r"\n[ \t]*\n")


def tags(text: str) -> Iterator[Edit]:
    """HTML tags and comments: block tags end a paragraph, `<br>` ends a line, others are dropped."""
    found = [(tag, (tag[1] or "").lower()) for tag in _TAG.finditer(text)] if "<" in text else []
    closed = {name for tag, name in found if tag[0].startswith("</")}  # <bold>...</bold> is markup, whatever its name
    for tag, name in found:
        if name in _ELEMENTS or name in closed or tag[0][1] in "!?" or ":" in name or "-" in name:
            yield Edit.of(tag, PARAGRAPH if name in _BLOCKS else "\n" if name == "br" else "")


def entities(text: str) -> Iterator[Edit]:
    """HTML character references."""
    for entity in _ENTITY.finditer(text) if "&" in text else ():
        yield Edit.of(entity, html.unescape(entity[0]))


def blocks(text: str) -> Iterator[Edit]:
    """Line prefixes: quotations and headings lose their sign, and each list item becomes a paragraph."""
    for start in _LINE_START.finditer(text):
        yield Edit.of(start, "" if start[1] else PARAGRAPH)


def links(text: str) -> Iterator[Edit]:
    """Links and images: their texts stay, their targets are dropped."""
    for link in _LINK.finditer(text) if "](" in text else ():
        yield Edit(link.start(), link.start(1))
        yield Edit(link.end(1), link.end())


def emphasis(text: str) -> Iterator[Edit]:
    """Pairs of `*`, `_`, `~~` and backticks within a paragraph."""
    paragraphs = [0, *(blank.end() for blank in _BLANK_LINE.finditer(text)), len(text)]
    pairs = [pair for start, end in pairwise(paragraphs) for pair in _pairs(text, start, end)]
    for start, end in sorted(pairs):
        yield Edit(start, end)


def _pairs(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    opened: dict[str, tuple[int, int]] = {}
    for sign in _DELIMITER.finditer(text, start, end):
        before, after = text[sign.start() - 1 : sign.start()], text[sign.end() : sign.end() + 1]
        inside_word = sign[0][0] == "_" and before.isalnum() and after.isalnum()
        if sign[0] in opened and before.strip() and not inside_word:
            yield opened.pop(sign[0])
            yield sign.span()
        elif after.strip() and not (sign[0][0] == "_" and before.isalnum()):
            opened[sign[0]] = sign.span()


def escapes(text: str) -> Iterator[Edit]:
    """Backslashes before characters with a meaning in Markdown."""
    for escape in _ESCAPE.finditer(text) if "\\" in text else ():
        yield Edit.of(escape)
