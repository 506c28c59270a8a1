"""What patterns find in a text: phrases that say something; and the pieces that such patterns are made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import regex

from tunegate.harness.checks.text.characters import plain_signs
from tunegate_facts.calendar import calendar_of
from tunegate_facts.calendar_type import Said

_GROUPED = r"(?<!\d |[\d.,])[1-9]\d{0,2}(?:[ \u00a0\u202f]\d{3}){1,4}(?:,\d{1,2})?(?![\d.,]| \d)"
DIGITS = r"\d{1,40}(?:[.,']\d{1,40}){0,12}"
_FRACTION = regex.compile(r"(?:(\d{1,2}) ?)?(\d)[/\N{FRACTION SLASH}]([2-9])")


MEASURES = (
    "minutes", "months", "money", "percent", "millimetres", "grams", "millilitres", "inches", "ounces", "pints"
)  # fmt: skip
COUNTED = ("people", "rooms")
Values = defaultdict[str, set[Any]]


def by_kind(said: Iterable[Said]) -> Values:
    """What is said of each kind."""
    found = Values(set)
    for kind, value in said:
        found[kind].add(value)
    return found


@dataclass(frozen=True)
class Phrase:
    """Some words of a text, what they say together, and whether they can say nothing else."""

    start: int
    end: int
    said: Said
    is_sure: bool = False

    @classmethod
    def of(cls, found: Any, said: Said, *, is_sure: bool = False) -> Phrase:
        """What a match says."""
        return cls(found.start(), found.end(), said, is_sure)


def in_small_letters(text: str) -> str:
    """The text in lower case and with plain signs, character by character."""
    return plain_signs("".join(small if len(small := char.lower()) == 1 else char for char in text))


def whole_words(pattern: str) -> Any:
    """A pattern at the edges of words and of numbers."""
    return regex.compile(rf"(?<![\w.,:/])(?:{pattern})(?!\w|[.:,/]\d)")


def grouped_digits(language: str) -> str | None:
    """A pattern of digits in groups: `1 450,00`; None where the comma is no decimal mark."""
    return _GROUPED if calendar_of(language).decimal == "," else None


def value_of(seen: str, language: str) -> Decimal:
    """The value of digits: where a mark stands more than once, or before three digits, it groups them.

    `1 1/2` is one and a half, and so is the same in a single character.
    """
    if fraction := _FRACTION.fullmatch(seen):
        return int(fraction[1] or 0) + Decimal(fraction[2]) / Decimal(fraction[3])
    own = calendar_of(language).decimal
    other = "," if own == "." else "."
    plain = regex.sub(r"[' \u00a0\u202f]", "", seen)
    if regex.fullmatch(rf"\d{{1,3}}(?:{regex.escape(other)}\d{{3}})+(?:{regex.escape(own)}\d+)?", plain):
        plain = plain.replace(other, "")
    whole, *rest = regex.split(r"[.,]", plain)
    return Decimal(f"{whole}.{rest[0]}" if len(rest) == 1 else "".join([whole, *rest]))
