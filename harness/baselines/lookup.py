"""Finding the baselines that a run may be compared with, or the refusal that says how to record them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from tunegate.harness.baselines.diff import differing
from tunegate.harness.baselines.store import Baseline, baseline_path, read_baseline
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.fixtures.model import Task, Unit

DEFAULT_MODEL = "smollm2"
DIAGNOSIS = "diagnosis.json"
EXPRESSION = re.compile(r"[\w:+\-.\[\]/]+")  # what pytest's -k takes for one word


def how_to_record(unit: Unit, subject: Mapping[str, str | None], model: str | None = None) -> str:
    """The command that records one unit for a subject; `model` is its `--tg-model` where that is not the default."""
    options = ["--tg-record"]
    options += [f"--tg-model={model}"] if model and model != DEFAULT_MODEL else []
    options += [f"--tg-rung={rung}"] if (rung := subject.get("rung")) and rung != "as-is" else []
    options += ["--tg-sealed"] if unit.sealed else []
    options += ["-k", unit.key] if EXPRESSION.fullmatch(unit.key) else []
    return shlex.join(["pytest", "suites/", *options])


def matching(
    root: Path,
    slug: str,
    units: Sequence[Unit],
    subject: Mapping[str, str | None],
    engine: Mapping[str, str],
    model: str | None = None,
) -> list[Baseline]:
    """The baselines of `units` that were recorded from this very subject, engine and questions.

    `model` is the subject's `--tg-model`, for the command that records what is missing.

    Raises:
        Refused: any is missing or differs: names what differs for every unit, and how to re-record.
    """
    found, wrong = [], []
    for unit in units:
        how = how_to_record(unit, subject, model)
        try:
            baseline = read_baseline(baseline_path(root, slug, unit.key), unit.key)
        except Refused as error:
            wrong.append(f"{_other_model(root, slug, unit) or error}; record it: {how}")
            continue
        if differences := differing(baseline, unit, subject, engine):
            where = show_path(baseline.path)
            wrong.append(f"{unit.key}: the baseline ({where}) was recorded with {differences}; record it again: {how}")
        found.append(baseline)
    if wrong:
        raise Refused("no baseline to compare with:\n" + "\n".join(f"  {line}" for line in wrong))
    return found


def _other_model(root: Path, slug: str, unit: Unit) -> str:
    others = sorted(path.relative_to(root).parts[0] for path in root.glob(f"*/{unit.key}.json"))
    if not others or slug in others:
        return ""
    return f"{unit.key}: expected a baseline of this model ({slug}), found one of another only ({', '.join(others)})"


def check_vanished(root: Path, slug: str, tasks: Sequence[Task]) -> None:
    """Refuse baselines of units that the fixtures no longer have: a deleted unit must not pass unjudged.

    Raises:
        Refused: names them, and what to do.
    """
    known = {unit.key for task in tasks for unit in task.units}
    recorded = {
        path.relative_to(root / slug).as_posix().removesuffix(".json").removesuffix(".released"): path
        for path in sorted((root / slug).glob("*/*.json"))
        if path.name != DIAGNOSIS
    }
    gone = [f"  {unit} ({show_path(path)})" for unit, path in recorded.items() if unit not in known]
    if gone:
        lines = "\n".join(gone)
        raise Refused(
            f"baselines of units that the fixtures do not have (deleted? renamed?):\n{lines}\n"
            "bring the unit back, or delete its file here to retire it for good"
        )
