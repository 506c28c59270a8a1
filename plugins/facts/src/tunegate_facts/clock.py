"""Times of day and lengths of time in words and figures: `half past two`, `halb elf`, `12-16`, `36 months`, `1h30`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

import regex

from tunegate.harness.checks.text.phrases import one_of
from tunegate_facts.calendar import calendar_of, numerals_of
from tunegate_facts.calendar_type import Calendar, Said
from tunegate_facts.patterns import Phrase, in_small_letters, value_of, whole_words

HALF_DAY = 12 * 60  # minutes: `4:30` is morning or afternoon
DAY = 2 * HALF_DAY
# what stands before a word is a count, as `14 nights`
_AFTERNOON = regex.compile(
    r"(?<![\w.,:/£$€])(?:1[3-9]|2[0-4])(?:(?= ?(?:h|hrs|uhr)\b)|(?!\w|[.,:/]\d| ?[\p{L}%€£$]))", regex.IGNORECASE
)
_COUNT = r"(?:\d{1,2} ?)?\d[/\N{FRACTION SLASH}][2-9]|\d{1,3}(?:[.,]\d{3})|\d{1,4}(?:[.,]\d{1,2})?"
_POINTED = regex.compile(r"(?<![\w.,:/£$€])([01]?\d|2[0-4])\.([0-5]\d)(?!\w|[.,:/]\d| ?[\p{L}%€£$])")
_SHORT_MINUTES = regex.compile(r"(?<![\w.,:/£$€])(\d{1,3}) ?m(?!\w)")  # or metres
_MOST_DAYS = 366  # from one day to another
_HOUR = r"[01]?\d|2[0-4]"
_NOT_HALVED = ("people", "rooms", "inches", "ounces", "pints")  # or notes have other words for them, such as `1.5 in`
_MARKED = regex.compile(r"\dh|[ap]\.?m\b| h\b|uhr\b", regex.IGNORECASE)
_FOUR = r"(?P<h>[01]\d|2[0-3])(?P<m>[0-5]\d)"
_FOUR_DIGITS = regex.compile(
    rf"(?<![\w.,:/£$€-]|\d )(?:{_FOUR}(?: ?[-\N{{EN DASH}}] ?{_FOUR}|(?= ?(?:h|hrs|uhr)\b))"
    r"|(?P<h>0\d)(?P<m>[0-5][05]))(?!\w|[.,:/-]\d| \d)"
)
_SIDE = rf"({_HOUR})(?:[:.h]([0-5]\d)|h)?(?: ?[ap]\.?m\b\.?| ?h\b| ?uhr\b)?"


@dataclass(frozen=True)
class _Templates:
    """What is looked for in a text of one language; a time comes with its minutes from the hour, a part with itself."""

    language: str
    numerals: Mapping[str, int]
    units: Mapping[str, Said]
    times: tuple[tuple[Any, int, bool, bool], ...]
    spans: tuple[tuple[Any, Said], ...]
    parts: tuple[tuple[Any, Decimal], ...]
    lengths: Any
    hours_and_minutes: Any
    ranges: Any
    repeats: Any
    halves: tuple[tuple[Any, int], ...]
    minutes: Any
    apart: tuple[tuple[Any, int], ...]


def at(time: int, halves: Collection[int] = ()) -> Iterator[Said]:
    """The minutes of the day that a time may be `at`: of any half, where none of the two is said."""
    yield from (("at", (time % HALF_DAY) + 60 * half) for half in halves or (0, 12))


def phrases_of_time(text: str, language: str) -> Iterator[Phrase]:
    """Every time of day and every length of time that a text has in words; they may overlap."""
    templates, text = _templates(language.split("-")[0]), in_small_letters(text)
    for pattern, offset, has_minutes, is_sure in templates.times:
        for found in pattern.finditer(text):
            minutes = offset * (_number(found["m"], templates) if has_minutes else 1)
            time = (_number(found["h"], templates) * 60 + minutes) % HALF_DAY
            yield Phrase.of(found, ("time", time), is_sure=is_sure)
            if not (offset or is_sure):
                more = templates.minutes.match(text, found.end())  # at eight thirty
                said = ("time", time + _number(more["m"], templates)) if more else ("full_hour", time)
                yield Phrase.of(found, said)
            halves = [half for pattern, half in templates.halves if pattern.match(text, found.end())]
            if halves or is_sure:
                yield from (Phrase.of(found, said, is_sure=is_sure) for said in at(time, halves))
            if is_sure:
                yield Phrase.of(found, ("clock", time), is_sure=is_sure)
    yield from _lengths(text, templates)


def _lengths(text: str, templates: _Templates) -> Iterator[Phrase]:
    for pattern, said in templates.spans:
        yield from (Phrase.of(found, said, is_sure=True) for found in pattern.finditer(text))
    for pattern, part in templates.parts:
        for found in pattern.finditer(text):
            number = _number(found["n"], templates) if "n" in found.groupdict() else 0
            kind, each = templates.units[found["unit"]]
            yield Phrase.of(found, (kind, (number + part) * each), is_sure=True)
    for found in templates.lengths.finditer(text):
        kind, each = templates.units[found["unit"]]
        yield Phrase.of(found, (kind, _number(found["n"], templates) * each))
    for found in templates.hours_and_minutes.finditer(text):
        minutes = 60 * _number(found["n"], templates) + _number(found["m"], templates)
        yield Phrase.of(found, ("minutes", minutes))


def times_of_notes(text: str, language: str) -> Iterator[Phrase]:
    """What may be times in notes: hours after twelve as in `16-18h`, the ends of a range as in `12-16`, and `9.30`."""
    for found in _AFTERNOON.finditer(text):
        time = int(found[0]) * 60 % HALF_DAY
        yield from (Phrase.of(found, said) for said in (("time", time), *at(time, [12])))
    yield from (Phrase.of(found, ("minutes", int(found[1]))) for found in _SHORT_MINUTES.finditer(text))
    for found in _POINTED.finditer(text):
        yield Phrase.of(found, ("clock", (int(found[1]) * 60 + int(found[2])) % HALF_DAY))
    templates, small = _templates(language.split("-")[0]), in_small_letters(text)
    for found in templates.lengths.finditer(small):
        yield from _days_apart(found, small, templates)
    for found in templates.ranges.finditer(small):
        if found["unit"] and int(found[3]) <= 12:
            continue  # 3-5 working days
        for hour, minute in ((found[1], found[2]), (found[3], found[4])):
            time = (int(hour) * 60 + int(minute or 0)) % HALF_DAY
            yield from (Phrase.of(found, (kind, time)) for kind in ("time", "clock"))
        if found[2] or found[4] or _MARKED.search(found[0]):
            start, end = _in_minutes(found[1], found[2]), _in_minutes(found[3], found[4])
            yield Phrase.of(found, ("lasts", (end - start) % HALF_DAY))
    yield from _in_four_digits(text)
    for found in templates.repeats.finditer(small):
        yield Phrase.of(found, ("times", _number(found["n"], templates)))


def _in_four_digits(text: str) -> Iterator[Phrase]:
    """`0900` and `0900-1300`."""
    for found in _FOUR_DIGITS.finditer(text):
        times = [_in_minutes(*each) for each in zip(found.captures("h"), found.captures("m"), strict=True)]
        for time in times:
            said = (("time", time % HALF_DAY), ("clock", time % HALF_DAY), ("at", time))
            yield from (Phrase.of(found, each) for each in said)
        if len(times) > 1:
            yield Phrase.of(found, ("lasts", times[1] - times[0]))


def _in_minutes(hour: str, minute: str | None) -> int:
    return int(hour) * 60 + int(minute or 0)


def _days_apart(found: Any, text: str, templates: _Templates) -> Iterator[Phrase]:
    """How far a day is from another, as in `2 wks from 5 May`."""
    kind, each = templates.units[found["unit"]]
    length = _number(found["n"], templates) * each
    if kind == "minutes" and length % DAY == 0 and length <= _MOST_DAYS * DAY:
        kind = "apart" if length < 7 * DAY else "in_days"  # no slip of a few days, whatever the answer shows
        for pattern, sign in templates.apart:
            if pattern.match(text, found.end()):
                yield Phrase.of(found, (kind, sign * int(length // DAY)))


def _number(seen: str, templates: _Templates) -> Any:
    """The value of a count: a whole number, or a part of one."""
    if seen.isdecimal():
        return int(seen)
    return value_of(seen, templates.language) if seen[0].isdecimal() else templates.numerals[seen]


@cache
def _templates(code: str) -> _Templates:
    own = calendar_of(code)
    numerals = {**own.loose, **numerals_of(code)}
    times = [
        (_pattern(template, own, numerals_of(code)), offset, "{m}" in template, is_sure)
        for group, is_sure in ((own.clock, True), (own.hours, False))
        for template, offset in group.items()
    ]
    said_of = "|".join(own.halves)
    times.append((_pattern(rf"{{h}}(?= (?:{said_of}))", own, numerals_of(code)), 0, False, False))
    spans = [(whole_words(template), said) for template, said in own.spans.items()]
    count, unit = rf"(?P<n>{_COUNT}|{one_of(numerals)})", rf"(?P<unit>{one_of(own.units)})"
    halved = one_of(word for word, (kind, _) in own.units.items() if kind not in _NOT_HALVED)
    parts = [
        (whole_words(template.replace("{n}", count).replace("{unit}", rf"(?P<unit>{halved})")), part)
        for template, part in own.parts.items()
    ]
    both = ((own.before, -1), (own.after, 1))
    return _Templates(
        code,
        numerals,
        own.units,
        tuple(times),
        tuple(spans),
        tuple(parts),
        whole_words(rf"{_before_unit(numerals)}{unit}"),
        _hours_and_minutes(own, numerals),
        _ranges(own),
        whole_words("|".join([r"(?P<n>\d{1,2}) ?[x×]", *(each.replace("{n}", count) for each in own.repeats)])),
        tuple((regex.compile(rf" (?:{words})(?!\w)"), half) for words, half in own.halves.items()),
        regex.compile(rf" (?P<m>[0-5]\d|{_minutes_in_words(own, numerals)})(?!\w)"),
        tuple((regex.compile(rf" (?:{one_of(words)})(?!\w)"), sign) for words, sign in both),
    )


def _before_unit(numerals: Mapping[str, int]) -> str:
    """A count, which touches its unit in figures alone: no `eighth` is eight hours."""
    return rf"(?:(?P<n>{_COUNT})[ -]?|(?P<n>{one_of(numerals)})[ -])"


def _hours_and_minutes(own: Calendar, numerals: Mapping[str, int]) -> Any:
    """`2h40`, `2 h 30`, `two hours and forty minutes`, `deux heures dix`."""
    hours, minutes = (one_of(word for word, said in own.units.items() if said == ("minutes", each)) for each in (60, 1))
    small_number = _minutes_in_words(own, numerals)
    return whole_words(
        rf"(?:(?P<n>\d{{1,2}})[ -]?|(?P<n>{one_of(numerals)})[ -])(?:{hours})(?:,? \p{{L}}{{1,3}})? ?"
        rf"(?P<m>[0-5]?\d|{small_number})(?:[ -]?(?:{minutes}))?"
    )


def _ranges(own: Calendar) -> Any:
    time = one_of(word for word, (kind, _) in own.units.items() if kind in ("minutes", "months"))
    unit = rf"(?P<unit> ?(?:\p{{L}}{{1,20}} )?(?:{time})\b)?"
    until = rf"(?: ?[-\N{{EN DASH}}] ?| (?:{one_of(own.until)}) )"
    return regex.compile(rf"(?<![\w.,:/]){_SIDE}{until}{_SIDE}(?!\d|[.,:/-]\d| ?[%€£$]){unit}")


def _minutes_in_words(own: Calendar, numerals: Mapping[str, int]) -> str:
    return one_of(word for word, value in numerals.items() if value < 60 and word not in own.articles)


def _pattern(template: str, own: Calendar, numerals: Mapping[str, int]) -> Any:
    hours = one_of(word for word, value in numerals.items() if value <= 24)
    minutes = _minutes_in_words(own, numerals)
    hour = rf"(?P<h>[01]?\d|2[0-4]|{hours})"
    return whole_words(template.replace("{h}", hour).replace("{m}", rf"(?P<m>{minutes})"))
