"""Numbers and names in one format for all messages, tables and model cards."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

SHOWN = 3
DIGITS = 4
MOST_DIGITS = 8  # after the point: numbers that agree to so many are equal
SMALL = 1e-4  # below it, and above the significant digits, Python writes powers of ten


def points(value: float | None, signed: bool = True) -> str:
    """Return a share of the score as points: `+12.5`."""
    if value is None:
        return "-"
    return f"{round(100 * value, 1) + 0.0:{'+' if signed else ''}.1f}"  # + 0.0: never -0.0


def percent(value: float | None) -> str:
    """Return a share as a percentage: `97.5 %`."""
    return "-" if value is None else f"{100 * value:.1f} %"


def percents_apart(first: float, second: float) -> tuple[str, str]:
    """Return two shares as percentages, with the digits that tell them apart: `89.96 %` and `90.00 %`."""
    pairs = ((f"{100 * first:.{digits}f} %", f"{100 * second:.{digits}f} %") for digits in range(1, MOST_DIGITS))
    return next((pair for pair in pairs if pair[0] != pair[1]), (percent(first), percent(second)))


def certainty(error: float) -> str:
    """Return what is left beside an error as a percentage: `99.87 %`, with more digits where four would make it 100."""
    digits = max(DIGITS, -math.floor(math.log10(error))) if error > 0 else DIGITS
    return f"{100 - 100 * error:.{digits}g} %"


def ordinal(number: int) -> str:
    """Return a number as an ordinal: `7th`."""
    last = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{last}"


def quantity(number: int, name: str) -> str:
    """Return a number with its noun: `1 case`, `1,200 cases`."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """Return the first few names, and the number of further ones."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def level(value: float | None, kind: str) -> str:
    """Return a unit's mean score: a percentage for pass/fail, otherwise the plain number."""
    return percent(value) if value is None or kind == "pass/fail" else plain(value)


def change(value: float | None, kind: str, signed: bool = True, digits: int = DIGITS) -> str:
    """Return a difference of scores: points for pass/fail, otherwise the plain number."""
    if value is None or kind == "pass/fail":
        return points(value, signed)
    return f"{'+' if signed and value >= 0 else ''}{plain(value, digits)}"


def plain(value: float, digits: int = DIGITS) -> str:
    """Return a number with `digits` significant digits and no powers of ten, since the cost of a call is small."""
    if SMALL <= abs(value) < 10**digits - 0.5 or not value:
        return f"{value + 0.0:.{digits}g}"  # + 0.0: never -0
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{value:.{decimals}f}".rstrip("0") if decimals > 0 else f"{value:.0f}"


def difference(value: float | None, interval: Sequence[float] | None, kind: str) -> str:
    """Return a difference with its interval: `-2.0 [-6.1, +1.4]`, with three digits, the precision of an interval."""
    first, *bounds = (change(each, kind, digits=3) for each in (value, *(interval or ())))
    return f"{first} [{', '.join(bounds)}]" if bounds else first


def rates(now: Mapping[str, float], before: Mapping[str, float], reference: str, of: Mapping[str, int]) -> str:
    """Return a unit's rates with the reference's: `adherence 100.0 %, exact 81.7 % of 60 (baseline: 0.0 %, 0.0 %)`.

    `of` is the number of cases of each rate; it is printed once if all are equal.
    """
    alike = len(set(of.values())) == 1
    each = [f"{name} {percent(rate)}" + ("" if alike else f" of {of[name]}") for name, rate in now.items()]
    text = ", ".join(each) + (f" of {next(iter(of.values()))}" if alike else "")
    return f"{text} ({reference}: {', '.join(percent(before.get(name)) for name in now)})" if before else text
