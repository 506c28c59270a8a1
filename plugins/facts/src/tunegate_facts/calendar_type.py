"""What the calendar of a language holds, and what its data are made with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Said = tuple[str, Any]  # the kind of a fact, and its value
Day = tuple[int, int]  # a month and a day of it


@dataclass(frozen=True)
class Calendar:
    """The words of one language; those of a calendar are whole names, and after a `|` what notes shorten them to.

    A name that ends in `*` stands for any ending. `unsure` are words that mostly mean something else, unless a capital
    inside a sentence says otherwise; `articles` are numbers that are mostly articles or pronouns; `adverbs` are numbers
    that are none at the end of a clause. `tens` and a smaller number are joined as `joins` says; `times` makes
    `zehnmal` of ten. `clock` are times of day, `{h}` an hour and `{m}` minutes: how many minutes from the hour, or with
    `{m}` 1 after it and -1 before it. `hours` are those that may as well be something else, and say what time they may
    be; `until` stands between two, `until_day` between days, `to` between two places.
    `units` are words of time and measure, of people and of rooms, and `spans` whole lengths of time. `parts` are what
    is added to `{n}` of a `{unit}`. `hundreds` are numbers of three digits, `{n}` how many hundreds and `{m}` what is
    added.

    `day_groups` are words for weekdays from a first to a last, `initials` the shortest forms of weekdays, `relative`
    days from today, `beside` days from one that is named; `before` and `after` are said of that one with a length of
    time, and `excepts` of weekdays that are left out. `halves` say from which hour a time counts its twelve.
    `holidays` fall on days of a month; what follows one of `wishes` is no name. `loose` says a number where notes have
    it, and `shares` a part of 100; `about` stands before a rounded amount, `money` are short words for currencies,
    `hundredths` words for a part of some, and `per` what comes after a price for each of something. `repeats` says how
    often something is done.
    After one of `labels`, each with its main form, a letter or a number tells one thing from others, and before it one
    of `ordinals`; `things` are whatever is listed. `shortened` are parts of names as notes have them, in full. After
    one of `titles`, perhaps shortened, and of `places` comes a name; and after one of `greetings`, what it greets and a
    comma, a sentence. `unlisted` are small words that the dictionary lacks, and `derived` turns those that are made
    of others into them. `name_endings` are patterns of what a name may end in beside itself, and `name_changes` how
    its stem changes before them.
    """

    weekdays: tuple[str, ...] = ()
    months: tuple[str, ...] = ()
    numbers: Mapping[str, int] = field(default_factory=dict)
    tens: Mapping[str, int] = field(default_factory=dict)
    joins: tuple[str, ...] = ()
    times: str = ""
    unsure: frozenset[str] = frozenset()
    articles: frozenset[str] = frozenset()
    adverbs: frozenset[str] = frozenset()
    clock: Mapping[str, int] = field(default_factory=dict)
    hours: Mapping[str, int] = field(default_factory=dict)
    until: frozenset[str] = frozenset()
    until_day: frozenset[str] = frozenset()
    to: frozenset[str] = frozenset()
    units: Mapping[str, Said] = field(default_factory=dict)
    spans: Mapping[str, Said] = field(default_factory=dict)
    parts: Mapping[str, Decimal] = field(default_factory=dict)
    hundreds: Mapping[str, int] = field(default_factory=dict)
    day_groups: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    initials: Mapping[str, int] = field(default_factory=dict)
    relative: Mapping[str, int] = field(default_factory=dict)
    beside: Mapping[str, int] = field(default_factory=dict)
    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()
    excepts: tuple[str, ...] = ()
    halves: Mapping[str, int] = field(default_factory=dict)
    about: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    ordinals: Mapping[str, int] = field(default_factory=dict)
    things: frozenset[str] = frozenset()
    money: Mapping[str, str] = field(default_factory=dict)
    hundredths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    per: Mapping[str, Said] = field(default_factory=dict)
    repeats: tuple[str, ...] = ()
    holidays: Mapping[str, tuple[Day, ...]] = field(default_factory=dict)
    wishes: frozenset[str] = frozenset()
    loose: Mapping[str, int] = field(default_factory=dict)
    shares: Mapping[str, int] = field(default_factory=dict)
    shortened: Mapping[str, str] = field(default_factory=dict)
    titles: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()
    greetings: frozenset[str] = frozenset()
    unlisted: frozenset[str] = frozenset()
    derived: tuple[tuple[str, str], ...] = ()
    name_endings: tuple[str, ...] = ()
    name_changes: tuple[tuple[str, str], ...] = ()
    decimal: str = ","


def word_set(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


def numbered(words: str, first: int = 1) -> dict[str, int]:
    """Words with their numbers in turn; `|` stands between those of the same."""
    return {word: number for number, each in enumerate(words.split(), first) for word in each.split("|")}


def tens(words: str, *values: int) -> dict[str, int]:
    """The words for twenty, thirty and so on, or for `values`."""
    return dict(zip(words.split(), values or range(20, 100, 10), strict=True))


_LENGTHS: tuple[Said, ...] = (
    ("minutes", 1), ("minutes", 60), ("minutes", 1440), ("minutes", 10080), ("months", 1), ("months", 12)
)  # fmt: skip


_MEASURES: tuple[Said, ...] = (
    ("millimetres", 1), ("millimetres", 10), ("millimetres", 1000), ("millimetres", 1_000_000),
    ("grams", 1), ("grams", 1000), ("millilitres", 1), ("millilitres", 10), ("millilitres", 1000),
)  # fmt: skip
_METRIC = "mm cm m km g kg ml cl l"


_IMPERIAL: tuple[Said, ...] = (
    ("inches", 1), ("inches", 12), ("inches", 36), ("inches", 63_360), ("ounces", 1), ("pints", 1), ("pints", 8)
)  # fmt: skip
_OTHERS: tuple[Said, ...] = (("people", 1), ("rooms", 1))


def units(time: str, measures: str, others: str, imperial: str = "") -> dict[str, Said]:
    """Words for a minute, an hour, a day, a week, a month and a year; for `_METRIC`; for a person and a room.

    `imperial` are an inch, a foot, a yard, a mile, an ounce, a pint and a gallon, `-` for none.
    """
    found: dict[str, Said] = {}
    groups = (
        (_MEASURES, _METRIC), (_MEASURES, measures), (_OTHERS, others), (_IMPERIAL, imperial or "-"), (_LENGTHS, time)
    )  # fmt: skip
    for what, of in groups:
        found |= {word: said for said, each in zip(what, of.split(), strict=False) for word in each.split("|")}
    found.pop("-", None)
    return found


def forms(text: str) -> dict[str, str]:
    """Each form of some words with the first of its word."""
    return {form: each.partition("|")[0] for each in text.split() for form in each.split("|")}


def parts(half: str, quarter: str = "", one_and_a_half: str = "") -> dict[str, Decimal]:
    """Templates, apart by ` / `, of what is more by a half, by a quarter and by one and a half."""
    values = ((half, "0.5"), (quarter, "0.25"), (one_and_a_half, "1.5"))
    return {template: Decimal(value) for group, value in values for template in group.split(" / ") if template}


def holidays(names: Mapping[str, str]) -> dict[str, tuple[Day, ...]]:
    """Days as `12-24 12-25`."""
    return {name: tuple((int(day[:2]), int(day[3:])) for day in days.split()) for name, days in names.items()}


CHRISTMAS = "12-24 12-25 12-26"
