"""The folder of the records of runs, named so that the newest sorts last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tunegate.harness.core.files import locked, remove_left, state_folder
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.evaluation.sidecar import write_with_sidecar

RUNS = Path(".tunegate/runs")
RUN_NAME = "%Y%m%dT%H%M%S.%f"


def keep_run(record: Record, sidecar: str, runs: Path) -> Record:
    """Write a record and its sidecar to the runs; return the record with its path."""
    with locked(state_folder(runs) / ".naming"):
        remove_left(runs)
        return write_with_sidecar(record, sidecar, runs / f"{next_name(runs)}.json")


def next_name(runs: Path) -> str:
    """Return a name that sorts after all other runs: a release without --run takes the last run of its adapter.

    The name is the time, or just after the last name if the clock was set back or two runs end at once.
    """
    last = max((found for path in runs.glob("*.json") if (found := _time_of(path.stem))), default=None)
    now = datetime.now(UTC).replace(tzinfo=None)
    return (max(now, last + timedelta(microseconds=1)) if last else now).strftime(RUN_NAME)


def _time_of(name: str) -> datetime | None:
    try:
        return datetime.strptime(name, RUN_NAME)
    except ValueError:
        return None  # not a run
