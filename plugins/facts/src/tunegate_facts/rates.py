"""Prices for each of something, and how many of it there are: `£8/hour`, `98 €/Zi./Nacht` and `2 DZ`, `Seats: 12`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from itertools import product
from math import prod
from typing import Any

import regex

from tunegate.harness.checks.text.phrases import one_of
from tunegate_facts.calendar import calendar_of
from tunegate_facts.patterns import Phrase, Values, in_small_letters

_PER = (
    "a", "an", "per", "each", "every", "for each", "for every", "pro", "je", "für jede", "für jeden", "für jedes",
    "par", "pour chaque", "chaque", "la", "por", "por cada", "cada", "al", "a la", "joka",
)  # fmt: skip
_AND = "and|und|et|y|ja"
_COUNTED = regex.compile(
    r"(?<![\w.,:/])(?P<n>\d{1,3}) ?(?:[x×] ?)?(?P<what>\p{L}{2,30})|(?P<what>\p{L}{2,30}): (?P<n>\d{1,3})\b"
)
_MOST_RATES = 6  # in notes, and lengths; of more, nearly anything can be made
_SAME_WORD = 4  # letters that two forms of a word begin with


@dataclass(frozen=True)
class _Patterns:
    first: Any
    more: Any
    short: Any


def prices_of_each(prices: Iterable[Phrase], text: str, language: str) -> Iterator[Phrase]:
    """Of all amounts of a text those that are for each of something, with what this is."""
    text, patterns, own = in_small_letters(text), _patterns(language), calendar_of(language)
    for price in prices:
        if price.said[0] != "money":
            continue
        found = patterns.first.match(text, price.end)
        short = patterns.short.match(text, price.end) if patterns.short else None
        each: list[Any] = [own.per[short[1]]] if short else []
        while found and len(each) < 3:
            each.append(_unit(found, language))
            found = patterns.more.match(text, found.end())
        if each:
            yield Phrase(price.start, price.end, ("rate", (*price.said[1], tuple(each))))


def counts_of_things(text: str) -> Iterator[Phrase]:
    """How many there are of what a text counts."""
    for found in _COUNTED.finditer(in_small_letters(text)):
        yield Phrase.of(found, ("counted", (Decimal(found["n"]), found["what"])))


def products(currency: str | None, known: Values) -> Iterator[Decimal]:
    """So much for each, times how many there are; of these an answer that says how many must have `claimed` as many."""
    if len(known["rate"]) <= _MOST_RATES:
        for of, price, each in known["rate"]:
            if currency in (None, of):
                counts = product(*(set(_counts(what, known)) for what in each))
                yield from (price * prod(numbers, start=Decimal(1)) for numbers in counts)


def is_of_another_unit(values: Values, known: Values) -> bool:
    """Whether notes have the price of a fact, and for another length of time only."""
    for currency, price, each in values["rate"]:
        there = {unit for *of, units in known["rate"] if of == [currency, price] for unit in _times(units)}
        if there and list(_times(each)) and there.isdisjoint(_times(each)):
            return True
    return False


def _times(each: Iterable[Any]) -> Iterator[Any]:
    yield from (unit for unit in each if unit[0] in ("minutes", "months"))


def _counts(what: Any, known: Values) -> Iterator[Decimal]:
    if isinstance(what, str):
        yield from (number for number, other in known["counted"] if _is_same(what, other))
        return
    kind, each = what
    lengths = known[kind] | (known["lasts"] if kind == "minutes" else set())
    claimed = {value for of, value in known["claimed"] if of == kind and value % each == 0}
    halves = (length * 2 / Decimal(each) for length in (lengths & claimed if claimed else lengths))
    yield from (number / 2 for number in halves if number == int(number) and len(lengths) <= _MOST_RATES)


def _is_same(word: str, other: str) -> bool:
    """Whether two words begin alike, or one is short for the other."""
    return word.startswith(other) or other.startswith(word) or word[:_SAME_WORD] == other[:_SAME_WORD]


def _unit(found: Any, language: str) -> Any:
    """A unit, so many times, or the word of something else."""
    unit = calendar_of(language).units.get(found["what"])
    return (unit[0], unit[1] * int(found["n"] or 1)) if unit else found["what"]


@cache
def _patterns(language: str) -> _Patterns:
    per, what = one_of(_PER), r"(?:(?P<n>\d{1,3}) ?)?(?P<what>\p{L}{1,20})\.?(?!\w)"
    short = one_of(calendar_of(language).per)
    return _Patterns(
        regex.compile(rf"(?: ?/ ?| (?:{per}) ){what}"),
        regex.compile(rf"(?: ?/ ?| (?:(?:{_AND}) )?(?:{per}) | (?:{_AND}) ){what}"),
        regex.compile(rf" ?({short})(?!\w)") if short else None,
    )
