"""Compare values that can be written in several ways: numbers with a tolerance, dates, quantities, texts."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any, Literal

from tunegate.harness.checks.text.months import MONTHS
from tunegate.harness.core.extras import need

Meaning = Literal["date", "quantity", "text"]
MOST = 60  # characters of a text that is parsed as a date or a quantity
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th|er|º|\.)?"
_MONTH = r"(?P<month>[^\W\d_]{3,12})\.?"
_WRITTEN = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_DAY}\s+(?:(?:of|de)\s+)?{_MONTH},?\s+(?:del?\s+)?(?P<year>\d{{4}})",
        rf"{_MONTH}\s+{_DAY},?\s+(?P<year>\d{{4}})",
    )
)
# what changes a number is no punctuation: 1.5 is not 15, nor is -5 what 5 is
_IN_NUMBER = re.compile(r"(?<=\d)[.,](?=\d)|(?<![^\W_])-(?=\d)")
_NUMERIC = re.compile(r"(\d{1,2})([./])(\d{1,2})\2(\d{4})")
# one single-digit power per unit: pint would evaluate m^9^9^9 as a tower and never return
_WORD = r"(?!\w*(?:squared?|sq|cubic|cubed)\b)(?:[^\W\d_⁰¹²³⁴-⁹]|[°%])+"
_UNIT = rf"(?:(?:square|sq|cubic) +{_WORD}|{_WORD}(?: +squared| +cubed| *\^[1-9]| *[¹²³⁴-⁹])?)"
_UNITS = rf"{_UNIT}(?:(?: *[/·*] *| +){_UNIT})*"
_QUANTITY = re.compile(rf"([+-]?\d{{1,30}}(?:\.\d{{1,30}})?)\s*({_UNITS})?")


def read_date(value: Any) -> date | datetime | None:
    """Parse a date or a moment: ISO 8601, with the month's name, or in unambiguous digits.

    None if it is not a date: `03/04/2026` is April 3 to some readers, and March 4 to others.
    """
    if not isinstance(value, str) or len(value) > MOST:
        return None
    text = value.strip()
    with suppress(ValueError, OverflowError):
        return _iso(text)
    found = next((match for pattern in _WRITTEN if (match := pattern.fullmatch(text))), None)
    if found and (month := _month(found["month"].casefold())):
        return _date(found["year"], month, found["day"])
    numeric = _NUMERIC.fullmatch(text)
    if not numeric:
        return None
    first, sign, second, year = numeric.groups()
    readings = {_date(year, second, first), *([_date(year, first, second)] if sign == "/" else [])} - {None}
    return readings.pop() if len(readings) == 1 else None


def _iso(text: str) -> date | datetime:
    if len(text) <= len("2026-03-01"):
        return date.fromisoformat(text)
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment


def _date(year: str, month: str | int, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _month(written: str) -> int | None:
    return next((number for name, number in _months().items() if fnmatchcase(written, name)), None)


@functools.cache
def _months() -> Mapping[str, int]:
    """The names and abbreviations of the months in every supported language; `*` stands for any ending."""
    found: dict[str, set[int]] = {}
    for months in MONTHS.values():
        for number, names in enumerate(months, 1):
            for name in names.split("|"):
                found.setdefault(name, set()).add(number)
    return {name: numbers.pop() for name, numbers in found.items() if len(numbers) == 1}


@functools.lru_cache(maxsize=4096, typed=True)  # unordered lists compare every pair of items
def read_quantity(value: Any) -> Any:
    """Parse a number with a unit as a pint quantity; None if it is not one.

    Raises:
        CouldNotRun: pint is not installed.
    """
    units = unit_registry()
    if _is_number(value):
        return units.Quantity(_exact(value), "")
    found = _QUANTITY.fullmatch(value.strip()) if isinstance(value, str) and len(value) <= MOST else None
    if not found:
        return None
    try:
        return units.Quantity(Fraction(found[1]), units.parse_units(found[2] or ""))
    except Exception:  # pint can raise anything for an unknown unit
        return None


@functools.cache
def unit_registry() -> Any:
    """The known units, with exact numbers.

    Raises:
        CouldNotRun: pint is not installed.
    """
    return need("pint").UnitRegistry(non_int_type=Fraction)


def text_without_marks(text: str) -> str:
    """A text without case, spaces and punctuation, but for the signs and points of numbers; itself if nothing is left.

    `Hill St.` is `hill st`, while `1.5` is not `15`, and `C++` is not `C`: symbols stay.
    """
    composed = unicodedata.normalize("NFKC", text).replace("\N{MINUS SIGN}", "-")
    kept = {found.start() for found in _IN_NUMBER.finditer(composed)}
    letters = (each for at, each in enumerate(composed) if at in kept or not _is_between(each))
    return "".join(letters).casefold() or text


def _is_between(character: str) -> bool:
    return character in "^`" or unicodedata.category(character)[0] in "PZC"


def same_value(expected: Any, found: Any, meaning: Meaning | None, tolerance: float | str) -> bool:
    """Whether two JSON values mean the same, or differ by at most `tolerance`.

    The tolerance is a number, or a share of the expected value, such as `1%`; 0 allows no difference.
    """
    if meaning == "date":
        one, other = read_date(expected), read_date(found)
        return one is not None and type(one) is type(other) and one == other
    if meaning == "quantity":
        return _same_quantity(read_quantity(expected), read_quantity(found), tolerance)
    if meaning == "text":
        return (
            isinstance(expected, str)
            and isinstance(found, str)
            and text_without_marks(expected) == text_without_marks(found)
        )
    if not (_is_number(expected) and _is_number(found)):
        return False
    return _within(_exact(expected), _exact(found), tolerance)


def _same_quantity(expected: Any, found: Any, tolerance: float | str) -> bool:
    if expected is None or found is None or not expected.is_compatible_with(found):
        return False
    try:
        return _within(Fraction(expected.magnitude), Fraction(found.to(expected.units).magnitude), tolerance)
    except Exception:  # an offset unit such as °C cannot be converted here
        return False


def _within(expected: Fraction, found: Fraction, tolerance: float | str) -> bool:
    share = isinstance(tolerance, str)
    allowed = Fraction(str(tolerance).rstrip("% "))
    return abs(expected - found) <= (abs(expected) * allowed / 100 if share else allowed)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _exact(value: float) -> Fraction:
    """The number as written: 0.1 is a tenth."""
    return Fraction(str(value)) if isinstance(value, float) else Fraction(value)
