"""Amounts of money, percentages and numbers over a hundred: `£1,250`, `zehn Euro`, `10p`, `30 %`, `cent trente`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

import regex

from tunegate.harness.checks.text.phrases import one_of
from tunegate_facts.calendar import calendar_of, numerals_of, value_of_numeral
from tunegate_facts.patterns import (
    DIGITS,
    Phrase,
    grouped_digits,
    in_small_letters,
    value_of,
    whole_words,
)

_BEFORE = {"£": "GBP", "gbp": "GBP", "€": "EUR", "eur": "EUR", "$": "USD", "usd": "USD", "chf": "CHF"}
_CURRENCIES = {
    "GBP": "pound pounds quid pfund",
    "EUR": "euro euros euroa euron euroon eurosta",
    "USD": "dollar dollars dollarn dólar dólares dollaria",
    "CHF": "franken francs",
    "SEK": "sek kr kronor kruunua",
}
_AFTER = _BEFORE | {word: code for code, words in _CURRENCIES.items() for word in words.split()}
_HUNDREDTHS: dict[str, tuple[str, ...]] = {
    "p": ("GBP",), "pence": ("GBP",), "ct": ("EUR",), "centimes": ("EUR",), "céntimos": ("EUR",)
}  # fmt: skip
_MANY = {"": 1, "k": 1000, "m": 1_000_000}  # £385k
_PER = ("a", "per", "pro", "par", "la", "cada", "al", "por")
_EACH = ("@", "ea", "each", "pp", "p.p.", "je", "chacun", "chacune", "c/u", "kpl", "kappale")
_PER_CENT = ("%", "per cent", "percent", "pct", "prozent", "pour cent", "por ciento", "prosenttia", "prosentin")


@dataclass(frozen=True)
class _Patterns:
    money: Any
    per: Any
    of_each: Any
    each_before: Any
    about: Any
    percent: Any
    shares: tuple[tuple[Any, int], ...]


def amounts(text: str, language: str) -> Iterator[Phrase]:
    """Every amount of a text, which is `(currency, value)`, and every percentage.

    An amount may be `about` the true one, and the `price` of one thing, or of `each` of several.
    """
    own, patterns, text = calendar_of(language), _patterns(language), in_small_letters(text)
    after, parts = _AFTER | dict(own.money), _HUNDREDTHS | dict(own.hundredths)
    for found in patterns.money.finditer(text):
        value = _value(found["later"] or found["first"], language)
        if found["part"]:
            currency, *others = parts[found["part"]]
            amount = (currency, value / 100)
            yield from (Phrase.of(found, ("money", (other, value / 100))) for other in others)
        else:
            more = _value(found["cents"], language) / 100 if found["cents"] else 0
            value = value * _MANY[found["many"] or ""] + more
            amount = (_BEFORE[found["before"]] if found["before"] else after[found["after"]], value)
        yield Phrase.of(found, ("money", amount))
        is_of_each = patterns.of_each.match(text, found.end()) or patterns.each_before.search(text, *_before(found))
        if is_of_each:
            yield Phrase.of(found, ("each", amount))
        if is_of_each or patterns.per.match(text, found.end()):
            yield Phrase.of(found, ("price", amount))
        if patterns.about.search(text, *_before(found)):
            yield Phrase.of(found, ("about", amount))
    for found in patterns.percent.finditer(text):
        yield Phrase.of(found, ("percent", _value(found["n"], language)))
    for pattern, share in patterns.shares:
        yield from (Phrase.of(found, ("percent", Decimal(share))) for found in pattern.finditer(text))


def _before(found: Any) -> tuple[int, int]:
    return max(0, found.start() - 20), found.start()


def hundreds_of(language: str) -> str:
    """A pattern of numbers of three digits in words, without groups of its own."""
    return "|".join(regex.sub(r"\(\?P<\w>", "(?:", pattern.pattern) for pattern, _ in _hundreds(language))


def value_of_hundreds(number: Any, language: str) -> Decimal:
    """The value of a match of `hundreds_of`."""
    for pattern, base in _hundreds(language):
        found = pattern.match(number.string, number.start())
        if found and found.end() == number.end():
            parts = found.groupdict()
            times, more = (value_of_numeral(parts[each], language) if parts.get(each) else 0 for each in ("n", "m"))
            return Decimal(base * (times or 1) + more)
    raise ValueError(f"expected a number in words, found {number[0]!r}")


@cache
def _hundreds(language: str) -> tuple[tuple[Any, int], ...]:
    times, more = (one_of(word for word, value in numerals_of(language).items() if value <= most) for most in (9, 99))
    filled = (
        (template.replace("{n}", f"(?P<n>{times})").replace("{m}", f"(?P<m>{more})"), base)
        for template, base in calendar_of(language).hundreds.items()
    )
    return tuple((regex.compile(rf"(?<!\w)(?:{each})(?!\w)", regex.IGNORECASE), base) for each, base in filled)


@cache
def _patterns(language: str) -> _Patterns:
    own = calendar_of(language)
    after, parts = one_of(_AFTER | dict(own.money)), one_of(_HUNDREDTHS | dict(own.hundredths))
    words = one_of({**numerals_of(language), **own.loose})
    number = "|".join(filter(None, [grouped_digits(language), DIGITS, words]))
    tens = one_of(word for word, value in numerals_of(language).items() if 10 <= value < 100)
    small = rf"(?P<cents>\d\d|{tens})"  # one euro twenty, and three euros and forty cents
    counted = rf"(?![\w.,:/-]\w| ?(?:{one_of([*own.units, *_AFTER, *own.money])})(?!\w))"
    cents = rf"(?: (?:\p{{L}}{{1,3}} )?{small} (?:{parts})| {small}{counted})?"
    money = (
        rf"(?P<before>{one_of(_BEFORE)})\s?(?P<later>{DIGITS})(?P<many>[km]?)"
        rf"|(?P<first>{number})[ -]?(?:(?P<after>{after}){cents}|(?P<part>{parts}))"
    )
    end = rf"(?:(?!\w)|(?=(?:{one_of(own.per)})(?!\w)))" if own.per else r"(?!\w)"  # £10pp
    return _Patterns(
        regex.compile(rf"(?<![\w.,:/])(?:{money}){end}"),
        regex.compile(rf" ?(?:/|(?:{one_of(_PER)})(?!\w))"),
        regex.compile(rf" ?(?:{one_of(_EACH)})(?!\w)"),
        regex.compile(r"(?:@|(?<!\w)(?:each|je|à)) ?$"),
        regex.compile(rf"(?<!\w)(?:{'|'.join(own.about)}) $"),
        regex.compile(rf"(?<![\w.,:/])(?P<n>{number})\s?(?:{one_of(_PER_CENT)})(?!\w)"),
        tuple((whole_words(template), share) for template, share in own.shares.items()),
    )


def _value(seen: str, language: str) -> Decimal:
    if seen[0].isdecimal():
        return value_of(seen, language)
    return Decimal({**calendar_of(language).loose, **numerals_of(language)}[seen])
