"""Differences between two outputs: by field if both are JSON, otherwise by word; never truncated."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from tunegate.harness.checks.outputs.message import read_output, shown_output
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.reading import NotJson, parse_json

Side = Literal["same", "before", "now", "gap"]
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
_SENTENCES = re.compile(r"[^.!?\n]*[.!?\n]\s*|[^.!?\n]+")  # or lines
MOST_PAIRS = 250_000  # to compare, in hundredths of a second: of words, then of sentences; beyond it the middle differs
KEPT = 40  # characters of equal text on each side of a difference
KEPT_ON_PAGE = 160
MOST_SHOWN = 400  # characters per difference on a terminal
MOST_FIELDS = 8  # JSON fields on a terminal
NONE, ELLIPSIS = "(none)", " ... "


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text in both sides or in one of them; the text of a gap says how much is left out."""

    side: Side
    text: str


@dataclass(frozen=True, slots=True)
class Field:
    """A JSON field that differs: its path, and its JSON on each side, empty if missing."""

    path: str
    before: str
    now: str


def word_pieces(before: str, now: str) -> tuple[Piece, ...]:
    """Split both texts by word: the pieces of one side and of both, in order, make up that side.

    Long texts, such as prompts, are split by sentence and line first, and by word where these differ.
    """
    return tuple(_joined(_pieces(before, now)))


def _pieces(before: str, now: str) -> Iterator[Piece]:
    words = _sides(_WORDS, before, now)
    if words.is_comparable:
        yield from _around(words, _by_word(words.before, words.now))
        return
    sentences = _sides(_SENTENCES, before, now)
    if sentences.is_comparable and len(sentences.before) + len(sentences.now) > 2:
        yield from _around(sentences, _by_sentence(sentences.before, sentences.now))
    else:
        whole = (Piece("before", "".join(words.before)), Piece("now", "".join(words.now)))
        yield from _around(words, whole)


@dataclass(frozen=True, slots=True)
class _Sides:
    """The parts of two texts: those at the start and at the end of both, and the rest of each."""

    start: Sequence[str]
    before: Sequence[str]
    now: Sequence[str]
    end: Sequence[str]

    @property
    def is_comparable(self) -> bool:
        return len(self.before) * len(self.now) <= MOST_PAIRS


def _sides(part: re.Pattern[str], before: str, now: str) -> _Sides:
    old, new = part.findall(before), part.findall(now)
    start = _shared(old, new)
    end = _shared(old[start:][::-1], new[start:][::-1])
    return _Sides(old[:start], old[start : len(old) - end], new[start : len(new) - end], old[len(old) - end :])


def _shared(old: Sequence[str], new: Sequence[str]) -> int:
    pairs = enumerate(zip(old, new, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(old), len(new)))


def _around(sides: _Sides, middle: Iterable[Piece]) -> Iterator[Piece]:
    yield Piece("same", "".join(sides.start))
    yield from middle
    yield Piece("same", "".join(sides.end))


def _by_word(old: Sequence[str], new: Sequence[str]) -> Iterator[Piece]:
    gone, came = "", ""
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        text = "".join(old[a:b])
        if kind != "equal" or text.isspace():  # white space by itself does not count as equal text
            gone, came = gone + text, came + "".join(new[c:d])
        else:
            yield from (Piece("before", gone), Piece("now", came), Piece("same", text))
            gone, came = "", ""
    yield from (Piece("before", gone), Piece("now", came))


def _by_sentence(old: Sequence[str], new: Sequence[str]) -> Iterator[Piece]:
    """Yield the pieces of many words: by word only those of the sentences that differ."""
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        before, now = "".join(old[a:b]), "".join(new[c:d])
        words = _sides(_WORDS, before, now)
        if kind != "equal" and words.is_comparable:
            yield from _around(words, _by_word(words.before, words.now))
        elif kind == "equal":
            yield Piece("same", before)
        else:
            yield from (Piece("before", before), Piece("now", now))


