"""Add packs to a project: files of the task `guards`, and a margin for each in its task.yaml."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tunegate.harness.begin.guards.copies import Copy, copy_of, find_copies
from tunegate.harness.begin.guards.packs import Pack
from tunegate.harness.begin.scaffold.outlook import half_points
from tunegate.harness.begin.scaffold.task import task_of_files
from tunegate.harness.cases.file import POLICY
from tunegate.harness.cases.loader import is_fixture_file, load_tasks
from tunegate.harness.cases.model import Task
from tunegate.harness.cases.policy import DEFAULT_COLLAPSE, Policy
from tunegate.harness.core.authoring.yaml_append import append_item
from tunegate.harness.core.authoring.yaml_reader import parse_yaml
from tunegate.harness.core.authoring.yaml_writer import write_yaml
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.files import write_atomically
from tunegate.harness.core.formatting import quantity
from tunegate.harness.core.reading import read_text
from tunegate.harness.gate.planning.amounts import in_points
from tunegate.harness.gate.planning.history import USUAL_FLIP_RATE, Past
from tunegate.harness.gate.planning.plan import Plan, plan_units
from tunegate.harness.statistics.labels_needed import prob_held_by_labels
from tunegate.harness.statistics.paired import sealed_level

TASK = "guards"
TOGETHER = 0.9  # of equal models are to hold all guards, if they are added at once
ABOUT = "What no change may break: packs of tunegate guards, and your own guards beside them."


@dataclass(frozen=True)
class Addition:
    """The texts to write, by path; what each pack is, in `lines`; and how many calls per model they add to a run."""

    files: Mapping[Path, str]
    lines: tuple[str, ...]
    calls: int

    def write(self) -> None:
        """Write the files. task.yaml is the last: after an interruption, the same addition completes it.

        Raises:
            CouldNotRun: a file cannot be written.
        """
        for path, text in self.files.items():
            write_atomically(Path(os.path.realpath(path)), text)


def plan_addition(packs: Sequence[Pack], cases: Path) -> Addition:
    """Return what adds packs to the fixtures in `cases`; those that are there as they ship stay.

    Raises:
        Refused: a file or a unit of a pack's name is there, and differs.
        AuthoringError: mistakes in the task `guards`.
    """
    new = _missing(packs, cases)
    task = _extended(_standing(cases), new)
    policies = _policies(task, [pack for pack in packs if pack.name not in task.policy.units])
    files = {cases / TASK / pack.file: copy_of(pack) for pack in new}
    if policies:
        files[cases / TASK / POLICY] = _policy_text(cases / TASK / POLICY, policies)
    lines = (_line(pack, pack in new, policies.get(pack.name)) for pack in packs)
    return Addition(files, tuple(lines), sum(len(pack.data["cases"]) for pack in new))


def not_there(packs: Sequence[Pack], cases: Path) -> list[Pack]:
    """Return the packs of which neither a copy nor a file in its place is there."""
    copies = find_copies(cases)
    return [each for each in packs if each.name not in copies and not os.path.lexists(cases / TASK / each.file)]


def _missing(packs: Sequence[Pack], cases: Path) -> list[Pack]:
    """The packs that are not there; Refused if another text is in the place of one."""
    missing, copies = not_there(packs, cases), find_copies(cases)
    places = {pack.name: cases / TASK / pack.file for pack in packs if pack not in missing}
    for name in places.keys() & copies.keys():
        places[name] = copies[name].path
    shown = [show_path(place) for name, place in places.items() if not _ships(name, copies)]
    if shown:
        raise Refused(
            f"{', '.join(shown)}: expected no file, or the pack as it ships, found another text; nothing was written: "
            "see tunegate guards update, or move it"
        )
    return missing


def _ships(name: str, copies: Mapping[str, Copy]) -> bool:
    copy = copies.get(name)
    return bool(copy and copy.pack and copy.text == copy.pack.text)


def _standing(cases: Path) -> Task:
    """The task `guards` as it is; without units if there is none."""
    folder = cases / TASK
    is_there = folder.is_dir() and any(map(is_fixture_file, folder.iterdir()))
    if is_there or (cases / POLICY).exists():  # the second is a task's own folder, which is refused
        return load_tasks(cases, only=TASK)[0]
    return Task(TASK, (), Policy())


def _extended(task: Task, packs: Sequence[Pack]) -> Task:
    """A task with the units of packs.

    Raises:
        Refused: it has a unit of a pack's name.
    """
    if not packs:
        return task
    added = task_of_files(TASK, {pack.file: pack.text for pack in packs})
    if both := {unit.name for unit in task.units} & {unit.name for unit in added.units}:
        raise Refused(
            f"{TASK}/{min(both)}: expected no unit of this name, found one in another file; nothing was written; "
            "give yours another name"
        )
    return replace(task, units=(*task.units, *added.units))


def _policies(task: Task, packs: Sequence[Pack]) -> dict[str, Mapping[str, Any]]:
    """What task.yaml declares of each pack that is a unit of the task."""
    names = {pack.name for pack in packs}
    units = tuple(replace(each, labels=None) if each.name in names else each for each in task.units)
    plans = {each.unit.name: each for each in plan_units([replace(task, units=units)], Past())}
    gated = [name for name, plan in plans.items() if plan.margin is not None or name in names]
    return {pack.name: _declared(pack, plans[pack.name], len(gated)) for pack in packs if pack.name in plans}


def _declared(pack: Pack, plan: Plan, guards: int) -> Mapping[str, Any]:
    """The smallest margin that an equal model holds, so often that so many guards added at once hold 9 of 10 times."""
    if pack.margin is not None:
        reason = f"In nats per token. Set it to the loss that you accept; {plan.n} cases can show no smaller collapse."
        collapse = max(plan.least_collapse or 0.0, DEFAULT_COLLAPSE)
        return {"role": "guard", "margin": pack.margin, "collapse": collapse, "reason": reason}
    chance = TOGETHER ** (1 / guards)
    by_labels = "labels" in pack.data
    margin = _labelled_margin(plan.n, chance) if by_labels else half_points(plan.smallest_margin(chance))
    if margin is None:
        raise ValueError(f"{pack.name} has too few cases for any margin")
    reason = (
        f"With {plan.n} cases, the smallest that equal models hold {100 * chance:.0f} % of the time (at a flip rate of "
        f"{100 * USUAL_FLIP_RATE:g} %, assumed). Set it to the loss that you accept."
    )
    return {"role": "guard", "margin": margin, "reason": reason}


def _labelled_margin(cases: int, chance: float) -> float | None:
    """The smallest margin, in half points, that an equal model holds so often once all that differs is labelled."""
    lost = USUAL_FLIP_RATE / 2  # of all cases, here if all differ: how many do does not matter, with all labels
    margins = (step / 200 for step in range(1, 200))
    holds = partial(prob_held_by_labels, cases, cases, share=1.0, won=lost, lost=lost, level=sealed_level(1))
    return next((each for each in margins if holds(each, bins=cases) >= chance), None)


def _policy_text(path: Path, units: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of task.yaml with the new guards; every other byte stays.

    Raises:
        Refused: its units are not written as a block.
    """
    if not os.path.lexists(path):
        return write_yaml({"version": 1, "about": ABOUT, "units": dict(units)})
    read_text(path)  # a regular file of UTF-8
    text, entry = path.read_bytes().decode("utf-8"), write_yaml(dict(units))
    data: dict[str, Any] = parse_yaml(path, text).data
    new = append_item(text, "units", entry)
    if new is None or parse_yaml(path, new).data != data | {"units": data["units"] | dict(units)}:
        raise Refused(
            f"{show_path(path)}: expected units on lines of their own, found others; nothing was written; add below "
            f"`units:` by hand, then run this command again:\n{entry}"
        )
    return new


def _line(pack: Pack, is_new: bool, policy: Mapping[str, Any] | None) -> str:
    name = f"{TASK}/{pack.name}"
    if not (is_new or policy):
        return f"{name} is here already, as it ships"
    line = f"{name}: {quantity(len(pack.data['cases']), 'case')}"
    if not policy:
        return line
    margin = f"{policy['margin']:g} nats" if pack.margin else in_points(policy["margin"])
    return f"{line}, a margin of {margin}"
