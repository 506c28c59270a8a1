"""The parts of a unit's pass rule: each rate and field next to the reference's, and confusions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import percent
from tunegate.harness.gate.parts import NONE_EXPECTED
from tunegate.harness.models.evaluation.field_rates import FieldRate, Taken
from tunegate.harness.models.evaluation.never_right import Never
from tunegate.harness.models.evaluation.record import Summary
from tunegate.harness.models.evaluation.verdict import PartVerdict

SHOWN_FIELDS = 6  # per unit on a terminal, those least often right
SHOWN_TAKEN = 2  # confusions per field


@dataclass(frozen=True, slots=True)
class PartReport:
    """A part of a pass rule: the share of `n` cases (or of all their outputs) that meets it, now and before.

    It has a `margin` if it is gated, and blocks if it `fell`. A field has the precision and the recall of its values,
    and its confusions in `taken`, except for sealed units. `never` lists the values that no output has right, with the
    number of cases that expect each; for sealed units, the value is omitted.
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
    never: tuple[tuple[str, int], ...] = ()

    @property
    def remarks(self) -> str:
        """The most frequent confusions, and the values that are never right."""
        return "; ".join(filter(None, [self.confusions, self.never_right]))

    @property
    def never_right(self) -> str:
        """The values that are never right: `never outputs true (0 of 39)`."""
        return ", ".join(
            f"never outputs {value or 'one of its values'} (0 of {n})" for value, n in self.never[:SHOWN_TAKEN]
        )

    @property
    def confusions(self) -> str:
        """The most frequent confusions: `outputs "now" instead of "soon" 22 times`."""
        return ", ".join(
            f"outputs {found} instead of {wanted} " + ("once" if times == 1 else f"{times} times")
            for wanted, found, times in self.taken[:SHOWN_TAKEN]
        )


def part_reports(summary: Summary | None, compared: Sequence[PartVerdict], sealed: bool) -> tuple[PartReport, ...]:
    """Return the parts of a unit: those that fell first, then its rates, then its fields, worst first."""
    fields = summary.fields if summary else {}
    if compared:
        never = summary.never if summary else ()
        found = [_compared(part, fields.get(part.name), never, sealed) for part in compared]
    else:
        found = list(_by_itself(summary, sealed)) if summary else []
    return tuple(sorted(found, key=lambda each: (not each.fell, each.is_field, each.mean if each.is_field else 0)))


def _by_itself(summary: Summary, sealed: bool) -> Iterator[PartReport]:
    """Yield the parts of a record without a comparison."""
    for name, rate in summary.rates.items():
        yield PartReport(name, name, summary.cases_of_rates[name], rate)
    for name, each in summary.fields.items():
        if each.rate is not None:
            yield PartReport(name, name, each.n, each.rate, **_field(name, each, summary.never, sealed))
        if each.left_out is not None:
            named = f"{name}{NONE_EXPECTED}"
            yield PartReport(named, named, each.others, each.left_out, is_field=True)


def _compared(part: PartVerdict, rate: FieldRate | None, never: Sequence[Never], sealed: bool) -> PartReport:
    # the rate of a field among the cases that expect none has a name of its own
    return PartReport(
        part.name, part.label, part.n, part.mean, part.base, part.margin, part.fell,
        **(_field(part.name, rate, never, sealed) if rate else {"is_field": part.named not in ("", part.name)}),
    )  # fmt: skip


def _field(name: str, rate: FieldRate, never: Sequence[Never], sealed: bool) -> dict[str, Any]:
    return {
        "is_field": True, "precision": rate.precision, "recall": rate.recall, "taken": () if sealed else rate.taken,
        "never": tuple(("" if sealed else value, n) for field, value, n in never if field == name),
    }  # fmt: skip


def field_lines(unit: str, parts: Sequence[PartReport], reference: str) -> Iterator[str]:
    """Yield the fields that are not always right, worst first; at most `SHOWN_FIELDS` lines.

    Nothing is yielded for a single expected field without confusions, since the rates show it.
    """
    fields = [part for part in parts if part.is_field]
    if len(fields) == 1 and not fields[0].taken and not fields[0].never:
        return
    missed = [part for part in fields if part.mean < 1 or (part.base or 0) > part.mean]
    for part in missed[:SHOWN_FIELDS]:
        before = f" ({reference}: {percent(part.base)})" if part.base is not None else ""
        remarks = f", {shown(part.remarks)}" if part.remarks else ""
        yield f"{unit}: {shown(part.label)}: {percent(part.mean)} of {part.n} right{before}{remarks}"
    if len(missed) > SHOWN_FIELDS:
        yield f"{unit}: and {len(missed) - SHOWN_FIELDS} more fields that are not always right"
