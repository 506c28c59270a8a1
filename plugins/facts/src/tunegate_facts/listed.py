"""What a text holds in parts: codes in groups, things in a row, and how many there are."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any

import regex

from tunegate.harness.checks.text.phrases import one_of
from tunegate_facts.calendar import calendar_of, numerals_of, value_of_numeral
from tunegate_facts.patterns import DIGITS, Phrase, value_of

_SPACED_CODE = regex.compile(r"(?<![\w-])[\p{Lu}\d]{1,16}(?:[ -][\p{Lu}\d]{1,16}){0,11}(?!\w)")
_PARTS_OF_CODE, _LEAST_OF_CODE = 4, 5  # at most, and letters and digits together at least
_ITEM = r"\p{L}[\p{L}\p{M}'’]{0,30}+(?: \p{L}[\p{L}\p{M}'’]{0,30}+)?+"
_LIST = regex.compile(rf"(?<!\w){_ITEM}(?: ?[&+/] ?{_ITEM}){{1,11}}")
_ITEMS = regex.compile(r"(?<=: )[^:;.\n]{2,40}+(?:; [^:;.\n]{2,40}+){1,11}")
_COUNT_OF = r"(?P<count>\d{1,2}) (?P<what>\p{L}{2,30})(?!\w)"
_COUNTS = regex.compile(rf"(?<![\w.,:/]){_COUNT_OF}(?:,? [&+]? ?{_COUNT_OF}){{1,11}}")
_JOINED_NUMBER = regex.compile(rf"(?<!\w)\p{{L}}(\d{{1,3}}[.,]{DIGITS})")

_RANGE = regex.compile(r"(?<![\w.,:/£$€-])(\d{1,4})[-\N{EN DASH}](\d{1,4})(?![\w.,:/-]| ?\p{L})")
_CODE_RANGE = regex.compile(r"(?<![\w-])(?P<of>\p{Lu}{1,3})(?P<n>\d{1,4})[-\N{EN DASH}](?P=of)?(?P<n>\d{1,4})(?![\w-])")
_MOST_OF_A_RANGE = 6  # from its first to its last


def spaced_codes(text: str) -> Iterator[Phrase]:
    """`LK19 VYO` and `01632 960 184` as one code, in any parts that stand side by side."""
    for run in _SPACED_CODE.finditer(text):
        parts = list(regex.finditer(r"[\p{Lu}\d]+", run[0]))
        for first in range(len(parts)):
            for last in range(first, min(first + _PARTS_OF_CODE, len(parts))):
                code = "".join(part[0] for part in parts[first : last + 1]).casefold()
                if len(code) >= _LEAST_OF_CODE and any(char.isdecimal() for char in code):
                    start, end = parts[first].start(), parts[last].end()
                    yield Phrase(run.start() + start, run.start() + end, ("code", code))


def lists(text: str, language: str) -> Iterator[Phrase]:
    """How many things stand in a row: `Miso & Tofu` are two, and `1 sofa, 2 chairs` are three."""
    for run in _LIST.finditer(text):
        yield Phrase.of(run, ("listed", len(regex.findall("[&+/]", run[0])) + 1))
    for run in _ITEMS.finditer(text):
        yield Phrase.of(run, ("things", run[0].count(";") + 1))
    for run in _COUNTS.finditer(text):
        if calendar_of(language).units.keys().isdisjoint(run.captures("what")):
            yield Phrase.of(run, ("things", sum(int(count) for count in run.captures("count"))))


def things(text: str, language: str) -> Iterator[Phrase]:
    """`three items`, whatever they are."""
    for found in _counted_things(language).finditer(text):
        number = found["n"]
        yield Phrase.of(found, ("things", int(number) if number.isdecimal() else value_of_numeral(number, language)))


@cache
def _counted_things(language: str) -> Any:
    words, numbers = one_of(calendar_of(language).things), one_of(numerals_of(language))
    pattern = rf"\b(?P<n>\d{{1,2}}|{numbers}) (?:\p{{Ll}}{{2,20}} )?(?:{words})\b"
    return regex.compile(pattern, regex.IGNORECASE)


def joined_numbers(text: str, language: str) -> Iterator[Phrase]:
    """The number of `v5.2`."""
    for found in _JOINED_NUMBER.finditer(text):
        yield Phrase.of(found, ("number", value_of(found[1], language)))


def short_ranges(text: str) -> Iterator[Phrase]:
    """The ends of `12-14`."""
    for found in _RANGE.finditer(text):
        first, last = int(found[1]), int(found[2])
        if first < last <= first + _MOST_OF_A_RANGE:
            yield Phrase.of(found, ("range", (Decimal(first), Decimal(last))))


def code_ranges(text: str) -> Iterator[Phrase]:
    """The ends of `F11-F14` and of `F11-14`, and what they are of."""
    for found in _CODE_RANGE.finditer(text):
        of = found["of"].casefold()
        yield from (Phrase.of(found, ("code", f"{of}{number}")) for number in found.captures("n"))
        yield Phrase.of(found, ("name", of))
