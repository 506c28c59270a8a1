"""The parts of a unit's pass rule: each rate and each field beside the reference's, and what was taken for what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import percent
from tunegate.harness.evaluation.field_rates import FieldRate, Taken
from tunegate.harness.evaluation.record import Summary

SHOWN_FIELDS = 6  # a unit on a terminal, those that are right least often
SHOWN_TAKEN = 2  # confusions of a field


@dataclass(frozen=True, slots=True)
class PartReport:
    """A part of a pass rule: of `n` cases, the share that meets it now and, where it was compared, before.

    It has a `margin` where it is gated, and blocks where it `fell`. A field has the precision and the recall of its
    values, and what was `taken` for what: not told of a sealed unit.
    """

    name: str
    label: str
    n: int
    mean: float
    base: float | None = None
    margin: float | None = None
    fell: bool = False
    is_field: bool = False
    precision: float | None = None
    recall: float | None = None
    taken: tuple[Taken, ...] = ()

    @property
    def confusions(self) -> str:
        """What was most often taken for what: `"soon" taken for "now" 22 times`."""
        return ", ".join(
            f"{wanted} taken for {found} {'once' if times == 1 else f'{times} times'}"
            for wanted, found, times in self.taken[:SHOWN_TAKEN]
        )


def part_reports(summary: Summary | None, verdict: Mapping[str, Any], sealed: bool) -> tuple[PartReport, ...]:
    """The parts of a unit: those that fell first, then its rates, then its fields, the worst first."""
    fields = summary.fields if summary else {}
    if verdict.get("parts"):
        found = [_compared(part, fields.get(part["name"]), sealed) for part in verdict["parts"]]
    else:
        rates = summary.rates if summary else {}
        n = summary.n if summary else 0
        found = [PartReport(name, name, n, rate) for name, rate in rates.items()]
        found += [PartReport(name, name, each.n, each.rate, **_field(each, sealed)) for name, each in fields.items()]
    return tuple(sorted(found, key=lambda each: (not each.fell, each.is_field, each.mean if each.is_field else 0)))


def _compared(part: Mapping[str, Any], rate: FieldRate | None, sealed: bool) -> PartReport:
    return PartReport(
        part["name"], part["label"], part["n"], part["mean"], part["base"], part["margin"], part["fell"],
        **(_field(rate, sealed) if rate else {}),
    )  # fmt: skip


def _field(rate: FieldRate, sealed: bool) -> dict[str, Any]:
    return {
        "is_field": True, "precision": rate.precision, "recall": rate.recall, "taken": () if sealed else rate.taken,
    }  # fmt: skip


def field_lines(unit: str, parts: Sequence[PartReport], reference: str) -> Iterator[str]:
    """The fields that are not always right, a line each, the worst first; at most `SHOWN_FIELDS`.

    Nothing where one field is all that is expected, and no value of it was taken for another: the rates say it.
    """
    fields = [part for part in parts if part.is_field]
    if len(fields) == 1 and not fields[0].taken:
        return
    missed = [part for part in fields if part.mean < 1 or (part.base or 0) > part.mean]
    for part in missed[:SHOWN_FIELDS]:
        before = f" ({reference}: {percent(part.base)})" if part.base is not None else ""
        confusions = f", {shown(part.confusions)}" if part.taken else ""
        yield f"{unit}: {shown(part.label)}: {percent(part.mean)} right{before}{confusions}"
    if len(missed) > SHOWN_FIELDS:
        yield f"{unit}: and {len(missed) - SHOWN_FIELDS} more fields that are not always right"
