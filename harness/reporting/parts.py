"""The parts of a unit's pass rule: each rate and each field beside the reference's, and what was taken for what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import percent
from tunegate.harness.evaluation.field_rates import FieldRate, Taken
from tunegate.harness.evaluation.never_right import Never
from tunegate.harness.evaluation.record import Summary
from tunegate.harness.gate.parts import NONE_EXPECTED

SHOWN_FIELDS = 6  # a unit on a terminal, those that are right least often
SHOWN_TAKEN = 2  # confusions of a field


@dataclass(frozen=True, slots=True)
class PartReport:
    """A part of a pass rule: of `n` cases (or of all answers to them), the share that meets it now and before.

    It has a `margin` where it is gated, and blocks where it `fell`. A field has the precision and the recall of its
    values, and what was `taken` for what: not told of a sealed unit. `never` are its values that no answer has right,
    with the number of cases that expect each; of a sealed unit the value is not told.
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
        """What was most often taken for what, and what is never answered."""
        return "; ".join(filter(None, [self.confusions, self.never_right]))

    @property
    def never_right(self) -> str:
        """What is never answered right: `never answered true (0 of 39)`."""
        return ", ".join(
            f"never answered {value or 'with one of its values'} (0 of {n})" for value, n in self.never[:SHOWN_TAKEN]
        )

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
        never = summary.never if summary else ()
        found = [_compared(part, fields.get(part["name"]), never, sealed) for part in verdict["parts"]]
    else:
        found = list(_by_itself(summary, sealed)) if summary else []
    return tuple(sorted(found, key=lambda each: (not each.fell, each.is_field, each.mean if each.is_field else 0)))


def _by_itself(summary: Summary, sealed: bool) -> Iterator[PartReport]:
    """The parts as a record says them, compared with nothing."""
    for name, rate in summary.rates.items():
        yield PartReport(name, name, summary.cases_of_rates[name], rate)
    for name, each in summary.fields.items():
        if each.rate is not None:
            yield PartReport(name, name, each.n, each.rate, **_field(name, each, summary.never, sealed))
        if each.left_out is not None:
            named = f"{name}{NONE_EXPECTED}"
            yield PartReport(named, named, each.others, each.left_out, is_field=True)


def _compared(part: Mapping[str, Any], rate: FieldRate | None, never: Sequence[Never], sealed: bool) -> PartReport:
    return PartReport(
        part["name"], part["label"], part["n"], part["mean"], part["base"], part["margin"], part["fell"],
        **(_field(part["name"], rate, never, sealed) if rate else {"is_field": part["label"].endswith(NONE_EXPECTED)}),
    )  # fmt: skip


def _field(name: str, rate: FieldRate, never: Sequence[Never], sealed: bool) -> dict[str, Any]:
    return {
        "is_field": True, "precision": rate.precision, "recall": rate.recall, "taken": () if sealed else rate.taken,
        "never": tuple(("" if sealed else value, n) for field, value, n in never if field == name),
    }  # fmt: skip


def field_lines(unit: str, parts: Sequence[PartReport], reference: str) -> Iterator[str]:
    """The fields that are not always right, a line each, the worst first; at most `SHOWN_FIELDS`.

    Nothing where one field is all that is expected, and no value of it was taken for another: the rates say it.
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
