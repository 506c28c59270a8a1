"""All checks that can refuse a training, step by step, before the training itself starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Task
from tunegate.harness.cases.rewarding import RewardingCheck, read_rewards
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.extras import check_installed, check_train
from tunegate.harness.core.files import digest, stamped, write_json
from tunegate.harness.core.progress import Watch
from tunegate.harness.core.typed import as_data
from tunegate.harness.history.baselines.matching import matching
from tunegate.harness.history.baselines.store import Baseline, digests
from tunegate.harness.models.adapters import CONFIG
from tunegate.harness.models.local.huggingface import Local
from tunegate.harness.models.model_options import NO_QUANTIZATION
from tunegate.harness.models.prompts import TRAINED
from tunegate.harness.models.tool_format import ToolFormat
from tunegate.harness.release.diagnosis.eligibility import eligibility, find_diagnosis, in_recipe, render_eligibility
from tunegate.harness.release.manifest import MANIFEST
from tunegate.harness.rows.examples import Example, RowFile, read_row_files
from tunegate.harness.rows.near_cases import among_sentence
from tunegate.harness.rows.search import near_among
from tunegate.trainers.config.recipe import KTO, Recipe
from tunegate.trainers.data.asked_rows import AskedRow, asked_rows, why_not_scored
from tunegate.trainers.data.duplicates import find_duplicates
from tunegate.trainers.data.labels import render_lost_labels
from tunegate.trainers.data.preference import Data, check_left, for_method, tokenize_for, unpaired
from tunegate.trainers.data.private_data import (
    PrivateData,
    find_private_data,
    private_data_as_dict,
    render_private_data,
    settle_private_data,
)
from tunegate.trainers.data.report import ExampleReport, measured, render_grades, render_lengths
from tunegate.trainers.data.split import split
from tunegate.trainers.data.teacher import read_teacher, render_rewards, render_teacher, rewards_of_rows
from tunegate.trainers.data.validation import grade, settle
from tunegate.trainers.data.writer import writer_of
from tunegate.trainers.decontamination.check import Decontaminated, decontaminate
from tunegate.trainers.decontamination.render import render_dropped, render_near
from tunegate.trainers.training.distributed import processes

PACKAGES = ("torch", "transformers", "peft", "trl", "accelerate", "datasets")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Ready:
    """The result of the preparation, with the evidence for the training record."""

    recipe: Recipe
    base: Local
    rows: Sequence[Example]
    tokens: Data
    validation: Data
    asked: Sequence[AskedRow]
    baselines: Sequence[Baseline]
    clean: Decontaminated
    evidence: Mapping[str, Any]
    private: Sequence[PrivateData] = ()

    @property
    def trained(self) -> list[Example]:
        """The rows outside the validation split."""
        aside = {row.request.key for row in self.asked}
        return [row for row in self.rows if row.place not in aside]

    @property
    def training(self) -> dict[str, str]:
        """Digests of everything that determines the adapter; a checkpoint is usable only if all of them match."""
        return {
            "recipe": digest(self.recipe.deciding()),
            "rows": digest([asdict(row) for row in [*self.tokens, *self.validation]]),
            # evaluations before a kill were scored by these
            "checks": digest(sorted({row.case.check.references for row in self.asked if row.case})),
            "model": digest(self.base.fingerprint.subject),
            "versions": digest([self.base.fingerprint.engine, package_versions()]),
            # it determines the order of summation, so the last bits differ
            "number of processes": str(processes().count),
        }


def prepare(recipe: Recipe, cases: Path, baselines: Path, watch: Watch, say: Say, report: Path | None = None) -> Ready:
    """Run all checks that can refuse a training, cheapest first; write nothing but the `report` on the rows.

    The report is written even if they are refused.

    Raises:
        AuthoringError: mistakes in fixtures or rows.
        Refused: no baseline or diagnosis for this model and these cases, a diagnosis that names another remedy, rows
            that fail the task's checks, repeat fixtures, are too long or leave kto nothing to compare, or an output
            folder that must not be replaced.
        CouldNotRun: the training libraries are not installed, or the model is missing.
    """
    preparation = Preparation(recipe, cases, baselines, watch, say, report)
    for step in STEPS:
        step(preparation)
    return preparation.ready


@dataclass
class Preparation:
    """The state of a preparation; each step uses the results of the steps before it."""

    recipe: Recipe
    cases: Path
    root: Path  # of the baselines
    watch: Watch
    say: Say
    report: Path | None
    evidence: dict[str, Any] = field(default_factory=dict)  # for the training record

    tasks: Sequence[Task] = field(init=False)  # all tasks of the fixtures
    task: Task = field(init=False)  # the recipe's task
    loaded: Sequence[Example] = ()  # all rows
    rows: Sequence[Example] = field(init=False)  # the remaining rows
    base: Local = field(init=False)
    baselines: Sequence[Baseline] = field(init=False)
    reported: ExampleReport = field(init=False)
    private: Sequence[PrivateData] = field(init=False)
    clean: Decontaminated = field(init=False)
    ready: Ready = field(init=False)

    def check_recipe(self) -> None:
        """Check that the recipe can be run on this machine."""
        check_output(self.recipe.output)
        _check_batch(self.recipe)
        check_rung(self.recipe)
        check_train()
        check_installed(*self.recipe.report_to)

    def load_rows(self) -> None:
        """Load the task and the rows."""
        recipe = self.recipe
        self.tasks = load_tasks(self.cases)
        self.task = _task(recipe, self.tasks)
        files = read_row_files(recipe.rows, self.task, recipe.format, once=not recipe.adopts)
        for line in (line for file in files for line in file.render()):
            self.say(line)
        rows = [row for file in files for row in file.rows]
        self.loaded = self.rows = rows if recipe.adopts else for_method(rows, recipe, self.say)
        self.evidence["rows"] = known = [_as_evidence(file) for file in files]
        for each in known:
            if "teacher" in each:
                self.say(render_teacher(each))

    def open_base(self) -> None:
        """Open the base model."""
        recipe = self.recipe
        self.base = Local(recipe.model, self.watch, rung=recipe.rung, options=recipe.opened)
        if any(row.tools for row in self.loaded):
            self.keep_tool_format(self.base.base.tool_format)
        if recipe.start:
            self.evidence |= {"start": recipe.start.history(self.base.model)}
        if rewards := self.rewards():
            self.evidence["rewards"] = as_data(rewards)
            for line in render_rewards(rewards, self.task):
                self.say(line)

    def keep_tool_format(self, found: ToolFormat) -> None:
        """Print in which form the rows' tools and calls are shown, and keep it."""
        whose = found.name or "of the model's own template"
        self.say(f"  tool calls in the form {whose}")
        self.evidence["tool_format"] = {"name": found.name, "digest": found.digest}

    def rewards(self) -> tuple[RewardingCheck, ...]:
        """The checks that selected the rows, and those of the adapter that the training continues from."""
        parent = self.recipe.start.record.get("rewards", ()) if self.recipe.start else ()
        own = rewards_of_rows(self.evidence.get("rows", ()), self.base.model.base)
        return tuple(sorted({*own, *read_rewards(parent)}))

    def find_baselines(self) -> None:
        """Find the recorded baselines of the base model."""
        open_units = [unit for unit in self.task.units if not unit.sealed]
        if not open_units:
            raise Refused(f"{self.task.name}: expected an unsealed unit, for a baseline, found sealed units only")
        # the engine of the tuned model is not known yet
        fingerprint, model = self.base.fingerprint, self.recipe.model
        self.baselines = matching(self.root, open_units, fingerprint, model, any_engine=True)
        self.evidence["baselines"] = digests(self.baselines)

    def find_diagnosis(self) -> None:
        """Check that the diagnosis names fine-tuning as the remedy."""
        recipe = self.recipe
        found = find_diagnosis(self.root, self.task, self.base.fingerprint.subject, recipe.model)
        eligible = eligibility(self.task, found, recipe.override, in_recipe(show_path(recipe.path)))
        self.keep_diagnosis(eligible)

    def keep_diagnosis(self, eligible: dict[str, Any]) -> None:
        """Print what the diagnosis says, and keep it."""
        self.say("the diagnosis:")
        for line in render_eligibility(eligible):
            self.say(line)
        self.evidence["diagnosis"] = eligible

    def grade_rows(self) -> None:
        """Score the rows with the task's own checks."""
        rows = self.rows
        grades = grade(rows, self.task, self.watch)
        self.reported = ExampleReport(self.recipe, len(rows), grades, find_duplicates(rows))
        self._report(render_grades(self.reported))
        self.rows = settle(rows, grades, self.recipe)

    def find_private_data(self) -> None:
        """Look for secrets and personal data in the rows."""
        self.private = find_private_data(self.rows, self.watch)
        found = private_data_as_dict(self.private, self.recipe)
        self.reported = replace(self.reported, private=found)
        self._report(render_private_data(self.private, self.recipe))
        kept = settle_private_data(self.rows, self.private, self.recipe)
        self.reported = replace(self.reported, left_out=len(self.rows) - len(kept))
        self.rows = kept
        self.evidence["private_data"] = found

    def decontaminate(self) -> None:
        """Compare the rows with the fixtures."""
        recipe, given = self.recipe, self.rows
        self.clean = decontaminate(given, self.tasks, recipe.decontaminate, recipe.exemptions, self.watch)
        self.rows = self.clean.rows
        left_out = self.reported.left_out + len(given) - len(self.rows)
        self.reported = replace(self.reported, near=self.clean.report(), left_out=left_out)
        self._report(
            [
                *render_dropped(self.clean.pairs, len(self.rows)),
                *render_lost_labels(given, self.rows),
                *(f"  warning: {each}" for each in self.clean.found.reworded),
                *render_near(self.clean.near, self.tasks),
            ]
        )
        self.clean.check(recipe.path.parent)
        found = self._with_near_of_parent(self.clean.evidence())
        if found["near"]:
            found["among_rows"] = near_among(given, self.tasks, self.watch)
            self.say(f"  {among_sentence(len(found['near']), found['among_rows'])}")
        self.evidence["decontamination"] = found

    def _with_near_of_parent(self, evidence: dict[str, Any]) -> dict[str, Any]:
        """Add the cases that the rows of the adapter that the training continues from come near."""
        parent = self.recipe.start.record.get("decontamination", {}) if self.recipe.start else {}
        known = {each["case"] for each in evidence["near"]}
        return evidence | {
            "near": [*evidence["near"], *(each for each in parent.get("near", ()) if each["case"] not in known)]
        }

    def divide(self) -> None:
        """Tokenize the rows, and separate the validation split."""
        recipe = self.recipe
        check_left(self.rows, self.rows, self.loaded, recipe)
        writer = writer_of(self.base.tokenizer, self.base.base.ends)
        tokens = tokenize_for(self.rows, writer, recipe)
        if writer.patched:
            self.say(f"  outputs written by TRL's template for training, since the model's ends none: "
                     f"{len(writer.patched)}")  # fmt: skip
        self.reported = measured(self.reported, self.rows, tokens, self.task)
        self._report(render_lengths(self.reported))
        divided = split(self.rows, recipe)
        check_left([self.rows[index] for index in divided.train], self.rows, self.loaded, recipe)
        asked = asked_rows([self.rows[index] for index in divided.validation], self.task)
        for line in [*divided.render(), *_not_scored(asked)]:
            self.say(line)
        self.evidence |= {"grading": self.reported.summary(), "validation": divided.as_dict()}
        data, aside = (unpaired(part, recipe) for part in divided.apart(tokens))
        self.ready = Ready(
            recipe, self.base, self.rows, data, aside, asked, self.baselines, self.clean, self.evidence, self.private
        )

    def _report(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.say(line)
        if self.report:
            write_json(self.report, stamped(self.reported.as_dict()))


STEPS: Sequence[Callable[[Preparation], None]] = (
    Preparation.check_recipe,
    Preparation.load_rows,
    Preparation.open_base,
    Preparation.find_baselines,
    Preparation.find_diagnosis,
    Preparation.grade_rows,
    Preparation.find_private_data,
    Preparation.decontaminate,
    Preparation.divide,
)


def _not_scored(asked: Sequence[AskedRow]) -> Iterator[str]:
    for reason, count in why_not_scored(asked).items():
        yield f"  {count} of them {'is' if count == 1 else 'are'} not scored: {reason}"
    if asked and not any(row.case for row in asked):
        yield "  the checkpoint is chosen by validation loss: no check of the task can score these rows"


def check_output(output: Path) -> None:
    """Refuse to replace a released adapter, or a folder that is not an adapter."""
    # its manifest lists the digests of these files
    if (output / MANIFEST).exists():
        raise Refused(f"{show_path(output)} holds a released adapter; name another `output:` or --output")
    is_empty = output.is_dir() and not any(output.iterdir())
    if output.exists() and not is_empty and not (output / CONFIG).is_file():
        raise Refused(
            f"{show_path(output)}: expected no folder, or an adapter to replace, found other files; "
            "name another `output:` or --output"
        )


def _check_batch(recipe: Recipe) -> None:
    """Refuse a batch that cannot be divided evenly; a recipe means the same steps on any number of processes."""
    count, batch = processes().count, recipe.optim.batch
    if count > 1 and recipe.method == KTO and batch == count:
        raise Refused(
            f"{show_path(recipe.path)}: optim.batch: expected at least two rows per step in each of {count} processes, "
            f"which kto needs, found one; set it to {2 * count}"
        )
    if count > 1 and recipe.opened.quantization != NO_QUANTIZATION:
        raise Refused(
            f"--quantization {recipe.opened.quantization}: expected one process, which spreads a quantized base over "
            f"its GPUs, found {count}; start it without a launcher"
        )
    if batch % count:
        raise Refused(
            f"{show_path(recipe.path)}: optim.batch: expected a multiple of {count}, the number of processes, found "
            f"{batch}; set it to {batch + count - batch % count}, or use another number of processes"
        )


def check_rung(recipe: Recipe) -> None:
    """Refuse a prompting strategy whose prompt differs from that of the rows."""
    if recipe.rung not in TRAINED:
        raise Refused(
            f"--rung {recipe.rung}: expected as-is or constrained, which use the prompt of the rows; an adapter "
            "trained with one prompt is not served with another"
        )


def _task(recipe: Recipe, tasks: Sequence[Task]) -> Task:
    for task in tasks:
        if task.name == recipe.task:
            return task
    known = ", ".join(task.name for task in tasks)
    raise Refused(f"{show_path(recipe.path)}: task {recipe.task!r}: expected one of {known}")


def _as_evidence(file: RowFile) -> dict[str, Any]:
    unused = {"unused": dict(file.unused)} if file.unused else {}
    known = {"file": file.name, "form": file.form, "sha256": file.sha256, "rows": len(file.rows)}
    return {**known, **unused, **read_teacher(file.path)}


def package_versions() -> dict[str, str]:
    """The versions of the training libraries."""
    return {name: version(name) for name in PACKAGES}
