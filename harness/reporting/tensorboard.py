"""Scores for TensorBoard: one folder per candidate; its successive records form a line."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from tunegate.harness.core.errors import CouldNotRun, Refused, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.extras import need
from tunegate.harness.reporting.report import CandidateReport, Report


def write_scalars(folder: Path, report: Report) -> None:
    """Write each unit's score, and its difference if compared, at the time of its record.

    Raises:
        CouldNotRun: TensorBoard is not installed, or the folder is not writable.
        Refused: a record does not state its time.
    """
    writers = need("tensorboard.summary")
    times = [_seconds(candidate) for candidate in report.candidates]
    try:
        for candidate, made in zip(report.candidates, times, strict=True):
            writer = writers.Writer(str(folder / _run_name(candidate)))
            for unit in candidate.units:
                for kind, value in (("score", unit.mean), ("difference", unit.difference)):
                    if value is not None:
                        writer.add_scalar(f"{kind}/{shown(unit.key)}", value, made, wall_time=made)
            writer.close()
    except OSError as error:
        raise CouldNotRun(f"{show_path(folder)}: it cannot be written ({error.strerror or error})") from error


def _run_name(candidate: CandidateReport) -> str:
    """Return the candidate's name as a folder name."""
    return re.sub(r"[^\w.+-]", "_", candidate.name).lstrip(".") or "_"


def _seconds(candidate: CandidateReport) -> int:
    """Return the time of its record, in seconds since 1970."""
    made = candidate.provenance.get("made", "")
    try:
        return int(datetime.fromisoformat(made).timestamp())
    except (ValueError, OverflowError, OSError):
        found = repr(made) if made else "nothing"
        raise Refused(f"{shown(candidate.name)}: expected the time of its record, found {found}") from None
