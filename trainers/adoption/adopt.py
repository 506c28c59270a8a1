"""Adopt an adapter that was trained elsewhere: the guards of a training, without the training.

What can refuse a training refuses or marks an adoption. Rows cannot be left out any more: those that fail a check, hold
private data or repeat a case are named, and the cases that they repeat are no evidence of a gain.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tunegate.harness.cases.loader import find_tasks, load_tasks
from tunegate.harness.cases.rewarding import RewardingCheck, rewarding_check
from tunegate.harness.core.authoring.columnar import hub_name
from tunegate.harness.core.errors import CouldNotRun, Refused, UsageError, show_path
from tunegate.harness.core.extras import check_train
from tunegate.harness.core.files import stamped, write_json
from tunegate.harness.history.baselines.diagnosed import diagnosis_path
from tunegate.harness.models.adapter_reference import SUFFIX
from tunegate.harness.models.adapters import ADOPTED, TRAINING, adapter_digest, training_record
from tunegate.harness.models.prompts import requests
from tunegate.harness.release.diagnosis.eligibility import (
    OVERRIDE,
    eligibility,
    find_diagnosis,
    how_to_diagnose,
    undiagnosed,
)
from tunegate.harness.release.manifest import MANIFEST
from tunegate.trainers.adoption.claim import SAMPLE, Losses, TestedClaim, losses, sampled, weigh
from tunegate.trainers.adoption.foreign_rows import foreign_rows
from tunegate.trainers.adoption.given import Given, copy_given, name_base
from tunegate.trainers.adoption.whole_model import load_whole_model
from tunegate.trainers.config.recipe import HEED, Recipe
from tunegate.trainers.config.sections import ALREADY, SPLIT, Decontaminate
from tunegate.trainers.pipeline import load_for, replace_folder
from tunegate.trainers.preparation import Preparation, check_rung, package_versions
from tunegate.trainers.training.memorization import find_memorization

NO_ROWS = Path("none")


@dataclass(frozen=True)
class Claims:
    """What is claimed of an adapter: the rows it was trained on and who trained it, or why no rows are known.

    `rewarded_by` are the units whose checks rewarded its outputs.
    """

    adapter: Path
    rows: tuple[Path, ...]
    trainer: str | None = None
    reason: str | None = None
    rewarded_by: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether rows are claimed."""
        return self.rows != (NO_ROWS,)

    def check(self) -> None:
        """Refuse claims that contradict each other.

        Raises:
            UsageError: rows and none, none without a reason, or a reason with rows.
        """
        if not self.rows:
            raise UsageError("--rows: expected the rows that it was trained on, found none; add --rows FILE, or "
                             "--rows none --reason TEXT")  # fmt: skip
        if self.known and NO_ROWS in self.rows:
            raise UsageError("--rows none: expected no file beside it, found one; name only the files")
        if not self.known and not (self.reason or "").strip():
            raise UsageError("--rows none: expected a reason, found none; add --reason TEXT, which the card shows")
        if self.known and self.reason is not None:
            raise UsageError("--reason: expected --rows none with it, found files; leave it out")


def default_name(adapter: Path) -> str:
    """The name of an adapter's folder, of its `.ref` file, or on the Hub."""
    if name := hub_name(adapter):
        return name.partition("@")[0].rpartition("/")[2]
    return adapter.stem if adapter.suffix == SUFFIX else adapter.resolve().name


def as_recipe(claims: Claims, override: str | None, output: Path, **more: Any) -> Recipe:
    """The settings by which the steps of a preparation treat rows that were trained on already."""
    return Recipe(
        path=claims.adapter, rows=claims.rows if claims.known else (), output=output,
        failing_rows=ALREADY, private_data=ALREADY, decontaminate=Decontaminate(refuse=SPLIT),
        diagnosis={"override": override} if override else HEED, **more,
    )  # fmt: skip


