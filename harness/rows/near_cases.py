"""The cases that training rows of an adapter come near: what its training record lists, and what is found here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunegate.harness.cases.model import Task
from tunegate.harness.core.files import digest
from tunegate.harness.models.adapters import training_record

ByUnit = Mapping[str, Sequence[str]]  # ids of cases, by the key of their unit


@dataclass(frozen=True)
class NearCases:
    """The cases that training rows come near, by unit.

    `claimed` are those among them that only the training record names, a file of the change.
    """

    cases: ByUnit = field(default_factory=dict)
    claimed: ByUnit = field(default_factory=dict)

    def of(self, units: Sequence[str]) -> dict[str, Any]:
        """What a record holds of these units."""
        near, claimed = ({key: side[key] for key in units if key in side} for side in (self.cases, self.claimed))
        return {"near": near, "near_claimed": claimed}


def find_near_cases(adapter: Path, tasks: Sequence[Task]) -> NearCases:
    """The cases of the tasks that training rows of an adapter come near; none if it has no training record.

    Raises:
        Refused: its training record was edited.
    """
    record = training_record(adapter)
    if record is None:
        return NearCases()
    listed = _by_unit(record, tasks)
    return NearCases(listed, listed)


def claim_lines(name: str, near: NearCases, tasks: Sequence[Task], most: float) -> Iterator[str]:
    """Yield a line per unit of which only the adapter's own record says that more than a share of cases is near.

    Each line has the digest of its list, so that an approval is of exactly these cases.
    """
    for unit in (unit for task in tasks for unit in task.units):
        claimed, n = near.claimed.get(unit.key, ()), len(unit.cases)
        if len(claimed) > most * n:
            yield (
                f"{unit.key}: {len(claimed)} of {n} cases are near by this change's own record ({name}, list "
                f"{digest(list(claimed))[:12]}), and no search of its rows here finds them"
            )


def _by_unit(record: Mapping[str, Any], tasks: Sequence[Task]) -> dict[str, list[str]]:
    """The cases that a training record lists, by unit, as far as the tasks have them."""
    listed = {each["case"] for each in record.get("decontamination", {}).get("near", ())}
    units = (unit for task in tasks for unit in task.units)
    found = {unit.key: sorted(case.id for case in unit.cases if case.key in listed) for unit in units}
    return {key: cases for key, cases in found.items() if cases}
