"""Remarks: what the gate says of a unit, a task or a change. Programs read their codes, people their sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Literal

from tunegate.harness.core.typed import OPTIONAL

Severity = Literal["error", "warning", "note"]  # the levels of SARIF

#: What makes a unit regressed or inconclusive, keeps a task from a release, or blocks a change.
Cause = Literal[
    "critical-regression", "significantly-worse", "mean-lost", "lower", "slice-regression", "value-lost",
    "part-regression", "below-minimum", "form-lost", "field-lost", "stratum-lost",
    "loss-not-excluded", "loss-not-excluded-without-near", "group-loss-not-excluded", "collapse-not-excluded",
    "minimum-not-shown", "not-comparable", "labels-missing", "judgements-missing",
    "units-block", "no-gain", "no-target", "rewarded-gain", "reused-cases", "trained-elsewhere",
    "incomplete-task", "candidates-block", "refused", "rule-changes", "untrue-records", "rules-block", "gate-result",
    "no-evaluation",
]  # fmt: skip
#: What does not decide, and should be seen.
Warned = Literal[
    "ungated", "part-lower", "value-lower", "value-never-right", "same-outputs", "constant-output", "near-cases",
    "near-gains", "target-not-reached", "nothing-to-gain", "already-failing", "unstable", "disarmed", "sealed-not-held",
    "late-run", "below-service", "gain-not-evidence", "undeclared", "sealed-not-evaluated", "training-data",
    "only-warned", "no-guard",
]  # fmt: skip
#: The rest: the numbers, and what was found to be fine.
Noted = Literal[
    "held", "improved", "cannot-fall", "identical", "numbers", "target-reached", "topics", "not-corrected", "flips",
    "untested-tags", "sealed-decides", "declared-ungated", "other-reference", "supplied", "engine", "advice",
    "release", "passed", "no-target-needed", "scored", "compared", "not-decided",
]  # fmt: skip
Code = Literal[Cause, Warned, Noted]


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that the gate says; nothing reads its `text`.

    Attributes:
        severity: an "error" is a cause. Of a verdict or a decision, its text is a clause; other texts are sentences.
        units: the units that it is about, if it is about a task or a change.
        step: a clause on what settles it, where that depends on its numbers.
    """

    code: Code
    severity: Severity
    text: str
    units: tuple[str, ...] = field(default=(), metadata=OPTIONAL)
    step: str = field(default="", metadata=OPTIONAL)


def cause(code: Cause, text: str, units: Iterable[str] = (), step: str = "") -> Remark:
    """Return a cause, in words that others may follow."""
    return Remark(code, "error", text, tuple(units), step)


def warning(code: Warned, text: str, units: Iterable[str] = ()) -> Remark:
    """Return a sentence on what should be seen."""
    return Remark(code, "warning", text, tuple(units))


def note(code: Noted, text: str, units: Iterable[str] = ()) -> Remark:
    """Return a sentence."""
    return Remark(code, "note", text, tuple(units))


def one_by_one(head: str, remarks: Iterable[Remark]) -> Iterator[Remark]:
    """Yield the remarks as sentences: each cause is one of its own, behind the `head`."""
    for each in remarks:
        yield from as_sentences(head, [each])


def as_sentences(head: str, remarks: Iterable[Remark]) -> Iterator[Remark]:
    """Yield the remarks as sentences: causes become one, behind the `head`, with the code of the first."""
    for severity, each in groupby(remarks, lambda remark: remark.severity):
        found = list(each)
        yield from [_joined(head, found)] if severity == "error" else found


def _joined(head: str, causes: Sequence[Remark]) -> Remark:
    units = tuple(dict.fromkeys(unit for each in causes for unit in each.units))
    return replace(causes[0], text=f"{head}: {causes_text(causes)}.", units=units, step="")


def causes_text(remarks: Iterable[Remark]) -> str:
    """Return the clauses of the causes among remarks, each with what settles it."""
    found = (each for each in remarks if each.severity == "error")
    return "; ".join(filter(None, (text for each in found for text in (each.text, each.step))))


def remarks_text(remarks: Iterable[Remark]) -> str:
    """Return sentences as one text."""
    return " ".join(each.text for each in remarks)
