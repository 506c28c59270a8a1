"""The plan of labelled traffic: how many labels a guard by disagreement needs, by how often outputs differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.core.formatting import percent, points
from tunegate.harness.core.printing import figures_table
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.statistics.labels_needed import labels_needed, prob_held_by_labels
from tunegate.harness.statistics.paired import sealed_level

SHARES = (0.05, 0.1, 0.2)  # of inputs whose outputs differ, if no record says
TIED = 0.5  # of those, the share that is equally right: between none and all


@dataclass(frozen=True)
class LabelPlan:
    """What labels do for a unit of labelled traffic: rows of (share that differs, labels needed, chance to hold).

    The chance is that of the declared sample; labels needed hold four times in five, None where all do not. Both are
    for an equal model at the first try. `is_measured` says that a record gave the share.
    """

    unit: Unit
    margin: float
    rows: tuple[tuple[float, int | None, float], ...]
    is_measured: bool

    @property
    def sample(self) -> int:
        """The declared number of labels."""
        return self.unit.labels.sample if self.unit.labels else 0

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as JSON data."""
        rows = [{"differ": share, "labels_needed": needed, "held": chance} for share, needed, chance in self.rows]
        return {
            "unit": self.unit.key, "inputs": len(self.unit.cases), "margin": self.margin, "sample": self.sample,
            "measured": self.is_measured, "labels": rows,
        }  # fmt: skip


def plan_labels(
    tasks: Sequence[Task], record: Record | None, only: str | None = None, margin: float | None = None
) -> Iterator[LabelPlan]:
    """Yield the plan of each unit of labelled traffic, or of the one called `only`.

    A compared `record` shows how often outputs differ; `margin` replaces the declared ones.
    """
    for task in tasks:
        for unit in task.units:
            declared = margin or task.policy.of(unit.name, unit.kind).margin
            if unit.labels and declared and only in (None, unit.key):
                yield _plan(unit, declared, record)


def _plan(unit: Unit, margin: float, record: Record | None) -> LabelPlan:
    verdict = record.verdicts.get(unit.key) if record else None
    found = verdict.labelled if verdict else None
    shares = (found.differing / found.inputs,) if found else SHARES
    inputs, sample, level = len(unit.cases), unit.labels.sample if unit.labels else 0, sealed_level(1)
    needed = [labels_needed(share, margin, TIED, inputs, level) for share in shares]
    each = (1 - TIED) / 2
    held = [prob_held_by_labels(inputs, sample, margin, share, each, each, level) for share in shares]
    return LabelPlan(unit, margin, tuple(zip(shares, needed, held, strict=True)), found is not None)


def labels_table(plans: Sequence[LabelPlan]) -> Table:
    """Return a table of labelled traffic, by the share of outputs that differ."""
    title = "Labels with which an equal model gets held 80 % of the time, if half of the differences do not matter"
    columns = ("unit", "inputs", "margin", "outputs\ndiffer", "labels\nneeded", "sample", "held with\nsample")
    out = figures_table(columns, title=title)
    for each in plans:
        for share, needed, chance in each.rows:
            cells = (
                each.unit.key, f"{len(each.unit.cases):,}", points(each.margin, signed=False),
                f"{'' if each.is_measured else '~'}{percent(share)}", "-" if needed is None else str(needed),
                str(each.sample), percent(chance),
            )  # fmt: skip
            out.add_row(*map(Text, cells))
    return out