def _joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Yield the pieces that are not empty, neighbours of one side as one."""
    for side, those in groupby((piece for piece in pieces if piece.text), key=lambda piece: piece.side):
        yield Piece(side, "".join(piece.text for piece in those))


def changed_fields(before: str | None, now: str | None) -> tuple[Field, ...]:
    """Return the fields that differ, in order; none if a side is no JSON object or list, or calls other tools."""
    if len({tuple(call.name for call in read_output(text or "").calls) for text in (before, now)}) > 1:
        return ()
    sides = [_json(text) for text in (before, now)]
    if not all(isinstance(side, (dict, list)) for side in sides):
        return ()
    old, new = (dict(_leaves(side, "")) for side in sides)
    paths = dict.fromkeys([*old, *new])
    return tuple(Field(path, old.get(path, ""), new.get(path, "")) for path in paths if old.get(path) != new.get(path))


def _json(text: str | None) -> Any:
    try:
        return parse_json(text or "")
    except NotJson:
        return None


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]")
    else:
        yield path or "(all)", json.dumps(value, ensure_ascii=False)


def difference_lines(before: str | None, now: str | None) -> Iterator[str]:
    """Yield a short difference for a terminal: the fields that differ, or both outputs around the changed words."""
    if fields := changed_fields(before, now):
        for field in fields[:MOST_FIELDS]:
            yield f"{shown(field.path)}: {_cut(field.before or NONE)} -> {_cut(field.now or NONE)}"
        if len(fields) > MOST_FIELDS:
            yield f"and {len(fields) - MOST_FIELDS} more fields"
        return
    pieces = word_pieces(*(" ".join((shown_output(text or "") or NONE).split()) for text in (before, now)))
    yield f"before: {''.join(_short(pieces, 'before'))}"
    yield f"now:    {''.join(_short(pieces, 'now'))}"


def excerpts(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Yield pieces with a gap in each long one of both sides, which says how much is left out."""
    for number, piece in enumerate(pieces):
        head = _first_words(piece.text, KEPT_ON_PAGE) if number else ""
        tail = _first_words(piece.text[::-1], KEPT_ON_PAGE)[::-1] if number < len(pieces) - 1 else ""
        left = len(piece.text) - len(head) - len(tail)
        if piece.side != "same" or left <= KEPT_ON_PAGE:
            yield piece
        else:
            yield Piece("same", head)
            yield Piece("gap", f" ... {left:,} equal characters ... ")
            yield Piece("same", tail)


def _first_words(text: str, most: int) -> str:
    """Return the start of a text up to white space, of at most `most` characters."""
    spaces = [found.start() for found in re.finditer(r"\s", text[:most])]
    return text[: spaces[-1] if spaces else most]


def word_diff(before: str, now: str) -> str:
    """Return both texts as one, as `git diff --word-diff` shows them; long runs that both share are shortened."""
    return "".join(_marked(word_pieces(before, now)))


def _marked(pieces: Sequence[Piece]) -> Iterator[str]:
    for number, piece in enumerate(pieces):
        if piece.side == "same":
            head, tail = (piece.text[:KEPT] if number else ""), (piece.text[-KEPT:] if number < len(pieces) - 1 else "")
            yield piece.text if len(piece.text) <= 2 * KEPT else f"{head}{ELLIPSIS}{tail}"
        else:
            yield f"[-{piece.text}-]" if piece.side == "before" else f"{{+{piece.text}+}}"


def _short(pieces: Sequence[Piece], side: Side) -> Iterator[str]:
    for number, piece in enumerate(pieces):
        if piece.side == side:
            yield _cut(piece.text)
        elif piece.side == "same":
            yield _near(piece.text, number > 0, number < len(pieces) - 1)


def _near(text: str, follows: bool, leads: bool) -> str:
    """Return equal text, shortened to what follows or leads to a difference."""
    head, tail = KEPT * follows, KEPT * leads
    if not (follows or leads) or len(text) <= head + tail + len(ELLIPSIS):
        return _cut(text)
    whole = f"{text[:head]}{ELLIPSIS}{text[len(text) - tail :]}"
    return shown(whole if follows and leads else whole.rstrip() if follows else whole.lstrip())


def _cut(text: str) -> str:
    return shown(text) if len(text) <= MOST_SHOWN else f"{shown(text[:MOST_SHOWN])}... ({len(text):,} characters)"
