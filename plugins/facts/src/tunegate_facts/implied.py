"""What follows from what notes state, where an answer shows what it follows from.

A sum, a share or the last day of a stay is no invention; yet of a few numbers any other can be made. So what is worked
out counts only from what the notes have and the answer repeats: "four hours at £22 makes £88".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from datetime import date, timedelta
from decimal import Decimal
from itertools import combinations, permutations, product
from typing import Any

from tunegate_facts.calendar_type import Day, Said
from tunegate_facts.clock import DAY, HALF_DAY
from tunegate_facts.patterns import MEASURES, Values, by_kind
from tunegate_facts.rates import products

_FEW = 20  # of a kind; of more, nearly anything can be made
_MOST_TIMES = 4  # in notes, for a length between two
_MOST_AMOUNTS = 3  # in notes whose sum may stand without its parts
_LEAST_OF_AMOUNT = 32  # of an amount without its currency; what is less may be a day or a count
_HALF_A_PENNY = Decimal("0.005")
_ANY_YEARS = (2023, 2024)  # a common year and a leap year, as notes mostly leave the year out
_FIRST_YEAR, _LAST_YEAR = 1900, 2100
_SAME_WORD = 4  # letters that two forms of a word begin with


def follows(says: Iterable[Said], counts: str, shown: Values, known: Values) -> bool:
    """Whether one reading of a fact, which `counts` what that word says, follows.

    `known` is what the notes state, `shown` what of it the answer states, too.
    """
    values = by_kind(says)
    rules: Mapping[str, Callable[[Any], bool]] = {
        "money": lambda amount: _is_amount(amount[0], amount[1], shown, known),
        "time": lambda time: time in _times(shown, known),
        "minutes": lambda length: length in _lengths(shown, known),
        "months": lambda length: length in _repeated("months", shown, known),
        "weekday": lambda day: day in _weekdays(shown, known),
        "dated": lambda dated: _is_dated(dated[0], dated[1], known),
        "month": lambda month: month in _months(shown, known),
        "number": lambda number: _is_number(number, values, counts, shown, known),
    }
    return any(rule(value) for kind, rule in rules.items() for value in values[kind])


def _is_number(number: Decimal, values: Values, counts: str, shown: Values, known: Values) -> bool:
    """Whether a number is a price without its currency, the day of a month, or a count of what notes list."""
    if number.as_tuple().exponent == -2 and not values["money"]:
        return _is_amount(None, number, shown, known)
    if _is_left(number, values, shown, known):
        return True
    if any(values[kind] for kind in MEASURES):
        return False
    is_time = values["time"] and not values["day"]
    if not is_time and _is_inside(number, shown, known):
        return True
    is_day = not is_time and any(number == day for _, day in _days(shown, known))
    is_count = not values["day"] and _is_count(number, counts, known)
    return is_day or is_count or _is_year(number, shown, known)


def _is_amount(currency: str | None, value: Decimal, shown: Values, known: Values) -> bool:
    """Whether an amount is the sum, the difference, a multiple or a share of those that the answer shows."""
    every = {each for of, each in known["money"] if currency in (None, of)}
    amounts, prices = every & shown["number"], {each for of, each in known["price"] if currency in (None, of)}
    counts = set(_counts(shown))
    if max(len(amounts), len(counts)) > _FEW:
        return False
    made = {each for amount in amounts for count in counts for each in (amount * count, amount / count)}
    made |= {price * count for price in prices for count in counts} | set(products(currency, known))
    for amount in amounts:
        parts = {amount * percent / 100 for percent in known["percent"]}
        made |= {each for part in parts for each in (part, amount - part, amount + part)}
    made |= set(_sums(amounts))
    if 2 <= len(every) <= _MOST_AMOUNTS:
        made |= set(_totals(every, amounts, every & {each for _, each in known["each"]}, counts))
        made |= {one * count - other for one, other in permutations(amounts, 2) for count in counts}  # what is saved
    return any(abs(each - value) < _HALF_A_PENNY for each in made)


def _totals(every: Set[Decimal], shown: Set[Decimal], each: Set[Decimal], counts: Set[Any]) -> Iterator[Decimal]:
    """Few amounts together, shown or not, or one that is shown with another; so many of what has a price for each.

    The first of these may have a price of its own.
    """
    yield from (amount + other for amount in shown - each for other in every - each - {amount})
    total = sum(every, Decimal(0))
    yield from (first + price * (count - 1) for first in shown - each for price in each & shown for count in counts)
    yield from (total + price * (count - 1) for price in each for count in counts)
    if not each:
        yield total


def _is_left(number: Decimal, values: Values, shown: Values, known: Values) -> bool:
    """Whether a number without a currency is what amounts make together that the answer shows."""
    amounts = {amount for _, amount in known["money"]} & shown["number"]
    is_alone = not any(kind != "number" and of for kind, of in values.items()) and number >= _LEAST_OF_AMOUNT
    return is_alone and len(amounts) <= _FEW and number in _sums(amounts)


def _sums(amounts: Set[Decimal]) -> Iterator[Decimal]:
    """All amounts together, and of two, or of three among a few, what is left of some by the others."""
    if len(amounts) > 1:
        yield sum(amounts, Decimal(0))
    for number in (2, 3) if len(amounts) <= _MOST_AMOUNTS + 1 else (2,):
        for few in combinations(amounts, number):
            for signs in product((1, -1), repeat=number - 1):
                yield abs(few[0] + sum((sign * each for sign, each in zip(signs, few[1:], strict=True)), Decimal(0)))


def _counts(shown: Values) -> Iterator[Any]:
    """The numbers of things, and of hours, days, weeks and months, that an answer shows."""
    numbers = [*shown["number"], *shown["months"]]
    numbers += [length / Decimal(unit) for length in shown["minutes"] for unit in (60, DAY, 7 * DAY)]
    yield from (number for number in numbers if number > 1 and number == int(number))


def _is_count(number: Decimal, counts: str, known: Values) -> bool:
    """Whether notes list as many days or things, and do not say themselves how many of these there are."""
    days = {frozenset(day) for day in known["day"]}  # 1/10 once
    if not counts or number < 2 or number not in {len(known["weekday"]), len(days), *known["listed"]}:
        return False
    return not any(word.startswith(counts[:_SAME_WORD]) for word in known["name"])


def _is_inside(number: Decimal, shown: Values, known: Values) -> bool:
    """Whether a number is between the ends of a range in the notes that the answer shows."""
    return any(ends[0] < number < ends[1] and shown["number"].issuperset(ends) for ends in known["range"])


def _times(shown: Values, known: Values) -> set[Any]:
    """When something ends that begins at a time that is shown, or begins that ends then."""
    lengths = [length for length in known["minutes"] if length < HALF_DAY]
    ends = shown["time"] & known["clock"]  # of which a bare number is none
    return {(time + sign * length) % HALF_DAY for time in ends for length in lengths for sign in (1, -1)}


def _lengths(shown: Values, known: Values) -> set[Any]:
    """How long it is from one time to another, and from one day to another that the answer shows, too."""
    found = _repeated("minutes", shown, known) | known["lasts"]
    if len(known["clock"]) <= _MOST_TIMES:
        found |= {(end - start) % HALF_DAY for start, end in permutations(known["clock"], 2)}
    if len(known["day"]) <= _MOST_TIMES:
        found |= {by * DAY for start, end in permutations(shown["day"], 2) for by in _between(start, end) if by > 0}
    return found


def _repeated(kind: str, shown: Values, known: Values) -> set[Any]:
    """A length with so many times another, all of which the answer shows."""
    lengths, times = shown[kind] & known[kind], shown["number"] & known["times"]
    if len(lengths) > _FEW:
        return set()
    return {first + number * more for first, more in product(lengths, repeat=2) for number in times}


def _weekdays(shown: Values, known: Values) -> set[int]:
    """The weekday so many days after or before one that is shown, or tomorrow."""
    moves = [(day, by) for day in shown["weekday"] for by in _in_days(shown)]
    if len(known["weekday"]) == 1:
        moves += [(day, by) for day in known["weekday"] for by in known["in_days"]]
        moves += [(day, by) for day in shown["weekday"] for by in known["apart"]]
    return {_later(day, by) for day, by in moves}


def _is_dated(weekday: int, day: Day, known: Values) -> bool:
    """Whether a date is that weekday, as the weekday of another date has it."""
    if day not in known["day"] or any(day == dated for _, dated in known["dated"]):
        return False
    return any(weekday == _later(first, by) for first, dated in known["dated"] for by in _between(dated, day))


def _later(weekday: int, days: int) -> int:
    return (weekday - 1 + days) % 7 + 1


def _days(shown: Values, known: Values) -> set[Day]:
    """The days that come so many days after or before one that is shown, or tomorrow."""
    moves = [(day, by) for day in known["day"] if day[1] in shown["number"] for by in _in_days(shown)]
    if len(moves) > _FEW:
        return set()
    if len(known["day"]) == 1:
        moves += [(day, by) for day in known["day"] for by in known["in_days"]]
        moves += [(day, by) for day in known["day"] if day[1] in shown["number"] for by in known["apart"]]
    return {
        (moved.month, moved.day)
        for day, by in moves
        for start in _dates(day, _ANY_YEARS)
        for moved in [start + timedelta(days=by)]
    }


def _months(shown: Values, known: Values) -> set[int]:
    """The month of such a day, and so many months after or before one that is shown."""
    moves = [(month, sign * int(by)) for month in shown["month"] for by in shown["months"] for sign in (1, -1)]
    found = {month for month, _ in _days(shown, known)} | {(month - 1 + by) % 12 + 1 for month, by in moves}
    return found | set(_inside(shown["month"]) if shown["month"] == known["month"] else ())


def _inside(months: Set[int]) -> Iterator[int]:
    """The months between two, by the shorter way."""
    for start, end in permutations(months, 2) if len(months) == 2 else ():
        if (end - start) % 12 < 6:
            yield from ((start - 1 + by) % 12 + 1 for by in range(1, (end - start) % 12))


def _is_year(number: Decimal, shown: Values, known: Values) -> bool:
    """Whether a year comes so many years after or before one that the notes have."""
    if not _FIRST_YEAR <= number <= _LAST_YEAR:
        return False
    lengths = {months // 12 for months in shown["months"] if months % 12 == 0}
    others = {number + sign * length for length in lengths for sign in (1, -1)}
    return any(_FIRST_YEAR <= each <= _LAST_YEAR for each in others & known["number"])


def _in_days(shown: Values) -> Iterator[int]:
    whole = [int(length // DAY) for length in shown["minutes"] if length % DAY == 0 and length <= 366 * DAY]
    yield from (sign * days for days in whole for sign in (1, -1))


def _between(one: Day, other: Day) -> Iterator[int]:
    """How many days lie between two, whatever year it is; the nearer of the others."""
    for start in _dates(one, _ANY_YEARS):
        years = (start.year - 1, start.year, start.year + 1)
        yield from sorted(((end - start).days for end in _dates(other, years)), key=abs)[:1]


def _dates(day: Day, years: Iterable[int]) -> Iterator[date]:
    for year in years:
        try:
            yield date(year, *day)
        except ValueError:  # 29 February
            continue
