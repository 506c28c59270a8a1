"""Days of the calendar: weekdays and months by name, dates in figures and words, ranges of weekdays, holidays."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

import regex

from tunegate.harness.text.calendar import Calendar, Day, Said, calendar_of
from tunegate.harness.text.patterns import Phrase, in_small_letters, one_of, whole_words

_FIGURES = regex.compile(
    r"(?<![\w./-])(?:(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
    r"|(?P<a>\d{1,2})(?P<sign>[./])(?P<b>\d{1,2})(?:(?P=sign)(?P<y>\d{4}|\d\d)?)?)(?![\w/])"
)
_WEEKDAY_BEFORE = regex.compile(r"(\p{L}{1,20})\.?,? (?:(?:the|dem|den|le|el) )?$")


@dataclass(frozen=True)
class _Patterns:
    """What is looked for in a text of one language; a group of days comes with its first and last."""

    dates: Any
    holidays: Any
    wishes: Any
    initials: Any
    groups: tuple[tuple[Any, tuple[int, int]], ...]
    relative: tuple[tuple[Any, int], ...]


def named_days(word: str, language: str, *, short: bool) -> Iterator[Said]:
    """The weekdays and months that a word in small letters names, or with `short` also what notes shorten them to."""
    own = calendar_of(language)
    for kind, names in (("weekday", own.weekdays), ("month", own.months)):
        for number, forms in enumerate(names, 1):
            for form in forms.split("|") if short else forms.split("|")[:1]:
                if word == form or (form.endswith("*") and word.startswith(form[:-1])):
                    yield kind, number


def phrases_of_days(text: str, language: str) -> Iterator[Phrase]:
    """Every day of a month that a text names, perhaps `dated` by its weekday, and every holiday, by its days."""
    small = in_small_letters(text)
    for phrase in _named(text, small, language):
        yield phrase
        before = _WEEKDAY_BEFORE.search(small, max(0, phrase.start - 30), phrase.start)
        for kind, number in named_days(before[1], language, short=True) if before else ():
            if kind == "weekday":
                yield Phrase(before.start(), phrase.end, ("dated", (number, phrase.said[1])))
    holidays, pattern = list(calendar_of(language).holidays.values()), _patterns(language).holidays
    for found in pattern.finditer(small) if pattern else ():
        yield Phrase.of(found, ("holiday", holidays[int(found.lastgroup[1:])]))


def _named(text: str, small: str, language: str) -> Iterator[Phrase]:
    patterns = _patterns(language)
    for found in patterns.dates.finditer(small) if patterns.dates else ():
        word = found["month"] or found["month_first"]
        months = [number for kind, number in named_days(word, language, short=True) if kind == "month"]
        days = [int(found[each]) for each in ("from", "day", "day_after", "to") if found[each]]
        yield from (Phrase.of(found, ("day", day)) for day in _days(months, days))
    for found in _FIGURES.finditer(text):
        yield from (Phrase.of(found, ("day", day)) for day in _days_in_figures(found, language))


def days_of_notes(text: str, language: str) -> Iterator[Phrase]:
    """What notes say of days beside their dates: `weekdays`, `L-V`, `tomorrow`, the weekday of a date with its year."""
    patterns, small = _patterns(language), in_small_letters(text)
    for pattern, ends in patterns.groups:
        for found in pattern.finditer(small):
            yield from (Phrase.of(found, ("weekday", day)) for day in ends)
    for found in patterns.initials.finditer(text) if patterns.initials else ():
        for letters in regex.findall(r"\p{L}+", found[0]):
            yield Phrase.of(found, ("weekday", calendar_of(language).initials[letters]))
    for pattern, days in patterns.relative:
        yield from (Phrase.of(found, ("in_days", days)) for found in pattern.finditer(small))
    for found in _FIGURES.finditer(text):
        if number := _weekday(found, language):
            yield Phrase.of(found, ("weekday", number))


def also_days(found: Set[Said], language: str) -> Iterator[Said]:
    """The holidays on the days that notes state, and the day of a holiday that has only one."""
    days = {value for kind, value in found if kind == "day"}
    for dates in calendar_of(language).holidays.values():
        if days.intersection(dates):
            yield "holiday", dates
        if len(dates) == 1 and ("holiday", dates) in found:
            yield "day", dates[0]


def wishes(text: str, language: str) -> Iterator[range]:
    """Where a text wishes a happy holiday, whatever its name: it states nothing."""
    pattern = _patterns(language).wishes
    yield from (range(*found.span()) for found in pattern.finditer(text)) if pattern else ()


def _days(months: list[int], days: list[int]) -> Iterator[Day]:
    yield from ((month, day) for month in months for day in days if 1 <= month <= 12 and 1 <= day <= 31)


def _days_in_figures(found: Any, language: str) -> list[Day]:
    """The day of a date in figures; two of `1/10`, which is in October here and in January there."""
    if found["year"]:
        return list(_days([int(found["month"])], [int(found["day"])]))
    first, second = int(found["a"]), int(found["b"])
    if found["sign"] == "/":
        return sorted({*_days([second], [first]), *_days([first], [second])})
    is_date = found["y"] or (found[0].endswith(".") and calendar_of(language).decimal == ",")
    return list(_days([second], [first])) if is_date else []


def _weekday(found: Any, language: str) -> int | None:
    """The weekday of a date in figures with its whole year; None where it is none, or has two readings."""
    year, days = found["year"] or found["y"] or "", _days_in_figures(found, language)
    if len(year) != 4 or len(days) != 1:
        return None
    try:
        return date(int(year), *days[0]).isoweekday()
    except ValueError:
        return None


@cache
def _patterns(language: str) -> _Patterns:
    own = calendar_of(language)
    holidays = sorted(enumerate(own.holidays), key=lambda each: -len(each[1]))
    return _Patterns(
        _dates(own),
        whole_words("|".join(f"(?P<h{number}>{template})" for number, template in holidays)) if holidays else None,
        regex.compile(rf"\b(?i:{one_of(own.wishes)}) (?:\p{{Lu}}[\p{{L}}'’]{{1,30}} ?){{1,3}}") if own.wishes else None,
        _initials(own),
        tuple((whole_words(template), ends) for template, ends in own.day_groups.items()),
        tuple((whole_words(template), days) for template, days in own.relative.items()),
    )


def _dates(own: Calendar) -> Any:
    """`14-21 Feb`, `the 24th of December`, `Feb 14`, `syyskuun 12.`."""
    forms = [form for names in own.months for form in names.split("|")]
    month = "|".join(
        regex.escape(form.removesuffix("*")) + (r"\p{L}{0,12}" if form.endswith("*") else "")
        for form in sorted(forms, key=lambda form: -len(form))
    )
    order, dash = r"(?:st|nd|rd|th|er|º|\.)?", r" ?[-\N{EN DASH}] ?"
    return whole_words(
        rf"(?:(?P<from>\d{{1,2}}){order}{dash})?(?P<day>\d{{1,2}}){order} ?(?:of |de )?(?P<month>{month})"
        rf"|(?P<month_first>{month})\.?,? ?(?:the )?(?P<day_after>\d{{1,2}}){order}(?:{dash}(?P<to>\d{{1,2}}){order})?"
    ) if month else None  # fmt: skip


def _initials(own: Calendar) -> Any:
    """`L-V`, `M/W/F`, and one after figures, as in `9-14 S`."""
    if not own.initials:
        return None
    each = rf"(?:{one_of(own.initials)})"
    return regex.compile(rf"(?<![\w-])(?:{each}(?:[-/,\N{{EN DASH}}]{each})+|(?<=\d ){each})(?![\w-])")
