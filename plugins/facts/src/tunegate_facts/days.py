"""Days of the calendar: weekdays and months by name, dates in figures and words, ranges of weekdays, holidays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import product
from typing import Any

import regex

from tunegate.harness.checks.text.phrases import one_of
from tunegate_facts.calendar import calendar_of
from tunegate_facts.calendar_type import Calendar, Day, Said
from tunegate_facts.clock import DAY
from tunegate_facts.patterns import Phrase, in_small_letters, whole_words

_FIGURES = regex.compile(
    r"(?<![\w./-])(?:(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
    r"|(?P<a>\d{1,2})(?P<sign>[./])(?P<b>\d{1,2})(?:(?P=sign)(?P<y>\d{4}|\d\d)?)?)(?![\w/])"
)
_MOST_OF_A_WEEK = 3  # days; what is not in more is left out
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
    beside: tuple[tuple[Any, int], ...]
    weekday_ranges: Any
    left_out: Any


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
        for number in _weekdays_of(before[1], language) if before else ():
            yield Phrase(before.start(), phrase.end, ("dated", (number, phrase.said[1])))
    for found in _patterns(language).left_out.finditer(small):
        for day in _weekdays_of(found["before"] or found["after"], language):
            yield Phrase.of(found, ("left_out", day))
    holidays = list(calendar_of(language).holidays.values())
    for found in _patterns(language).holidays.finditer(small):
        yield Phrase.of(found, ("holiday", holidays[int(found.lastgroup[1:])]))


def _named(text: str, small: str, language: str) -> Iterator[Phrase]:
    for found in _patterns(language).dates.finditer(small):
        word = found["month"] or found["month_first"]
        months = [number for kind, number in named_days(word, language, short=True) if kind == "month"]
        for each in ("from", "day", "day_after", "to"):
            for day in _days(months, [int(found[each])] if found[each] else []):
                start, end = _of_one_day(found, each)
                yield Phrase(start, end, ("day", day))
    for found in _FIGURES.finditer(text):
        yield from (Phrase.of(found, ("day", day)) for day in _days_in_figures(found, language))


def _of_one_day(found: Any, which: str) -> tuple[int, int]:
    """Where one day of a range stands, with the month if that is beside it; a day alone is all that was found."""
    is_end = which in ("from", "to")
    start = found.start(which) if is_end or found["from"] else found.start()
    return start, found.end(which) if is_end or found["to"] else found.end()


def days_of_notes(text: str, language: str) -> Iterator[Phrase]:
    """What notes say of days beside their dates: `weekdays`, `L-V`, `tomorrow`, the weekday of a date with its year."""
    patterns, small = _patterns(language), in_small_letters(text)
    for pattern, ends in patterns.groups:
        for found in pattern.finditer(small):
            yield from (Phrase.of(found, ("weekday", day)) for day in ends)
            yield Phrase.of(found, ("minutes", DAY * (ends[1] - ends[0] + 1)))
            yield from (Phrase.of(found, ("left_out", day)) for day in _left_out(*ends))
    for found in patterns.weekday_ranges.finditer(small):
        for first, last in product(*(_weekdays_of(found[each], language) for each in ("first", "last"))):
            yield from (Phrase.of(found, ("left_out", day)) for day in _left_out(first, last))
    for found in patterns.initials.finditer(text) if patterns.initials else ():
        for letters in regex.findall(r"\p{L}+", found[0]):
            yield Phrase.of(found, ("weekday", calendar_of(language).initials[letters]))
    for pattern, days in patterns.relative:
        yield from (Phrase.of(found, ("in_days", days)) for found in pattern.finditer(small))
    for pattern, days in patterns.beside:
        yield from (Phrase.of(found, ("apart", days)) for found in pattern.finditer(small))
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
    yield from (range(*found.span()) for found in _patterns(language).wishes.finditer(text))


def _left_out(first: int, last: int) -> Iterator[int]:
    """The weekdays that are not in a range of most of them."""
    length = (last - first) % 7 + 1
    if length > _MOST_OF_A_WEEK:
        yield from ((last + by) % 7 + 1 for by in range(7 - length))


def _weekdays_of(word: str, language: str) -> list[int]:
    return [number for kind, number in named_days(word, language, short=True) if kind == "weekday"]


def _days(months: list[int], days: list[int]) -> Iterator[Day]:
    yield from ((month, day) for month in months for day in days if 1 <= month <= 12 and 1 <= day <= 31)


def _days_in_figures(found: Any, language: str) -> list[Day]:
    """The day of a date in figures; two of `1/10`, which is in October here and in January there."""
    if found["year"]:
        return list(_days([int(found["month"])], [int(found["day"])]))
    first, second = int(found["a"]), int(found["b"])
    if found["sign"] == "/" and not is_day_first(found[0], language):
        return sorted({*_days([second], [first]), *_days([first], [second])})
    is_date = found["sign"] == "/" or found["y"] or (found[0].endswith(".") and calendar_of(language).decimal == ",")
    return list(_days([second], [first])) if is_date else []


def is_day_first(seen: str, language: str) -> bool:
    """Whether a text such as `5/06` is a date, its day first; English has both orders."""
    day, _, month = seen.partition("/")
    month = month.partition("/")[0]
    is_date = "0" in (day[:1], month[:1]) and month.isdecimal() and 1 <= int(month) <= 12
    return is_date and calendar_of(language).decimal == ","


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
    day, dash, left = f"(?:{_any_of(own.weekdays)})", _until(own), f"(?:{'|'.join(own.excepts)})"
    holidays = sorted(enumerate(own.holidays), key=lambda each: -len(each[1]))
    return _Patterns(
        _dates(own),
        whole_words("|".join(f"(?P<h{number}>{template})" for number, template in holidays)),
        regex.compile(rf"\b(?i:{one_of(own.wishes)}) (?:\p{{Lu}}[\p{{L}}'’]{{1,30}} ?){{1,3}}"),
        _initials(own),
        tuple((whole_words(template), ends) for template, ends in own.day_groups.items()),
        _in_days(own.relative),
        _in_days(own.beside),
        whole_words(rf"(?P<first>{day})\.?{dash}(?P<last>{day})"),
        whole_words(rf"{left} (?P<before>{day})|(?P<after>{day})\.?:? {left}"),
    )


def _in_days(words: Mapping[str, int]) -> tuple[tuple[Any, int], ...]:
    return tuple((whole_words(template), days) for template, days in words.items())


def _any_of(names: Iterable[str]) -> str:
    """A pattern of any form of some names, the longest first."""
    return "|".join(
        regex.escape(form.removesuffix("*")) + (r"\p{L}{0,12}" if form.endswith("*") else "")
        for form in sorted((form for name in names for form in name.split("|")), key=lambda form: -len(form))
    )


def _until(own: Calendar) -> str:
    return rf"(?: ?[-\N{{EN DASH}}] ?| (?:{one_of(own.until | own.until_day)}) )"


def _dates(own: Calendar) -> Any:
    """`14-21 Feb`, `the 24th of December`, `Feb 14`, `syyskuun 12.`."""
    month = _any_of(own.months)
    order, dash = r"(?:st|nd|rd|th|er|º|\.)?", _until(own)
    return whole_words(
        rf"(?:(?P<from>\d{{1,2}}){order}{dash})?(?P<day>\d{{1,2}}){order} ?(?:of |de )?(?P<month>{month})"
        rf"|(?P<month_first>{month})\.?,? ?(?:the )?(?P<day_after>\d{{1,2}}){order}(?:{dash}(?P<to>\d{{1,2}}){order})?"
    )


def _initials(own: Calendar) -> Any:
    """`L-V`, `M/W/F`, and one after figures, as in `9-14 S`."""
    if not own.initials:
        return None
    each = rf"(?:{one_of(own.initials)})"
    return regex.compile(rf"(?<![\w-])(?:{each}(?:[-/,\N{{EN DASH}}]{each})+|(?<=\d ){each})(?![\w-])")
