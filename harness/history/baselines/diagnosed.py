"""A diagnosis as it is kept beside the baselines, and what the base reaches by prompting, beside an adapter.

How one is made is in `harness/release/diagnosis`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunegate.harness.cases.json_schemas import published_schema
from tunegate.harness.core.errors import Refused, Unreadable, show_path
from tunegate.harness.core.files import is_as_stamped
from tunegate.harness.core.formatting import percent
from tunegate.harness.core.reading import read_json
from tunegate.harness.history.baselines.matching import DIAGNOSIS
from tunegate.harness.models.evaluation.record import Record

LARGER = "larger"  # a strategy of its own: another model with the prompt of the first


@dataclass(frozen=True, slots=True)
class RungResult:
    """A unit with one prompting strategy.

    `mean` and `form` are the shares of cases that pass and that have the right form; `tokens` is the mean of a call, in
    and out; `gain` is the paired difference to the first strategy with its 95 % `interval`, `better` whether it is
    significant among the unit's strategies. `cut` outputs ended at the unit's `max_new_tokens`.
    """

    rung: str
    n: int
    mean: float
    form: float
    tokens: float | None
    gain: float = 0.0
    interval: tuple[float, float] | None = None
    better: bool = False
    cut: int = 0


def diagnosis_path(root: Path, slug: str, task: str) -> Path:
    """Return the path of a task's last diagnosis of a model: `<root>/<model>-<digest8>/<task>/diagnosis.json`."""
    return root / slug / task / DIAGNOSIS


def read_kept(path: Path, how: str = "tunegate diagnose") -> dict[str, Any]:
    """Return what the file of a diagnosis says; `Refused` if it is missing, edited or none; command `how` makes one."""
    name = show_path(path)
    try:
        data = read_json(path, "a diagnosis", published_schema("diagnosis"))
    except Unreadable as error:
        if error.is_missing:
            raise Refused(f"expected a diagnosis at {name}, found none; run: {how}") from None
        raise Refused(f"{name}: expected a diagnosis, found {error.found}; run: {how}") from error
    if not is_as_stamped(data):
        raise Refused(f"{name}: expected a diagnosis as it was written, found it edited; run: {how}")
    return dict(data)


def rungs_of(raw: Mapping[str, Any]) -> tuple[RungResult, ...]:
    """Return the strategies of one unit in a kept diagnosis."""
    found = ({**each, "interval": tuple(each["interval"]) if each["interval"] else None} for each in raw["rungs"])
    return tuple(RungResult(**each) for each in found)


def better_prompting(record: Record, baselines: Path) -> list[str]:
    """Say for which units a prompting strategy of the base's diagnosis is ahead of the adapter of a record.

    A gain on the base as it is may be a loss on that.
    """
    tasks = dict.fromkeys(unit.partition("/")[0] for unit in record.units) if record.adapter else ()
    return [note for task in tasks for note in _of_task(record, baselines, task)]


def _of_task(record: Record, baselines: Path, task: str) -> Iterator[str]:
    path = diagnosis_path(baselines, str(record.fingerprint["subject"]["model"]), task)
    with suppress(Refused):  # without a diagnosis there is nothing to say; a release requires one
        for unit, raw in read_kept(path)["units"].items():
            best = max((each for each in rungs_of(raw) if each.rung != LARGER), key=lambda each: each.mean)
            mean = record.units[unit].mean if unit in record.units else None
            if mean is not None and mean < best.mean:
                base = f"{percent(best.mean)} of {best.n} cases with the prompting strategy {best.rung}"
                yield f"{unit}: this adapter has {percent(mean)}, the base has {base} (tunegate diagnose)"
