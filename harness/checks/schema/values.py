"""Values that are the same however they are written: numbers within a tolerance, dates, quantities with a unit."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any, Literal

from tunegate.harness.core.extras import need
from tunegate.harness.text.months import MONTHS

Meaning = Literal["date", "quantity"]
MOST = 60  # characters of a text that is read as a date or a quantity
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th|\.)?"
_MONTH = r"(?P<month>[^\W\d_]{3,12})\.?"
_WRITTEN = tuple(
    re.compile(pattern)
    for pattern in (rf"{_DAY}\s+(?:of\s+)?{_MONTH},?\s+(?P<year>\d{{4}})", rf"{_MONTH}\s+{_DAY},?\s+(?P<year>\d{{4}})")
)
_NUMERIC = re.compile(r"(\d{1,2})([./])(\d{1,2})\2(\d{4})")
# one power of one digit a unit: pint would read m^9^9^9 as a tower, and never come back
_WORD = r"(?!\w*(?:squared?|sq|cubic|cubed)\b)(?:[^\W\d_⁰¹²³⁴-⁹]|[°%])+"
_UNIT = rf"(?:(?:square|sq|cubic) +{_WORD}|{_WORD}(?: +squared| +cubed| *\^[1-9]| *[¹²³⁴-⁹])?)"
_UNITS = rf"{_UNIT}(?:(?: *[/·*] *| +){_UNIT})*"
_QUANTITY = re.compile(rf"([+-]?\d{{1,30}}(?:\.\d{{1,30}})?)\s*({_UNITS})?")


def read_date(value: Any) -> date | datetime | None:
    """A date, or a moment, as ISO 8601, with the month's name, or in digits that can be read in one way only.

    None where it is none: `03/04/2026` is the third of April to some, and the fourth of March to others.
    """
    if not isinstance(value, str) or len(value) > MOST:
        return None
    text = value.strip()
    with suppress(ValueError, OverflowError):
        return _iso(text)
    found = next((match for pattern in _WRITTEN if (match := pattern.fullmatch(text))), None)
    if found and (month := _months().get(found["month"].casefold())):
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


@functools.cache
def _months() -> Mapping[str, int]:
    """The names of months in every language that has them, and their abbreviations."""
    found: dict[str, set[int]] = {}
    for months in MONTHS.values():
        for number, names in enumerate(months, 1):
            for name in names.split("|"):
                found.setdefault(name.rstrip("*"), set()).add(number)
    return {name: numbers.pop() for name, numbers in found.items() if len(numbers) == 1}


@functools.lru_cache(maxsize=4096, typed=True)  # each item of a list may be held against each other one
def read_quantity(value: Any) -> Any:
    """A number with its unit, as a quantity of pint's; None where it is none.

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
    except Exception:  # whatever pint makes of a unit that nobody knows
        return None


@functools.cache
def unit_registry() -> Any:
    """The units that are known, with exact numbers.

    Raises:
        CouldNotRun: pint is not installed.
    """
    return need("pint").UnitRegistry(non_int_type=Fraction)


def same_value(expected: Any, found: Any, meaning: Meaning | None, tolerance: float | str) -> bool:
    """Whether two JSON values that are written differently mean the same, or lie within a `tolerance`.

    That is a number, or a share of what is expected, such as `1%`; 0 allows nothing.
    """
    if meaning == "date":
        one, other = read_date(expected), read_date(found)
        return one is not None and type(one) is type(other) and one == other
    if meaning == "quantity":
        return _same_quantity(read_quantity(expected), read_quantity(found), tolerance)
    if not (_is_number(expected) and _is_number(found)):
        return False
    return _within(_exact(expected), _exact(found), tolerance)


def _same_quantity(expected: Any, found: Any, tolerance: float | str) -> bool:
    if expected is None or found is None or not expected.is_compatible_with(found):
        return False
    try:
        return _within(Fraction(expected.magnitude), Fraction(found.to(expected.units).magnitude), tolerance)
    except Exception:  # a unit with an offset of its own, such as °C, that cannot be converted here
        return False


def _within(expected: Fraction, found: Fraction, tolerance: float | str) -> bool:
    share = isinstance(tolerance, str)
    allowed = Fraction(str(tolerance).rstrip("% "))
    return abs(expected - found) <= (abs(expected) * allowed / 100 if share else allowed)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _exact(value: float) -> Fraction:
    """The number that was written: 0.1 is a tenth."""
    return Fraction(str(value)) if isinstance(value, float) else Fraction(value)