def check_place(output: Path, given: Path) -> None:
    """Refuse to write into the given adapter's folder, or over anything but an adapter adopted before.

    Raises:
        Refused: names the folder.
    """
    place, source = os.path.realpath(output), os.path.realpath(given)
    if place == source or place.startswith(source + os.sep):
        raise Refused(
            f"{show_path(output)}: expected another folder than the given adapter's, which is never edited; name one "
            "with --output"
        )
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if (output / MANIFEST).exists():
        raise Refused(f"{show_path(output)} holds a released adapter; name another --output")
    if not (output / TRAINING).is_file() or "adoption" not in (training_record(output) or {}):
        raise Refused(
            f"{show_path(output)}: expected no folder, or an adapter that was adopted before, found other files; name "
            "another --output"
        )


@dataclass
class Adoption(Preparation):
    """The state of an adoption, which is a preparation with an adapter."""

    claims: Claims = field(kw_only=True)
    work: Path = field(kw_only=True)  # receives the adapter

    given: Given = field(init=False)
    model: Any = field(init=False)
    claim: TestedClaim = field(init=False)

    @property
    def folder(self) -> Path:
        """The copied adapter."""
        return self.work / self.recipe.output.name

    def copy(self) -> None:
        """Copy the adapter, and check that it is a LoRA or a whole model."""
        check_rung(self.recipe)
        check_train()
        self.folder.mkdir()
        self.given = copy_given(self.claims.adapter, self.folder, self.watch)

    def load_task(self) -> None:
        """Load the task."""
        self.tasks = load_tasks(self.cases)
        [self.task] = find_tasks(self.tasks, [self.recipe.task])

    def rewards(self) -> tuple[RewardingCheck, ...]:
        """The checks that are declared as its reward, beside those that selected the claimed rows.

        Raises:
            UsageError: there is no such unit.
        """
        units = {unit.name: unit for unit in self.task.units}
        if unknown := [name for name in self.claims.rewarded_by if name not in units]:
            raise UsageError(f"--reward {unknown[0]}: expected a unit of {self.task.name}, found none; name one of "
                             f"{', '.join(units)}")  # fmt: skip
        declared = {rewarding_check(units[name], expectations=True) for name in self.claims.rewarded_by}
        return tuple(sorted({*super().rewards(), *declared}))

    def load(self) -> None:
        """Load the adapter on its declared base, and prove that it fits and acts."""
        with self.watch("Verifying that the adapter loads and has an effect"):
            try:
                self.model = self._loaded()
            except (Refused, CouldNotRun) as error:
                kind = Refused if isinstance(error, Refused) else CouldNotRun
                raise kind(self._as_given(str(error))) from error
        for note in self.given.notes(self.recipe.model, self.base.model, self.base.tokenizer.get_chat_template()):
            self.say(f"note: {note}")

    def _loaded(self) -> Any:
        if self.given.is_whole:
            texts = [text for each in requests(self.task.units) for _, text in each.messages]
            return load_whole_model(self.base, self.folder, texts)
        model = load_for(self.base, self.folder, self.base.base.placement)
        name_base(self.folder, self.recipe.model)
        return model

    def _as_given(self, message: str) -> str:
        """A message that names the given adapter in the place of its copy, which is then gone."""
        for copy in (str(self.folder.absolute()), str(self.folder), show_path(self.folder)):
            message = message.replace(copy, self.given.origin)
        return message

    def find_diagnosis(self) -> None:
        """Find the diagnosis, which may be later than the adapter; or keep the reason for going on without one."""
        recipe, subject = self.recipe, self.base.fingerprint.subject
        path = diagnosis_path(self.root, str(subject["model"]), self.task.name)
        if path.is_file():
            found = find_diagnosis(self.root, self.task, subject, recipe.model)
            eligible = eligibility(self.task, found, recipe.override, OVERRIDE)
        elif recipe.override:
            eligible = undiagnosed(recipe.override)
        else:
            how = how_to_diagnose(self.task, recipe.model)
            raise Refused(f"expected a diagnosis at {show_path(path)}, found none; run: {how}, or {OVERRIDE}")
        self.keep_diagnosis(eligible)

    def find_no_rows(self) -> None:
        """Go on without rows: nothing is known to be held out."""
        self.rows, self.private = [], []
        self.evidence["rows"] = []
        self.claim = TestedClaim("unknown", str(self.claims.reason), {})

    def test_claim(self) -> None:
        """Compare the loss on the claimed rows with that on cases."""
        self.evidence["grading"] = self.reported.summary()
        rows = sampled(self.rows, self.base, SAMPLE)
        others = foreign_rows([row for row, _ in rows], self.task, self.clean.near)
        cases = sampled(others, self.base, SAMPLE)
        texts = [text for _, text in (*rows, *cases)]
        with_adapter = losses(self.model, texts, self.watch, "the adapter")
        with self.model.disable_adapter():
            without = losses(self.model, texts, self.watch, "the base")
        n = len(rows)
        self.claim = weigh(Losses(without[:n], with_adapter[:n]), Losses(without[n:], with_adapter[n:]))

    def examine(self) -> None:
        """Test for memorized rows."""
        with self.watch("Testing for memorized training text"):
            found = find_memorization(self.model, self.base, self.rows, self.private, self.recipe.seed)
        for line in found.render() if self.claims.known else ():
            self.say(line)
        self.evidence["memorization"] = found.as_dict(adapter_digest(self.folder))

    def write(self) -> None:
        """Write the record into the copy, and move the copy to its place."""
        recipe, output = self.recipe, self.recipe.output.resolve()
        notes = list(self.given.notes(recipe.model, self.base.model, self.base.tokenizer.get_chat_template()))
        adoption = {
            "model": recipe.model, "origin": self.given.origin, "named_base": self.given.named_base,
            "trainer": self.claims.trainer, "notes": notes, "lora": self.given.lora, **self.claim.as_dict(),
            **({"whole": True} if self.given.is_whole else {}),
        }  # fmt: skip
        write_json(self.folder / TRAINING, stamped({
            "schema_version": 1, "created": datetime.now(UTC).isoformat(timespec="seconds"), "task": self.task.name,
            "adapter": adapter_digest(self.folder), "model": self.base.model.as_dict(), "adoption": adoption,
            **self.evidence, "versions": package_versions(),
        }))  # fmt: skip
        check_place(output, self.claims.adapter)  # again, since the tests take minutes
        output.parent.mkdir(parents=True, exist_ok=True)
        replace_folder(self.folder, output)
        self.say(f"{ADOPTED[self.claim.found]} {self.claim.said[:1].upper()}{self.claim.said[1:].rstrip('.')}.")


