"""Whether a task is eligible for a fine-tune: its diagnosis names no other remedy, or someone says why all the same."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunegate.harness.baselines.diff import MUST_EQUAL, NAMES
from tunegate.harness.baselines.lookup import DEFAULT_MODEL
from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.diagnosis.diagnosis import Diagnosis, diagnosis_path, read_diagnosis
from tunegate.harness.diagnosis.ladder import promptable


def find_diagnosis(root: Path, task: Task, subject: Mapping[str, str | None], model: str | None = None) -> Diagnosis:
    """The task's diagnosis of this very model and these very questions.

    Args:
        root: the folder of baselines, beside which it is kept.
        task: whose diagnosis.
        subject: whom the ladder should have asked.
        model: the subject's `--model`, for the command that makes what is missing.

    Raises:
        Refused: it is missing, edited, or asked another model or other questions.
    """
    path = diagnosis_path(root, str(subject["model"]), task.name)
    how = how_to_diagnose(task, model)
    found = read_diagnosis(path, how)
    asked = [part for part in MUST_EQUAL if part != "rung"]  # the ladder asks on all of them
    if part := next((part for part in asked if found.subject.get(part) != subject.get(part)), None):
        part = NAMES.get(part, part)
        raise Refused(f"{show_path(path)}: expected a diagnosis of this model, found another {part}; run: {how}")
    _check_complete(task, found, path, how)
    for unit in tuned_units(task):
        if unit.key in found.unpromptable:
            continue
        if differs := _first_difference(found.questions[unit.key], unit.questions):
            raise Refused(f"{unit.key}: {show_path(path)} rests on other {differs}; run: {how}")
    return found


def _check_complete(task: Task, found: Diagnosis, path: Path, how: str) -> None:
    known = {*found.units, *found.unpromptable}
    if missing := [unit.key for unit in tuned_units(task) if unit.key not in known]:
        raise Refused(f"{show_path(path)}: expected a diagnosis of {', '.join(missing)}, found none; run: {how}")


def _first_difference(old: Mapping[str, str], new: Mapping[str, str]) -> str | None:
    """The first part of the questions that differs: with other cases every other part does, too."""
    return next((part for part in [*new, *old] if old.get(part) != new.get(part)), None)


def how_to_diagnose(task: Task, model: str | None) -> str:
    """The command that diagnoses a task."""
    options = [f"--model={model}"] if model and model != DEFAULT_MODEL else []
    return shlex.join(["tunegate", "diagnose", task.name, *options])


def tuned_units(task: Task) -> Sequence[Unit]:
    """The units that a fine-tune of the task is for: its targets, or without any all that a prompt can change."""
    targets = [unit for unit in task.units if unit.name in task.policy.targets]
    return targets or promptable(task.units)


def eligibility(task: Task, found: Diagnosis, override: str | None, where: str) -> dict[str, Any]:
    """Whether a task may be fine-tuned, as the training record keeps it: by which diagnosis, and against whose advice.

    Args:
        task: what is to be trained for.
        found: its diagnosis.
        override: why it is fine-tuned although another remedy is named, or None.
        where: the file in which the override stands, or would.

    Returns:
        `digest`, `remedies` by unit, `against` (the units whose remedy is another one) and `override` (the reason, None
        where there was nothing to override).

    Raises:
        Refused: another remedy, and no override.
    """
    keys = [unit.key for unit in tuned_units(task) if unit.key in found.units]
    against = [key for key in keys if key in found.cheaper]
    if against and not override:
        lines = "\n".join(f"  {key}: {found.units[key].advice}" for key in against)
        raise Refused(
            f"{task.name}: expected a diagnosis that names fine-tuning, found another remedy:\n{lines}\n"
            'that comes first; to fine-tune all the same, write `diagnosis: {override: "the reason"}` into '
            f"{where}: the reason then stands in the adapter's training record and model card"
        )
    return {
        "digest": found.digest,
        "remedies": {key: found.units[key].remedy for key in keys},
        "against": against,
        "override": override if against else None,
    }


def render_eligibility(eligible: Mapping[str, Any]) -> list[str]:
    """What the training rests on, a line for each unit."""
    lines = [f"  {key}: {remedy}" for key, remedy in eligible["remedies"].items()] or [
        "  no target that a prompt can change"
    ]
    if eligible["override"]:
        lines.append(f"  trained against the diagnosis of {', '.join(eligible['against'])}: {eligible['override']}")
    return lines


def check_eligibility(
    root: Path, task: Task, subject: Mapping[str, str | None], eligible: Mapping[str, Any], model: str | None = None
) -> None:
    """Refuse a release whose training rests on no diagnosis that stands, for what are the task's targets now.

    The committed diagnosis may be of fewer cases than there are now, if it is the one that the training cites; one made
    since must have asked these questions.

    Args:
        root: the folder of baselines.
        task: what the adapter was trained for.
        subject: the base that was diagnosed.
        eligible: what `eligibility` gave when it was trained.
        model: the base's `--model`, for the command that makes what is missing.

    Raises:
        Refused: there is no diagnosis, it lacks a target, or it names another remedy and no reason was given.
    """
    path, how = diagnosis_path(root, str(subject["model"]), task.name), how_to_diagnose(task, model)
    committed = read_diagnosis(path, how)
    if committed.digest != eligible.get("digest"):
        committed = find_diagnosis(root, task, subject, model)
    _check_complete(task, committed, path, how)
    eligibility(task, committed, eligible.get("override"), "the recipe, and train again")
