"""What an answer states against its notes although every part of it stands there.

A number goes with its measure (`three weeks` of 3 days), a label with what it is on (`desk D` of desk B, room 2), and a
time with its half of the day.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import regex

from tunegate.harness.text.calendar import calendar_of, numerals_of, value_of_numeral
from tunegate.harness.text.calendar_type import Said
from tunegate.harness.text.clock import HALF_DAY
from tunegate.harness.text.implied import Values
from tunegate.harness.text.patterns import Phrase, one_of

MEASURES = ("minutes", "months", "money", "percent")


def is_contrary(values: Values, known: Values) -> bool:
    """Whether notes, of which all is `known`, say something else of what a fact says."""
    return _is_of_another_measure(values, known) or _is_labelled(values, known) or _is_of_the_other_half(values, known)


def _is_of_another_measure(values: Values, known: Values) -> bool:
    """Whether notes have a number with another measure than a fact, and never alone."""
    numbers = values["number"]
    has_measure = any(values[kind] for kind in MEASURES)
    stands = any(values[kind] & known[kind] for kind in set(values) - {"number"})
    return has_measure and not stands and bool(numbers & known["with_measure"]) and numbers.isdisjoint(known["alone"])


def _is_labelled(values: Values, known: Values) -> bool:
    """Whether notes give what bears a label other labels only."""
    labelled = {what for what, _ in known["label"]}
    return any(what in labelled and (what, label) not in known["label"] for what, label in values["label"])


def _is_of_the_other_half(values: Values, known: Values) -> bool:
    """Whether notes have a time in the other half of the day only."""
    others = {(time + HALF_DAY) % (2 * HALF_DAY) for time in values["at"]}
    return values["at"].isdisjoint(known["at"]) and not others.isdisjoint(known["at"])


def how_numbers_stand(says: tuple[Said, ...]) -> Iterator[Said]:
    """The numbers that a fact says, with a measure or without one."""
    kind = "with_measure" if any(kind in MEASURES for kind, _ in says) else "alone"
    yield from ((kind, value) for of, value in says if of == "number")


def labels(text: str, language: str, *, sure: bool) -> Iterator[Phrase]:
    """`desk B`, and what is not `sure`, `room 2 or 4`: each label with what bears it."""
    pattern = _pattern(language)
    for found in pattern.finditer(text) if pattern else ():
        for start, end in found.spans("label")[: 1 if sure else None]:
            seen, what = text[start:end], found["what"].casefold()
            if len(seen) == 1 and seen.isalpha():
                said: Sequence[Said] = (("label", (what, seen.casefold())), ("name", seen.casefold()))
                yield from (Phrase(start, end, each, is_sure=True) for each in said)
            else:
                number = int(seen) if seen.isdecimal() else value_of_numeral(seen, language)
                yield Phrase(start, end, ("label", (what, number)))


@cache
def _pattern(language: str) -> Any:
    own = calendar_of(language)
    if not own.labels:
        return None
    numbers = one_of(word for word in numerals_of(language) if word not in own.articles)
    ends = r"(?![\w'’]|[.,:/\N{EN DASH}-]\d|-\p{L}| ?[%€]|[£$])"
    label = rf"(?P<label>\d{{1,4}}|(?!I)\p{{Lu}}|(?i:{numbers})){ends}"
    more = rf"(?:(?: ?[/&+] ?| \p{{Ll}}{{1,3}} ){label}){{0,4}}"
    what, no_length = rf"(?P<what>(?i:{one_of(own.labels)}))", rf"(?! (?:{one_of(own.units)})(?!\w))"
    return regex.compile(rf"(?<![\w-]){what} {label}{more}{no_length}")
