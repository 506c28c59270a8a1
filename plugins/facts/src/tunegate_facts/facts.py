"""The facts of a text: numbers, times, weekdays, months, codes, addresses and names, each in one form.

A fact is compared by what it says and not by how it is written: `£1,250` and `1250`, `Wed` and `Wednesday`, `2:30pm`
and `14:30`, `three` and `3` are the same. The words of a language are data (`calendar`, and its dictionary for names).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from typing import Any

import regex

from tunegate.harness.checks.text.phrases import one_of
from tunegate.harness.checks.text.reading import read
from tunegate_facts.amounts import amounts, hundreds_of, value_of_hundreds
from tunegate_facts.calendar import calendar_of, numerals_of, value_of_numeral
from tunegate_facts.calendar_type import Said
from tunegate_facts.clock import HALF_DAY, at, phrases_of_time, times_of_notes
from tunegate_facts.contrary import how_numbers_stand, is_contrary, labels, ways
from tunegate_facts.days import also_days, days_of_notes, is_day_first, named_days, phrases_of_days, wishes
from tunegate_facts.implied import follows
from tunegate_facts.listed import code_ranges, joined_numbers, lists, short_ranges, spaced_codes, things
from tunegate_facts.names import misnamed, name_pairs, name_stems
from tunegate_facts.patterns import DIGITS, Phrase, by_kind, grouped_digits, value_of
from tunegate_facts.rates import counts_of_things, prices_of_each
from tunegate_facts.words import is_name, is_word, is_written_together

MOST_OF_AN_ANSWER = 10_000  # characters; each may be a fact

# every repetition is bounded: each is tried at each place of an answer
_EACH = (
    r"(?P<address>[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,8})"
    r"|(?P<iso>(?<!\d)\d{4}-\d\d-\d\d(?!\d))"
    r"|(?P<date>(?<!\d)\d{1,2}[./]\d{1,2}(?:[./](?:\d{4}|\d\d)|\.)(?!\d))"
    r"|(?P<slashed>(?<![\d/])\d{1,2}/\d{1,2}(?![\d/]|[.,]\d))"
    r"|(?P<time>(?<!\d)\d{1,2}[:.h][0-5]\d(?:\s?[ap]\.?m\b|(?<=:\d\d)|(?<=h\d\d))(?!\d)|(?<!\d)\d{1,2}\s?[ap]\.?m\b)"
    r"|(?P<code>\b(?=[\w-]{0,40}\d)(?=[\w-]{0,40}\p{L})\w{1,40}(?:-\w{1,40}){0,8})"
    rf"|(?P<number>{DIGITS})"
    r"|(?P<word>\p{L}[\p{L}\p{M}]{0,60})"
)
_CLOCK = regex.compile(r"(\d{1,2})(?:[:.h](\d\d))?\s?([ap])?", regex.IGNORECASE)
_WITH_UNIT = regex.compile(r"(\d+)(?:\p{Ll}{1,3}|º|ª)")  # 11th, 10yr, 5kg: a number
_MEASURES = regex.compile(r"\d+(?:\p{Ll}{1,3}|º|ª)?(?:-\d+(?:\p{Ll}{1,3}|º|ª)?)*")  # 5-7pm, 10-15cm: some of them
_IN_A_WORD = regex.compile(r"\p{L}\p{Ll}{2,20}-(\d{1,3})s?|(\d{1,4})-\p{Ll}{4,20}")  # under-18s, 32-asteista: a number
_COUNTED = regex.compile(r" (\p{L}{4,40})")
_SENTENCE_START = regex.compile(r"(?:^|[.!?:…\n])[\s\"'“”„«»(¡¿]*$")


@dataclass(frozen=True)
class Fact:
    """Something a text states: as it is `seen`, and what it says, any one of which is the same.

    A number `counts` what the word after it says, if one stands there.
    """

    seen: str
    says: tuple[Said, ...]
    counts: str = ""


def facts(text: str, language: str) -> list[Fact]:
    """What an answer states: what may be no fact, such as `may` or `one`, is none.

    What follows `MOST_OF_AN_ANSWER` is one fact, of which no notes know.
    """
    found = [fact for fact in _facts(text[:MOST_OF_AN_ANSWER], language, sure=True) if fact.says]
    rest = text[MOST_OF_AN_ANSWER:]
    return [*found, Fact(f"{len(rest):,} more characters", (("rest", rest),))] if rest else found


def stated(text: str, language: str) -> frozenset[Said]:
    """Everything that notes may state, abbreviations and every word, which may be a name, included."""
    each = list(_facts(text, language, sure=False))
    found = {said for fact in each for said in (*fact.says, *how_numbers_stand(fact.says))}
    for kind, value in list(found):
        if kind == "money":
            found.add(("about", (value[0], round(value[1]))))
        elif kind == "time":
            hour, minute = divmod(value, 60)
            found |= {(of, Decimal(each)) for each in (hour, hour + 12) for of in ("number", "hour")}
            found.add(("number", Decimal(minute)))
        elif kind == "number" and 1 <= value <= 12 and value == int(value):
            time = int(value) * 60 % HALF_DAY
            found |= {("time", time), *at(time)}
    return frozenset(found.union(also_days(found, language)))


def unfounded(text: str, sources: Set[Said], language: str) -> list[Fact]:
    """The facts of an answer that its sources, what `stated` finds in them, do not have, and that do not follow."""
    every = facts(text, language)
    says = [said for fact in every for said in fact.says] + _articled_lengths(text, language)
    shown, known = by_kind(said for said in says if said in sources), by_kind(sources)
    known["claimed"] = {said for fact in every for said in fact.says}  # not `a month`
    alone = [fact for fact in every if sources.isdisjoint(fact.says) or is_contrary(by_kind(fact.says), known)]
    for fact in list(alone):
        if follows(fact.says, fact.counts, shown, known):
            alone.remove(fact)
            for kind, value in fact.says:
                if kind in ("number", "money"):  # of which the next may be a part
                    shown[kind].add(value)
                    known[kind].add(value)
                elif kind == "minutes":
                    known["lasts"].add(value)
    plain = read(text[:MOST_OF_AN_ANSWER], language).text
    seen = {word for fact in alone for word in fact.seen.split()}
    pairs = (Fact(plain[each.start : each.end], (each.said,)) for each in misnamed(plain, known, sources, language))
    return [*alone, *(pair for pair in pairs if seen.isdisjoint(pair.seen.split()))]


def _articled_lengths(text: str, language: str) -> list[Said]:
    """Lengths that an answer shows, those with an article (`a week`) included."""
    phrases = phrases_of_time(read(text[:MOST_OF_AN_ANSWER], language).text, language)
    return [phrase.said for phrase in phrases if phrase.said[0] in ("minutes", "months")]


def missing(wanted: Iterable[str], text: str, language: str) -> Iterator[str]:
    """The texts whose facts an answer does not state; one that holds none is looked for word by word."""
    known = stated(text[:MOST_OF_AN_ANSWER], language)
    for each in wanted:
        due = facts(each, language) or [Fact(word, (("name", word.casefold()),)) for word in read(each).text.split()]
        if not all(any(said in known for said in fact.says) for fact in due):
            yield each


def _facts(text: str, language: str, *, sure: bool) -> Iterator[Fact]:
    plain = read(text, language).text
    prices = list(amounts(plain, language))
    phrases = [*phrases_of_time(plain, language), *prices, *prices_of_each(prices, plain, language)]
    phrases += [*phrases_of_days(plain, language)]
    phrases += [*spaced_codes(plain), *things(plain, language), *labels(plain, language, sure=sure)]
    phrases += ways(plain, language)
    if sure:
        whole, done = _whole(phrases, plain, wishes(plain, language))
        yield from whole
    else:
        done = set()
        phrases += [*times_of_notes(plain, language), *days_of_notes(plain, language), *lists(plain, language)]
        phrases += [*joined_numbers(plain, language), *short_ranges(plain), *code_ranges(plain)]
        phrases += [*counts_of_things(plain), *name_pairs(plain, language)]
        yield from (Fact(plain[phrase.start : phrase.end], (phrase.said,)) for phrase in phrases)
    also = defaultdict[int, list[Said]](list)
    for phrase in phrases:
        for place in range(phrase.start, phrase.end):
            also[place].append(phrase.said)
    before = None
    for token in _tokens(language).finditer(plain):
        if token.start() not in done:
            for fact in _stated_by(token, before, language, sure=sure):
                what = _COUNTED.match(plain, token.end())
                says = (*fact.says, *also.get(token.start(), ())) if fact.says else ()
                yield replace(fact, says=says, counts=what[1].casefold() if what else "")
        before = token


def _whole(phrases: Sequence[Phrase], text: str, void: Iterable[range]) -> tuple[list[Fact], set[int]]:
    """The phrases that can say nothing else, the longest where several stand, and the places that need no more reading.

    What is `void` states nothing.
    """
    done = {place for places in void for place in places}
    said = defaultdict[tuple[int, int], list[Said]](list)
    for phrase in phrases:
        said[phrase.start, phrase.end].append(phrase.said)
    found = []
    for phrase in sorted((each for each in phrases if each.is_sure), key=lambda each: each.start - each.end):
        if done.isdisjoint(places := range(phrase.start, phrase.end)):
            found.append(Fact(text[phrase.start : phrase.end], tuple(said[phrase.start, phrase.end])))
            done.update(places)
    return found, done


@cache
def _tokens(language: str) -> Any:
    joined = one_of(word for word in numerals_of(language) if not word.isalpha())
    first = {
        "hundreds": hundreds_of(language),
        "numeral": rf"\b(?:{joined})\b" if joined else None,
        "grouped": grouped_digits(language),
    }
    named = [f"(?P<{kind}>{pattern})" for kind, pattern in first.items() if pattern]
    return regex.compile("|".join([*named, _EACH]), regex.IGNORECASE)


def _stated_by(token: Any, before: Any, language: str, *, sure: bool) -> Iterator[Fact]:
    kind, seen = token.lastgroup, token[0]
    if kind == "word":
        yield Fact(seen, _word(token, before, language) if sure else _any_word(seen, language))
    elif kind == "hundreds":
        yield Fact(seen, (("number", value_of_hundreds(token, language)),))
    elif kind == "numeral":
        yield Fact(seen, (("number", Decimal(value_of_numeral(seen, language))),))
    elif kind == "grouped":
        yield _number(seen, language)
        if not sure:  # two numbers, perhaps
            yield from (_number(part, language) for part in regex.split(r"[ \u00a0\u202f]", seen))
    elif kind == "iso":
        yield from _date(seen, [int(part) for part in seen.split("-")][::-1])
    elif kind == "date" and (parts := _day_and_month(seen, language)):
        yield from _date(seen, parts, is_in_order=is_day_first(seen, language))
    elif kind == "code" and (word := _IN_A_WORD.fullmatch(seen)):
        yield replace(_number(word[1] or word[2], language), seen=seen)
    elif kind == "code" and not _MEASURES.fullmatch(seen):
        yield Fact(seen, (("code", seen.replace("-", "").casefold()),))
        if not sure:  # `3-seater` and `x3` say a number, too
            yield from (_number(part, language) for part in regex.findall(r"\d+", seen))
    elif kind == "code":
        yield from (_number(part, language) for part in seen.split("-"))
    elif kind == "time":
        yield Fact(seen, (("time", _minutes(seen)), ("clock", _minutes(seen)), *at(_minutes(seen), _halves(seen))))
    elif kind == "address":
        yield Fact(seen, (("address", seen.casefold()),))
    elif regex.fullmatch(r"\d{1,2}/\d{1,2}\.?", seen):
        yield from _slashed(seen.rstrip("."), language)
    else:
        yield from (_number(part, language) for part in seen.rstrip(".,").split("/"))


def _slashed(seen: str, language: str) -> Iterator[Fact]:
    if is_day_first(seen, language):
        yield from _date(seen, [int(part) for part in seen.split("/")], is_in_order=True)
    else:
        yield from (_day_or_month(part) for part in seen.split("/"))


def _day_or_month(seen: str) -> Fact:
    """A part of `1/10`, which is a day in October here and in January there."""
    value = int(seen)
    months: list[Said] = [("month", value)] if 1 <= value <= 12 else []
    return Fact(seen, (("number", Decimal(value)), ("alone", Decimal(value)), *months))


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
    says: list[Said] = [("number", value_of(unit[1] if unit else seen, language))]
    if regex.fullmatch(r"\d{1,2}\.[0-5]\d", seen):
        says += [("time", _minutes(seen)), *at(_minutes(seen), _halves(seen))]
    return Fact(seen, tuple(says))


def _date(seen: str, parts: Sequence[int], *, is_in_order: bool = False) -> Iterator[Fact]:
    """A day, its month and perhaps its year: a month by its number is the same as by its name."""
    day, month, *year = parts
    if "/" in seen and day <= 12 and not is_in_order:  # which of the two is the month nobody can tell
        yield from (replace(_day_or_month(str(part)), seen=seen) for part in (day, month))
    else:
        yield Fact(seen, (("number", Decimal(day)),))
        yield Fact(seen, (("month", month),))
    yield from (Fact(seen, (("number", Decimal(each)),)) for each in year)


def _minutes(seen: str) -> int:
    clock = _CLOCK.match(seen)
    return (int(clock[1]) * 60 + int(clock[2] or 0)) % HALF_DAY if clock else 0


def _halves(seen: str) -> list[int]:
    """From which hour the twelve of a time in figures count; of `8:30`, which may be either, none."""
    clock = _CLOCK.match(seen)
    if not clock:
        return []
    if clock[3]:
        return [0 if clock[3] in "aA" else 12]
    return [12] if int(clock[1]) > 12 else [0] if clock[1][0] == "0" else []


def _any_word(seen: str, language: str) -> tuple[Said, ...]:
    word = seen.casefold()
    numbers = {**calendar_of(language).loose, **numerals_of(language)}
    as_number = [("number", Decimal(numbers[word]))] if word in numbers else []
    full = calendar_of(language).shortened.get(word, word)
    return (*name_stems(word, language), ("name", full), *named_days(word, language, short=True), *as_number)


def _word(token: Any, before: Any, language: str) -> tuple[Said, ...]:
    own, seen, text = calendar_of(language), token[0], token.string
    word = seen.casefold()
    joined_to = text[token.start() - 2] if token.start() >= 2 and text[token.start() - 1] == "-" else ""
    is_inside = seen[0].isupper() and not joined_to.isalpha() and not _begins_sentence(token, language)
    if word in numerals_of(language) and word not in own.articles and not joined_to.isalpha():
        is_adverb = word in own.adverbs and _counts_nothing(language).match(text, token.end())
        return () if is_adverb else (("number", Decimal(numerals_of(language)[word])),)
    if named := tuple(named_days(word, language, short=is_inside)):
        return named if word not in own.unsure or is_inside else ()
    if not seen[0].isupper() or len(word) == 1 or word in own.titles or joined_to.isdecimal():
        return ()  # the Tonner of a 7,5-Tonner, too
    is_announced = _is_titled(token, before, language)
    return name_stems(word, language) if is_announced or _is_a_name(token, language, is_inside=is_inside) else ()


@cache
def _counts_nothing(language: str) -> Any:
    """What follows a number that counts nothing: the end of a clause, or the number of `the first twenty miles`."""
    numbers = one_of(numerals_of(language).keys() - calendar_of(language).articles)
    return regex.compile(rf"\s*(?:[.,;:!?]|$)| (?:\d|(?i:{numbers})\b)")


def _begins_sentence(token: Any, language: str) -> bool:
    """Whether nothing but a sentence's start explains a capital; one begins after a salutation, too."""
    if _SENTENCE_START.search(token.string, max(0, token.start() - 9), token.start()):
        return True
    opening = rf"(?i:{one_of(calendar_of(language).greetings)})\b[^.!?\n]{{0,40}},\s{{1,3}}"
    return bool(regex.fullmatch(opening, token.string, endpos=token.start()))


def _is_a_name(token: Any, language: str, *, is_inside: bool) -> bool:
    """Whether no word of the language explains a capital; one that is a word, but also a name, is one in a sentence."""
    seen = token[0]
    if is_inside and is_name(seen, language):
        return True
    is_shout = not is_inside and regex.match(r"\s?!", token.string, pos=token.end())
    return not (is_shout or is_word(seen, language) or is_written_together(seen, language, is_inside=is_inside))


def _is_titled(token: Any, before: Any, language: str) -> bool:
    own, between = calendar_of(language), token.string[before.end() : token.start()] if before else ""
    is_place = before and before[0][0].isupper() and before[0].casefold() in own.places
    is_title = before and before[0].casefold() in own.titles
    return bool((is_place and between == " ") or (is_title and between in (" ", ". ")))
