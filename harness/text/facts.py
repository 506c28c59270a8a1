"""The facts of a text: numbers, times, weekdays, months, codes, addresses and names, each in one form.

A fact is compared by what it says and not by how it is written: `£1,250` and `1250`, `Wed` and `Wednesday`, `2:30pm`
and `14:30`, `three` and `3` are the same. The words of a language are data (`calendar`, and its dictionary for names).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from typing import Any

import regex

from tunegate.harness.text.calendar import Said, calendar_of, numerals_of
from tunegate.harness.text.clock import HALF_DAY, afternoon_hours, phrases_of_time
from tunegate.harness.text.languages import language_of
from tunegate.harness.text.reading import read
from tunegate.harness.text.words import is_name, is_word

MOST_OF_AN_ANSWER = 10_000  # characters; each may be a fact
_LEAST_OF_NAME = 3  # letters that are left where a name loses its ending

# every repetition is bounded: each is tried at each place of an answer
_EACH = (
    r"(?P<address>[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,8})"
    r"|(?P<iso>(?<!\d)\d{4}-\d\d-\d\d(?!\d))"
    r"|(?P<date>(?<!\d)\d{1,2}[./]\d{1,2}(?:[./](?:\d{4}|\d\d)|\.)(?!\d))"
    r"|(?P<slashed>(?<![\d/])\d{1,2}/\d{1,2}(?![\d/]|[.,]\d))"
    r"|(?P<time>(?<!\d)\d{1,2}[:.h][0-5]\d(?:\s?[ap]\.?m\b|(?<=:\d\d)|(?<=h\d\d))(?!\d)|(?<!\d)\d{1,2}\s?[ap]\.?m\b)"
    r"|(?P<code>\b(?=[\w-]{0,40}\d)(?=[\w-]{0,40}\p{L})\w{1,40}(?:-\w{1,40}){0,8})"
    r"|(?P<number>\d{1,40}(?:[.,']\d{1,40}){0,12})"
    r"|(?P<word>\p{L}[\p{L}\p{M}]{0,60})"
)
_GROUPED = r"(?<!\d |[\d.,])[1-9]\d{0,2}(?:[ \u00a0\u202f]\d{3}){1,4}(?:,\d{1,2})?(?![\d.,]| \d)"
_CLOCK = regex.compile(r"(\d{1,2})(?:[:.h](\d\d))?\s?([ap])?", regex.IGNORECASE)
_WITH_UNIT = regex.compile(r"(\d+)(?:\p{Ll}{1,3}|º|ª)")  # 11th, 10yr, 5kg: a number
_MEASURES = regex.compile(r"\d+(?:\p{Ll}{1,3}|º|ª)?(?:-\d+(?:\p{Ll}{1,3}|º|ª)?)*")  # 5-7pm, 10-15cm: some of them
_SENTENCE_START = regex.compile(r"(?:^|[.!?:…\n])[\s\"'“”„«»(¡¿]*$")


@dataclass(frozen=True)
class Fact:
    """Something a text states: in how many words it is `seen`, and what it says, any one of which is the same."""

    seen: str
    says: tuple[Said, ...]


def facts(text: str, language: str) -> list[Fact]:
    """What an answer states: what may be no fact, such as `may` or `one`, is none.

    What follows `MOST_OF_AN_ANSWER` is one fact, of which no notes know.
    """
    found = [fact for fact in _facts(text[:MOST_OF_AN_ANSWER], language, sure=True) if fact.says]
    rest = text[MOST_OF_AN_ANSWER:]
    return [*found, Fact(f"{len(rest):,} more characters", (("rest", rest),))] if rest else found


def stated(text: str, language: str) -> frozenset[Said]:
    """Everything that notes may state, abbreviations and every word, which may be a name, included."""
    found = {said for fact in _facts(text, language, sure=False) for said in fact.says}
    for kind, value in list(found):
        if kind == "time":
            hour, minute = divmod(value, 60)
            found |= {("number", Decimal(each)) for each in (hour, hour + 12, minute)}
        elif kind == "number" and 1 <= value <= 12 and value == int(value):
            found.add(("time", int(value) * 60 % HALF_DAY))
    return frozenset(found)


def unfounded(text: str, sources: Collection[Said], language: str) -> list[Fact]:
    """The facts of an answer that its sources, what `stated` finds in them, do not have."""
    return [fact for fact in facts(text, language) if not any(said in sources for said in fact.says)]


def missing(wanted: Iterable[str], text: str, language: str) -> Iterator[str]:
    """The texts whose facts an answer does not state; one that holds none is looked for word by word."""
    known = stated(text[:MOST_OF_AN_ANSWER], language)
    for each in wanted:
        due = facts(each, language) or [Fact(word, (("name", word.casefold()),)) for word in read(each).text.split()]
        if not all(any(said in known for said in fact.says) for fact in due):
            yield each


def _facts(text: str, language: str, *, sure: bool) -> Iterator[Fact]:
    plain = read(text, language).text
    done: set[int] = set()
    also: dict[int, tuple[Said, ...]] = {}
    for phrase in (*phrases_of_time(plain, language), *(() if sure else afternoon_hours(plain))):
        places = range(phrase.start, phrase.end)
        if phrase.is_sure or not sure:
            yield Fact(plain[phrase.start : phrase.end], (phrase.said,))
        if phrase.is_sure and sure:
            done.update(places)
        also |= {place: (*also.get(place, ()), phrase.said) for place in places}
    before = None
    for token in _tokens(language).finditer(plain):
        if token.start() not in done:
            for fact in _stated_by(token, before, language, sure=sure):
                is_number = any(kind == "number" for kind, _ in fact.says)
                yield replace(fact, says=(*fact.says, *also.get(token.start(), ()))) if is_number else fact
        before = token


@cache
def _tokens(language: str) -> Any:
    joined = sorted((word for word in numerals_of(language) if not word.isalpha()), key=len, reverse=True)
    # 1 450,00: where a comma is the decimal mark, a space may group digits
    grouped = rf"(?P<grouped>{_GROUPED})|" if calendar_of(language).decimal == "," else ""
    numeral = rf"(?P<numeral>\b(?:{'|'.join(joined)})\b)|" if joined else ""
    return regex.compile(numeral + grouped + _EACH, regex.IGNORECASE)


def _stated_by(token: Any, before: Any, language: str, *, sure: bool) -> Iterator[Fact]:
    kind, seen = token.lastgroup, token[0]
    if kind == "word":
        yield Fact(seen, _word(token, before, language) if sure else _any_word(seen, language))
    elif kind == "numeral":
        yield Fact(seen, (("number", Decimal(numerals_of(language)[seen.casefold()])),))
    elif kind == "grouped":
        yield replace(_number(regex.sub(r"[ \u00a0\u202f]", "", seen), language), seen=seen)
        if not sure:  # two numbers, perhaps
            yield from (_number(part, language) for part in regex.split(r"[ \u00a0\u202f]", seen))
    elif kind == "iso":
        yield from _date(seen, [int(part) for part in seen.split("-")][::-1])
    elif kind == "date" and (parts := _day_and_month(seen, language)):
        yield from _date(seen, parts)
    elif kind == "code" and not _MEASURES.fullmatch(seen):
        yield Fact(seen, (("code", seen.replace("-", "").casefold()),))
        if not sure:  # `3-seater` and `x3` say a number, too
            yield from (_number(part, language) for part in regex.findall(r"\d+", seen))
    elif kind == "code":
        yield from (_number(part, language) for part in seen.split("-"))
    elif kind == "time":
        yield Fact(seen, (("time", _minutes(seen)),))
    elif kind == "address":
        yield Fact(seen, (("address", seen.casefold()),))
    elif regex.fullmatch(r"\d{1,2}/\d{1,2}\.?", seen):
        yield from (_day_or_month(part) for part in seen.rstrip(".").split("/"))
    else:
        yield from (_number(part, language) for part in seen.rstrip(".,").split("/"))


def _day_or_month(seen: str) -> Fact:
    """A part of `1/10`, which is a day in October here and in January there."""
    value = int(seen)
    return Fact(seen, (("number", Decimal(value)), *((("month", value),) if 1 <= value <= 12 else ())))


def _day_and_month(seen: str, language: str) -> list[int]:
    """The numbers of a date, its day first; none if it is no date, but perhaps a time such as `8.30.`."""
    parts = [int(part) for part in regex.findall(r"\d+", seen)]
    if seen[-1] == "." and calendar_of(language).decimal == ".":
        return []
    first, second, *year = parts
    if max(first, second) > 31 or min(first, second) > 12:
        return []
    return parts if second <= 12 else [second, first, *year]


def _number(seen: str, language: str) -> Fact:
    """Digits, perhaps with a unit; `8.30` may be a time as well."""
    unit = _WITH_UNIT.fullmatch(seen)
    says: list[Said] = [("number", _value(unit[1] if unit else seen, language))]
    if regex.fullmatch(r"\d{1,2}\.[0-5]\d", seen):
        says.append(("time", _minutes(seen)))
    return Fact(seen, tuple(says))


def _date(seen: str, parts: Sequence[int]) -> Iterator[Fact]:
    """A day, its month and perhaps its year: a month by its number is the same as by its name."""
    day, month, *year = parts
    if "/" in seen and day <= 12:  # which of the two is the month nobody can tell
        yield from (replace(_day_or_month(str(part)), seen=seen) for part in (day, month))
    else:
        yield Fact(seen, (("number", Decimal(day)),))
        yield Fact(seen, (("month", month),))
    yield from (Fact(seen, (("number", Decimal(each)),)) for each in year)


def _minutes(seen: str) -> int:
    clock = _CLOCK.match(seen)
    return (int(clock[1]) * 60 + int(clock[2] or 0)) % HALF_DAY if clock else 0


def _value(seen: str, language: str) -> Decimal:
    """The value of digits: where a mark stands more than once, or before three digits, it groups them."""
    own = calendar_of(language).decimal
    other = "," if own == "." else "."
    grouped = seen.replace("'", "")
    if regex.fullmatch(rf"\d{{1,3}}(?:{regex.escape(other)}\d{{3}})+(?:{regex.escape(own)}\d+)?", grouped):
        grouped = grouped.replace(other, "")
    whole, *rest = regex.split(r"[.,]", grouped)
    return Decimal(f"{whole}.{rest[0]}" if len(rest) == 1 else "".join([whole, *rest]))


def _calendar(word: str, language: str, *, short: bool) -> Iterator[Said]:
    own = calendar_of(language)
    for kind, names in (("weekday", own.weekdays), ("month", own.months)):
        for number, forms in enumerate(names, 1):
            for form in forms.split("|") if short else forms.split("|")[:1]:
                if word == form or (form.endswith("*") and word.startswith(form[:-1])):
                    yield kind, number


def _any_word(seen: str, language: str) -> tuple[Said, ...]:
    word = seen.casefold()
    numbers = numerals_of(language)
    as_number = [("number", Decimal(numbers[word]))] if word in numbers else []
    return (*_name(word, language), *_calendar(word, language, short=True), *as_number)


def _word(token: Any, before: Any, language: str) -> tuple[Said, ...]:
    own, seen, text = calendar_of(language), token[0], token.string
    word = seen.casefold()
    is_capital = seen[0].isupper()
    is_inside = is_capital and not _SENTENCE_START.search(text, max(0, token.start() - 9), token.start())
    if token.start() >= 2 and text[token.start() - 1] == "-" and text[token.start() - 2].isalpha():
        is_inside = False  # après-midi, mid-May: part of a word
    elif word in numerals_of(language) and word not in own.articles:
        ends = word in own.adverbs and regex.match(r"\s*(?:[.,;:!?]|$)", text, pos=token.end())
        return () if ends else (("number", Decimal(numerals_of(language)[word])),)
    if named := tuple(_calendar(word, language, short=is_inside)):
        return named if word not in own.unsure or is_inside else ()
    if not is_capital or len(word) == 1 or word in own.titles:
        return ()
    # a name is a capital that no word of the language explains, or that a title announces
    is_named = _is_titled(token, before, language) or (is_inside and is_name(seen, language))
    return _name(word, language) if is_named or not is_word(seen, language) else ()


def _is_titled(token: Any, before: Any, language: str) -> bool:
    if before is None or before[0].casefold() not in calendar_of(language).titles:
        return False
    return token.string[before.end() : token.start()] in (" ", ". ")


def _name(word: str, language: str) -> tuple[Said, ...]:
    """A name, and what may be left of it without the endings of its language, so that `Riikan` is `Riikka`."""
    own = language_of(language)
    shorter = {word.removesuffix(ending) for ending in own.name_endings}
    stems = {word, *(each for each in shorter if len(each) >= _LEAST_OF_NAME)}
    for pattern, base in own.name_changes:
        stems |= {regex.sub(pattern, base, stem) for stem in stems}
    return tuple(("name", stem) for stem in sorted(stems))
