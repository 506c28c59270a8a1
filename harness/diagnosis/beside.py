"""What the base reaches by prompting, beside an adapter: a gain on the base as it is may be a loss on that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tunegate.harness.core.errors import Refused
from tunegate.harness.core.formatting import percent
from tunegate.harness.diagnosis.diagnosis import diagnosis_path, read_diagnosis
from tunegate.harness.diagnosis.ladder import LARGER
from tunegate.harness.evaluation.record import Record


def better_prompting(record: Record, baselines: Path) -> list[str]:
    """Say for which units a prompting strategy of the base's diagnosis is ahead of the adapter of a record."""
    tasks = dict.fromkeys(unit.partition("/")[0] for unit in record.units) if record.adapter else ()
    return [note for task in tasks for note in _of_task(record, baselines, task)]


def _of_task(record: Record, baselines: Path, task: str) -> Iterator[str]:
    path = diagnosis_path(baselines, str(record.fingerprint["subject"]["model"]), task)
    with suppress(Refused):  # without a diagnosis there is nothing to say; a release requires one
        for unit, found in read_diagnosis(path).units.items():
            best = max((each for each in found.rungs if each.rung != LARGER), key=lambda each: each.mean)
            mean = record.units[unit].mean if unit in record.units else None
            if mean is not None and mean < best.mean:
                base = f"{percent(best.mean)} of {best.n} cases with the prompting strategy {best.rung}"
                yield f"{unit}: this adapter has {percent(mean)}, the base has {base} (tunegate diagnose)"
