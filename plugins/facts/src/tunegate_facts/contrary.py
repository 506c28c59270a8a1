"""What an answer states against its notes although every part of it stands there.

A number goes with its measure (`three weeks` of 3 days, `two days` of 2 May), a price with its unit (`£8 a day` of
£8/hour), a label with what it is on (`desk D` of desk B, room 2), a time with its minutes and its half of the day, and
where something comes from with where it goes (`Perth to Hull` of Hull to Perth).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cache
from typing import Any

import regex

from tunegate.harness.checks.text.phrases import one_of
from tunegate_facts.calendar import calendar_of, numerals_of, value_of_numeral
from tunegate_facts.calendar_type import Said
from tunegate_facts.clock import DAY, HALF_DAY
from tunegate_facts.patterns import COUNTED, MEASURES, Phrase, Values
from tunegate_facts.rates import is_of_another_unit

_LETTER = regex.compile(r"(?<![\w'’.-])(?!I)\p{Lu}(?![\w'’-]|\.\p{L})")


def is_contrary(values: Values, known: Values) -> bool:
    """Whether notes, of which all is `known`, say something else of what a fact says."""
    rules = (
        _is_of_another_measure, is_of_another_unit, _is_labelled, _is_of_the_other_half, _lacks_minutes, _is_backwards,
    )  # fmt: skip
    return any(rule(values, known) for rule in rules)


def _is_of_another_measure(values: Values, known: Values) -> bool:
    """Whether notes have a number with another measure than a fact, in a date or as an hour, and never alone."""
    if not any(values[kind] for kind in (*MEASURES, *COUNTED, "day")):
        return False
    alone, others, stands = known["alone"], known["with_measure"], set(values) - {"number"}
    if not values["day"]:
        others = others | known["in_date"]
    if any(length < DAY for length in values["minutes"]):
        alone = alone | known["hour"]  # `10 h` is a time, too
    else:
        others, stands = others | known["hour"], stands - {"time", "at"}
    if any(values[kind] & known[kind] for kind in stands):
        return False
    return bool(values["number"] & others) and values["number"].isdisjoint(alone)


def _is_labelled(values: Values, known: Values) -> bool:
    """Whether notes give what bears a label other labels only."""
    labelled, also = {what for what, _ in known["label"]}, known["letter"]
    others = {(what, label) for what, label in values["label"] if what in labelled and label not in also}
    return not others <= known["label"]


def _is_of_the_other_half(values: Values, known: Values) -> bool:
    """Whether notes have a time in the other half of the day only."""
    others = {(time + HALF_DAY) % (2 * HALF_DAY) for time in values["at"]}
    return values["at"].isdisjoint(known["at"]) and not others.isdisjoint(known["at"])


def _lacks_minutes(values: Values, known: Values) -> bool:
    """Whether notes have the hour of a time with other minutes only: `at eight` of 8:30."""
    if not values["full_hour"] or values["time"] & known["time"]:
        return False
    stands = known["alone"] | known["with_measure"] | known["in_date"]
    return bool(values["number"] & known["hour"]) and values["number"].isdisjoint(stands)


def _is_backwards(values: Values, known: Values) -> bool:
    """Whether notes have a way in the other direction only, and so has the rest of the answer."""
    others = {(end, start) for start, end in values["way"] - known["way"]}
    return bool(others & known["way"]) and known["claimed"].isdisjoint(("way", each) for each in others)


def how_numbers_stand(says: tuple[Said, ...]) -> Iterator[Said]:
    """The numbers that a fact says, with a measure, in a date or alone."""
    kinds = {kind for kind, _ in says}
    kind = "with_measure" if kinds.intersection([*MEASURES, *COUNTED]) else "in_date" if "day" in kinds else "alone"
    yield from ((kind, value) for of, value in says if of == "number")


def labels(text: str, language: str, *, sure: bool) -> Iterator[Phrase]:
    """`desk B`, and what is not `sure`, `room 2 or 4`: each label with what bears it."""
    for found in _pattern(language).finditer(text):
        for start, end in found.spans("label")[: 1 if sure else None]:
            seen, what = text[start:end], calendar_of(language).labels[found["what"].casefold()]
            if len(seen) == 1 and seen.isalpha():
                said: Sequence[Said] = (("label", (what, seen.casefold())), ("name", seen.casefold()))
                yield from (Phrase(start, end, each, is_sure=True) for each in said)
            else:
                number = int(seen) if seen.isdecimal() else value_of_numeral(seen, language)
                yield Phrase(start, end, ("label", (what, number)))
    yield from _ordinals(text, language)
    if not sure:
        yield from (Phrase.of(found, ("letter", found[0].casefold())) for found in _free_letters(text, language))


def ways(text: str, language: str) -> Iterator[Phrase]:
    """`Hull to Perth`, and in notes `Hull-Perth`: from where, and where to."""
    for found in _way_pattern(language).finditer(text):
        yield Phrase.of(found, ("way", (found["start"].casefold(), found["end"].casefold())))


def _ordinals(text: str, language: str) -> Iterator[Phrase]:
    """`the 2nd floor`, which is another than the first."""
    own = calendar_of(language)
    for found in _ordinal_pattern(language).finditer(text):
        order = found["order"].casefold()
        number = own.ordinals[order] if order in own.ordinals else int(regex.match(r"\d+", order)[0])
        said = (("label", (f"the {own.labels[found['what'].casefold()]}", number)), ("number", Decimal(number)))
        yield from (Phrase(found.start("order"), found.end("order"), each, is_sure=True) for each in said)


def _free_letters(text: str, language: str) -> Iterator[Any]:
    """Letters in notes that stand on nothing, as in `use F`."""
    taken = {place for found in _pattern(language).finditer(text) for place in found.starts("label")}
    yield from (found for found in _LETTER.finditer(text) if found.start() not in taken)


@cache
def _way_pattern(language: str) -> Any:
    place = r"\p{Lu}[\p{L}'’]{1,30}"
    to = "".join(f"| {word} " for word in calendar_of(language).to)
    return regex.compile(rf"(?<![\w-])(?P<start>{place})(?: ?(?:->|[-→\N{{EN DASH}}>]) ?{to})(?P<end>{place})(?![\w-])")


@cache
def _ordinal_pattern(language: str) -> Any:
    own = calendar_of(language)
    order = rf"(?P<order>\d{{1,2}}(?:st|nd|rd|th|er|re|e|ème|\.?[ºªoa]|\.)|{one_of(own.ordinals)})"
    return regex.compile(rf"(?<![\w.,-]){order} (?P<what>{one_of(own.labels)})(?!\w)", regex.IGNORECASE)


@cache
def _pattern(language: str) -> Any:
    own = calendar_of(language)
    numbers = one_of(word for word in numerals_of(language) if word not in own.articles)
    ends = r"(?![\w'’]|[.,:/\N{EN DASH}-]\d|-\p{L}| ?[%€]|[£$])"
    label = rf"(?P<label>\d{{1,4}}|(?!I)\p{{Lu}}|(?i:{numbers})){ends}"
    more = rf"(?:(?: ?[/&+] ?| \p{{Ll}}{{1,3}} ){label}){{0,4}}"
    what, no_length = rf"(?P<what>(?i:{one_of(own.labels)}))", rf"(?! (?:{one_of(own.units)})(?!\w))"
    return regex.compile(rf"(?<![\w-]){what} {label}{more}{no_length}")
