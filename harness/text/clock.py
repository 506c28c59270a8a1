"""Times of day and lengths of time in words: `half past two`, `halb elf`, `36 months`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import regex

from tunegate.harness.text.calendar import Calendar, Said, calendar_of, numerals_of
from tunegate.harness.text.characters import plain_signs

HALF_DAY = 12 * 60  # minutes: `4:30` is morning or afternoon
# what stands before a word is a count, as `14 nights`
_AFTERNOON = regex.compile(
    r"(?<![\w.,:/£$€])(?:1[3-9]|2[0-4])(?:(?= ?(?:h|hrs|uhr)\b)|(?!\w|[.,:/]\d| ?[\p{L}%€£$]))", regex.IGNORECASE
)


@dataclass(frozen=True)
class Phrase:
    """Some words of a text, what they say together, and whether they can say nothing else."""

    start: int
    end: int
    said: Said
    is_sure: bool


@dataclass(frozen=True)
class _Templates:
    """What is looked for in a text of one language; a time comes with its minutes from the hour."""

    numerals: Mapping[str, int]
    times: tuple[tuple[Any, int, bool, bool], ...]
    spans: tuple[tuple[Any, Said], ...]
    lengths: Any


def phrases_of_time(text: str, language: str) -> Iterator[Phrase]:
    """Every time of day and every length of time that a text has in words; they may overlap."""
    templates, text = _templates(language.split("-")[0]), _small(text)
    for pattern, offset, has_minutes, is_sure in templates.times:
        for found in pattern.finditer(text):
            minutes = offset * (_number(found["m"], templates.numerals) if has_minutes else 1)
            time = (_number(found["h"], templates.numerals) * 60 + minutes) % HALF_DAY
            yield Phrase(found.start(), found.end(), ("time", time), is_sure)
    for pattern, said in templates.spans:
        yield from (Phrase(found.start(), found.end(), said, is_sure=True) for found in pattern.finditer(text))
    for found in templates.lengths.finditer(text) if templates.lengths else ():
        kind, each = calendar_of(language).units[found["unit"]]
        said = (kind, _number(found["n"], templates.numerals) * each)
        yield Phrase(found.start(), found.end(), said, is_sure=False)


def afternoon_hours(text: str) -> Iterator[Phrase]:
    """Every number of notes that may be an hour after twelve: `16-18h`."""
    for found in _AFTERNOON.finditer(text):
        yield Phrase(found.start(), found.end(), ("time", int(found[0]) * 60 % HALF_DAY), is_sure=False)


def _small(text: str) -> str:
    """The text in lower case and with plain signs, character by character."""
    return plain_signs("".join(small if len(small := char.lower()) == 1 else char for char in text))


def _number(seen: str, numerals: Mapping[str, int]) -> int:
    return int(seen) if seen.isdecimal() else numerals[seen]


@cache
def _templates(code: str) -> _Templates:
    own = calendar_of(code)
    numerals = numerals_of(code)
    times = [
        (_pattern(template, own, numerals), offset, "{m}" in template, is_sure)
        for group, is_sure in ((own.clock, True), (own.hours, False))
        for template, offset in group.items()
    ]
    spans = [(_compiled(template), said) for template, said in own.spans.items()]
    count = rf"(?P<n>\d{{1,4}}|{_either(numerals)})[ -]?(?P<unit>{_either(own.units)})"
    return _Templates(numerals, tuple(times), tuple(spans), _compiled(count) if own.units else None)


def _pattern(template: str, own: Calendar, numerals: Mapping[str, int]) -> Any:
    hours = _either(word for word, value in numerals.items() if value <= 24)
    minutes = _either(word for word, value in numerals.items() if value < 60 and word not in own.articles)
    hour = rf"(?P<h>[01]?\d|2[0-4]|{hours})"
    return _compiled(template.replace("{h}", hour).replace("{m}", rf"(?P<m>{minutes})"))


def _either(words: Any) -> str:
    return "|".join(regex.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))


def _compiled(pattern: str) -> Any:
    return regex.compile(rf"(?<![\w.,:/])(?:{pattern})(?!\w|[.:,/]\d)")
