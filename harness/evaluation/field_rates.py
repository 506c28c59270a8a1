"""The fields of JSON answers in numbers: how many cases have each right, and which values were taken for which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunegate.harness.checks.base import FieldCount

Taken = tuple[str, str, int]  # a value that was expected, the one it was taken for, and how often


@dataclass(frozen=True, slots=True)
class FieldRate:
    """One field of a unit: of `n` answers that have it, or should, in how many it is right.

    Of its values `hits` are right, of those `expected` and of those `answered`. `taken` is its table of confusions,
    the most frequent first, where it has a closed set of values.
    """

    n: int
    right: int
    hits: int
    expected: int
    answered: int
    taken: tuple[Taken, ...] = ()

    @property
    def rate(self) -> float:
        """The share of the answers in which it is right."""
        return self.right / self.n

    @property
    def precision(self) -> float | None:
        """The share of its answered values that are right; None where there are none."""
        return self.hits / self.answered if self.answered else None

    @property
    def recall(self) -> float | None:
        """The share of its expected values that were answered right; None where there are none."""
        return self.hits / self.expected if self.expected else None

    def as_dict(self) -> dict[str, Any]:
        """As it stands in a record."""
        counts = {name: getattr(self, name) for name in ("n", "right", "hits", "expected", "answered")}
        return counts | ({"taken": [list(each) for each in self.taken]} if self.taken else {})


def field_rates(answers: Iterable[Mapping[str, FieldCount]]) -> dict[str, FieldRate]:
    """Every field of the answers of a unit, by name."""
    by_name: dict[str, list[FieldCount]] = {}
    for answer in answers:
        for name, count in answer.items():
            by_name.setdefault(name, []).append(count)
    return {name: _rate(by_name[name]) for name in sorted(by_name)}


def _rate(counts: Sequence[FieldCount]) -> FieldRate:
    pairs = Counter(pair for each in counts for pair in each.taken)
    taken = sorted(((*pair, times) for pair, times in pairs.items()), key=lambda each: (-each[2], each))
    return FieldRate(
        len(counts), sum(each.is_right for each in counts), sum(each.right for each in counts),
        sum(each.expected for each in counts), sum(each.answered for each in counts), tuple(taken),
    )  # fmt: skip


def plain_count(count: FieldCount) -> list[Any]:
    """What a field of one answer came to, as it stands in a record: right, expected, answered, confusions."""
    return [count.right, count.expected, count.answered, *map(list, count.taken)]


def read_count(raw: Sequence[Any]) -> FieldCount:
    """The same from its JSON form."""
    right, expected, answered, *taken = raw
    return FieldCount(right, expected, answered, tuple((wanted, found) for wanted, found in taken))


def read_rate(raw: Mapping[str, Any]) -> FieldRate:
    """The numbers of a field from their JSON form."""
    taken = tuple((wanted, found, times) for wanted, found, times in raw.get("taken", ()))
    return FieldRate(raw["n"], raw["right"], raw["hits"], raw["expected"], raw["answered"], taken)