Steps = Sequence[Callable[[Adoption], None]]
FIRST: Steps = (Adoption.copy, Adoption.load_task)
BASE: Steps = (Adoption.open_base, Adoption.find_baselines, Adoption.find_diagnosis, Adoption.load)
OF_ROWS: Steps = (
    Adoption.grade_rows, Adoption.find_private_data, Adoption.decontaminate, Adoption.test_claim,
)  # fmt: skip
LAST: Steps = (Adoption.examine, Adoption.write)


def adopt_adapter(adoption: Adoption) -> Path:
    """Take an adapter through every step; nothing is written before the last.

    Returns:
        The adopted adapter's folder.

    Raises:
        AuthoringError: mistakes in fixtures or rows.
        UsageError: no such task, or a name on the Hub without its revision.
        Refused: it is no LoRA and no whole model, does not fit the base or act on it, or there is no baseline or
            diagnosis of the base.
        CouldNotRun: the libraries are not installed, or the model or the Hub's files are missing.
    """
    if adoption.claims.known:
        steps = (*FIRST, Adoption.load_rows, *BASE, *OF_ROWS, *LAST)
    else:
        steps = (*FIRST, *BASE, Adoption.find_no_rows, *LAST)
    for step in steps:
        step(adoption)
    return adoption.recipe.output
