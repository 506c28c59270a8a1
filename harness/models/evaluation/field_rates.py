"""The fields of JSON outputs in numbers: how many cases have each right, and which values were confused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tunegate.harness.checks.base import FieldCount
from tunegate.harness.core.typed import OPTIONAL, Count, Number

Taken = tuple[str, str, Number]  # the expected value, the value found, and how often


@dataclass(frozen=True, slots=True)
class FieldRate:
    """One field of a unit.

    Attributes:
        n: outputs of cases that expect the field; in `right` of them it is right.
        hits: right values, of the values `expected` and of those `answered`.
        taken: the confusions of a field with a closed set of values, most frequent first.
        invented: outputs that have the field, of the `others` of cases that do not expect it; both are 0 if none has.
    """

    n: Count
    right: Count
    hits: Count
    expected: Count
    answered: Count
    taken: tuple[Taken, ...] = field(default=(), metadata=OPTIONAL)
    invented: Count = field(default=0, metadata=OPTIONAL)
    others: Count = field(default=0, metadata=OPTIONAL)

    @property
    def rate(self) -> float | None:
        """The share of outputs in which it is right; None if no case expects it."""
        return self.right / self.n if self.n else None

    @property
    def left_out(self) -> float | None:
        """The share of the other outputs that rightly lack it; None if all do."""
        return 1 - self.invented / self.others if self.invented else None

    @property
    def precision(self) -> float | None:
        """The share of output values that are right; None if there are none."""
        return self.hits / self.answered if self.answered else None

    @property
    def recall(self) -> float | None:
        """The share of expected values that were output; None if there are none."""
        return self.hits / self.expected if self.expected else None


def field_rates(
    outputs: Sequence[Mapping[str, FieldCount]], is_expected: Callable[[int, str], bool]
) -> dict[str, FieldRate]:
    """Return every field of a unit's outputs, by name.

    `is_expected` says whether the output at a place is expected to have a field.
    """
    names = sorted({name for output in outputs for name in output})
    return {name: _rate(name, outputs, is_expected) for name in names}


def _rate(name: str, outputs: Sequence[Mapping[str, FieldCount]], is_expected: Callable[[int, str], bool]) -> FieldRate:
    counts = [output[name] for output in outputs if name in output]
    due = [place for place in range(len(outputs)) if is_expected(place, name)]
    # an output without an expected field chose an alternative without it and is right, otherwise it would be missing
    right = sum(name not in outputs[place] or outputs[place][name].is_right for place in due)
    invented = len(counts) - sum(name in outputs[place] for place in due)
    pairs = Counter(pair for each in counts for pair in each.taken)
    taken = sorted(((*pair, times) for pair, times in pairs.items()), key=lambda each: (-each[2], each))
    return FieldRate(
        len(due), right, sum(each.right for each in counts), sum(each.expected for each in counts),
        sum(each.answered for each in counts), tuple(taken), invented, len(outputs) - len(due) if invented else 0,
    )  # fmt: skip
