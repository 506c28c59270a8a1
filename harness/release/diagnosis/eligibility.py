"""A task's eligibility for fine-tuning: its diagnosis names no other remedy, or an override gives a reason."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.history.baselines.diagnosed import diagnosis_path
from tunegate.harness.history.baselines.diff import MUST_EQUAL, NAMES
from tunegate.harness.history.baselines.matching import DEFAULT_MODEL, DIAGNOSIS
from tunegate.harness.release.diagnosis.diagnosis import Diagnosis, asked_of, read_diagnosis
from tunegate.harness.release.diagnosis.ladder import promptable

OVERRIDE = "add --override REASON"


def find_diagnosis(root: Path, task: Task, subject: Mapping[str, str | None], model: str | None = None) -> Diagnosis:
    """Return the task's diagnosis of this model and these questions, from the folder of baselines.

    `model` is the subject's `--model`, for the suggested command.

    Raises:
        Refused: it is missing, edited, or of another model or other questions.
    """
    path = diagnosis_path(root, str(subject["model"]), task.name)
    how = how_to_diagnose(task, model)
    found = read_diagnosis(path, how)
    asked = [part for part in MUST_EQUAL if part != "rung"]  # the diagnosis covers every strategy
    if part := next((part for part in asked if found.subject.get(part) != subject.get(part)), None):
        part = NAMES.get(part, part)
        raise Refused(f"{show_path(path)}: expected a diagnosis of this model, found another {part}; run: {how}")
    _check_complete(task, found, path, how)
    for unit in tuned_units(task):
        if unit.key in found.unpromptable:
            continue
        old, new = found.questions[unit.key], asked_of(unit)
        # the first, as other cases change every other part as well
        if differs := next((part for part in [*new, *old] if old.get(part) != new.get(part)), None):
            raise Refused(f"{unit.key}: {show_path(path)} was made with other {differs}; run: {how}")
    return found


def check_any_diagnosis(root: Path, task: Task, model: str) -> None:
    """Refuse a task with baselines but without a diagnosis of any model, by the names of the files.

    Raises:
        Refused: there is none.
    """
    names = {path.name for path in root.glob(f"*/{task.name}/*.json")}
    if names and DIAGNOSIS not in names:
        path, how = show_path(diagnosis_path(root, "*", task.name)), how_to_diagnose(task, model)
        raise Refused(f"expected a diagnosis at {path}, found none; run: {how}, or {OVERRIDE}")


def _check_complete(task: Task, found: Diagnosis, path: Path, how: str) -> None:
    known = {*found.units, *found.unpromptable}
    if missing := [unit.key for unit in tuned_units(task) if unit.key not in known]:
        raise Refused(f"{show_path(path)}: expected a diagnosis of {', '.join(missing)}, found none; run: {how}")


def how_to_diagnose(task: Task, model: str | None) -> str:
    """Return the command that diagnoses a task."""
    options = [f"--model={model}"] if model and model != DEFAULT_MODEL else []
    return shlex.join(["tunegate", "diagnose", task.name, *options])


def tuned_units(task: Task) -> Sequence[Unit]:
    """Return the units that fine-tuning is for: the task's targets, or without any all that a prompt can change."""
    targets = [unit for unit in task.units if unit.name in task.policy.targets]
    return targets or promptable(task.units)


def eligibility(task: Task, found: Diagnosis, override: str | None, how: str) -> dict[str, Any]:
    """Return a task's eligibility for the training record, from its diagnosis.

    It has `digest`, `created` (a date, if known), `remedies` by unit, `against` (the units with another remedy) and
    `override`, the reason to tune anyway (None if there was nothing to override). `how` says how to give one.

    Raises:
        Refused: another remedy, and no override.
    """
    keys = [unit.key for unit in tuned_units(task) if unit.key in found.units]
    against = [key for key in keys if key in found.cheaper]
    if against and not override:
        lines = "\n".join(f"  {key}: {found.units[key].advice}" for key in against)
        raise Refused(
            f"{task.name}: expected a diagnosis that names fine-tuning, found another remedy:\n{lines}\n"
            f"apply it first; to fine-tune anyway, {how}; the training record and the model card will state the reason"
        )
    return {
        "digest": found.digest,
        **({"created": found.created} if found.created else {}),
        "remedies": {key: found.units[key].remedy for key in keys},
        "against": against,
        "override": override if against else None,
    }


def undiagnosed(override: str) -> dict[str, Any]:
    """Return the eligibility of a task without a diagnosis, which an adoption may override, with the reason."""
    return {"digest": None, "remedies": {}, "against": [], "override": override}


def in_recipe(where: str) -> str:
    """Return how to override a diagnosis in a recipe, or in what `where` names."""
    return f'write `diagnosis: {{override: "the reason"}}` into {where}'


def render_eligibility(eligible: Mapping[str, Any]) -> list[str]:
    """Return one line per unit with the basis of the training."""
    if eligible["digest"] is None:
        return [f"  none, overridden: {eligible['override']}"]
    lines = [f"  {key}: {remedy}" for key, remedy in eligible["remedies"].items()] or [
        "  no target that a prompt can change"
    ]
    if eligible["override"]:
        lines.append(f"  trained against the diagnosis of {', '.join(eligible['against'])}: {eligible['override']}")
    return lines


def check_eligibility(
    root: Path, task: Task, subject: Mapping[str, str | None], eligible: Mapping[str, Any], model: str | None = None
) -> None:
    """Refuse a release whose training has no valid diagnosis of the task's present targets.

    The committed diagnosis may cover fewer cases than exist now if the training cites it; a later one must cover these
    questions. `eligible` is the result of `eligibility` at training, `model` the base's `--model`, for the suggested
    command.
    """
    if eligible["digest"] is None and eligible.get("override"):
        return
    path, how = diagnosis_path(root, str(subject["model"]), task.name), how_to_diagnose(task, model)
    committed = read_diagnosis(path, how)
    if committed.digest != eligible.get("digest"):
        committed = find_diagnosis(root, task, subject, model)
    _check_complete(task, committed, path, how)
    again = f"{in_recipe('the recipe')}, and train again (or adopt it again with --override)"
    eligibility(task, committed, eligible.get("override"), again)
