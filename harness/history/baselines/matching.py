"""The baseline of a model for the units of a run, and what is wrong if there is none."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.history.baselines.diff import differing, engine_differences
from tunegate.harness.history.baselines.store import Baseline, baseline_path, read_baseline
from tunegate.harness.history.ledger.store import LEDGER, read_ledger
from tunegate.harness.models.api import SUPPLIED, Fingerprint
from tunegate.harness.models.backends import REPLAY, backend_of
from tunegate.harness.models.evaluation.engines import why_not_asked

DEFAULT_MODEL = "smollm2"
DIAGNOSIS = "diagnosis.json"
PLACED = ("device", "dtype")  # parts of an engine that an option sets
EXPRESSION = re.compile(r"[\w:+\-.\[\]/]+")  # one word of pytest's -k


def how_to_record(unit: Unit, fingerprint: Fingerprint, model: str | None = None) -> str:
    """Return the command that records one unit of a fingerprint; `model` is its `--tg-model`, if not the default."""
    subject = fingerprint.subject
    if model and backend_of(model).is_supplied:
        options = ["--from=OLD-OUTPUTS.jsonl", "--requests=REQUESTS.jsonl", f"--name={REPLAY.split(model)[0]}"]
        options += [f"--rung={rung}"] if (rung := subject.get("rung")) and rung != "as-is" else []
        return shlex.join(["tunegate", "record", *options, *(["--sealed"] if unit.sealed else []), unit.key])
    options = ["--tg-record"]
    options += [f"--tg-model={model}"] if model and model != DEFAULT_MODEL else []
    options += shlex.split(fingerprint.names.get("options", ""))
    options += [f"--tg-rung={rung}"] if (rung := subject.get("rung")) and rung != "as-is" else []
    # names that `-k` reads as expressions are omitted; all units are then recorded, most of them unchanged
    options += ["-k", unit.key] if EXPRESSION.fullmatch(unit.key) else []
    return shlex.join(["pytest", f"{_folder(unit)}/", *options])


def _folder(unit: Unit) -> str:
    """Return the folder of cases, as it appears in the unit's cases."""
    file = unit.cases[0].path if unit.cases else Path()
    return file.parent.parent.as_posix() if len(file.parts) > 2 else "fixtures"


def matching(
    root: Path, units: Sequence[Unit], fingerprint: Fingerprint, model: str | None = None, any_engine: bool = False
) -> list[Baseline]:
    """Return the baselines of `units` recorded from this subject, with these questions and on this engine or any.

    `model` is the subject's `--tg-model`, for the suggested command.

    Raises:
        Refused: a baseline is missing, differs, or is not the ledger's last one; or the ledger is incomplete.
    """
    found, wrong, ledger, elsewhere = [], [], read_ledger(root), False
    subject, engine, slug = fingerprint.subject, fingerprint.engine, str(fingerprint.subject["model"])
    for unit in units:
        how = how_to_record(unit, fingerprint, model)
        try:
            baseline = read_baseline(baseline_path(root, slug, unit.key), unit.key)
        except Refused as error:
            wrong.append(f"{_other_model(root, slug, unit) or error}; record it: {how}")
            continue
        if baseline.is_supplied != fingerprint.is_supplied:
            where, kinds = show_path(baseline.path), ("generated", "supplied")
            before, now = (kinds[each.is_supplied] for each in (baseline, fingerprint))
            wrong.append(
                f"{unit.key}: the baseline ({where}) holds {before} outputs, and this run has {now} ones; the two are "
                f"not compared; record it again: {how}"
            )
        elif (others := differing(baseline, unit, subject)) or (baseline.engine != engine and not any_engine):
            elsewhere = elsewhere or not others
            differences = ", ".join([*others, *engine_differences(baseline.engine, engine)])
            where, how = show_path(baseline.path), f"{_as_it_was(baseline.engine, engine)}record it again: {how}"
            wrong.append(f"{unit.key}: the baseline ({where}) was recorded with {differences}; {how}")
        elif baseline.digest not in (known := ledger.recorded(unit.key, slug)):
            where, last = show_path(baseline.path), "another one as the last" if known else "none of this model yet"
            undone = (
                f", or take an undone recording's event back: git clean {show_path(root / LEDGER)}" if known else ""
            )
            wrong.append(
                f"{unit.key}: expected the baseline ({where}) in the ledger, which names {last}; record it again: "
                f"{how}{undone}"
            )
        found.append(baseline)
    if wrong:
        lines = [*wrong, *([why_not_asked(fingerprint)] if elsewhere else []), *_on_supplied(engine)]
        raise Refused("no baseline to compare with:\n" + "\n".join(f"  {line}" for line in lines))
    return found


def _on_supplied(engine: Mapping[str, str]) -> Iterator[str]:
    if engine.get("backend") == SUPPLIED:
        yield (
            "OLD-OUTPUTS.jsonl are outputs of the present model; generate outputs for new or edited cases as well: "
            "tunegate prompts > REQUESTS.jsonl; to compare supplied outputs with a model's, name the model's "
            "record: --tg-against=RECORD.json"
        )


def _as_it_was(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return how to run on the device and in the precision of a baseline, if they differ."""
    options = [f"--tg-{part}={before[part]}" for part in PLACED if part in before and before[part] != now.get(part)]
    return f"run as it was, with {' '.join(options)}, or " if options and before["backend"] == now["backend"] else ""


def _other_model(root: Path, slug: str, unit: Unit) -> str:
    # the usual reason for a missing baseline: it is one of the previous model
    others = sorted(path.relative_to(root).parts[0] for path in root.glob(f"*/{unit.key}.json"))
    if not others or slug in others:
        return ""
    return f"{unit.key}: expected a baseline of this model ({slug}), found one of another only ({', '.join(others)})"


def vanished_units(folder: Path, tasks: Sequence[Task]) -> dict[str, Path]:
    """The units with a baseline in a model's folder that are no longer among the cases, each with its file."""
    known = {unit.key for task in tasks for unit in task.units}
    recorded = {
        path.relative_to(folder).as_posix().removesuffix(".json").removesuffix(".released"): path
        for path in sorted(folder.glob("*/*.json"))
        if path.name != DIAGNOSIS
    }
    return {unit: path for unit, path in recorded.items() if unit not in known}


def check_vanished(root: Path, slug: str, tasks: Sequence[Task]) -> None:
    """Refuse baselines of units that are no longer among the cases: a deleted unit must not pass unscored."""
    if gone := vanished_units(root / slug, tasks):
        lines = "\n".join(f"  {unit} ({show_path(path)})" for unit, path in gone.items())
        retired = next(iter(gone))
        raise Refused(
            f"baselines of units that the fixtures do not have (deleted? renamed?):\n{lines}\n"
            f"restore the unit, or retire it with a reason: tunegate retire {retired} --reason TEXT"
        )
