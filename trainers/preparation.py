"""Everything that can refuse a training, step by step, before the first step of the training itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tunegate.harness.baselines.lookup import matching
from tunegate.harness.baselines.store import Baseline, digests
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Task
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.extras import check_train
from tunegate.harness.core.files import digest, file_digest, stamped, write_json
from tunegate.harness.core.progress import Watch
from tunegate.harness.diagnosis.eligibility import eligibility, find_diagnosis, render_eligibility
from tunegate.harness.models.adapters import CONFIG
from tunegate.harness.models.local.huggingface import Local
from tunegate.harness.models.model_options import NO_QUANTIZATION
from tunegate.harness.models.prompts import TRAINED
from tunegate.trainers.config.recipe import KTO, Recipe
from tunegate.trainers.data.asked_rows import AskedRow, asked_rows, why_not_scored
from tunegate.trainers.data.duplicates import find_duplicates
from tunegate.trainers.data.examples import Example, read_examples
from tunegate.trainers.data.preference import Data, for_method, tokenize_for, unpaired
from tunegate.trainers.data.private_data import (
    PrivateData,
    find_private_data,
    private_data_as_dict,
    render_private_data,
    settle_private_data,
)
from tunegate.trainers.data.report import ExampleReport, measured, render_grades, render_lengths
from tunegate.trainers.data.split import split
from tunegate.trainers.data.teacher import read_teacher, render_teacher
from tunegate.trainers.data.validation import grade, settle
from tunegate.trainers.decontamination.check import Decontaminated, decontaminate
from tunegate.trainers.decontamination.render import render_dropped
from tunegate.trainers.training.distributed import processes

PACKAGES = ("torch", "transformers", "peft", "trl", "accelerate", "datasets")
RELEASE = "release.json"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Ready:
    """All that was checked before the first step, and the evidence of it for the training record."""

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
        """The rows without those put aside."""
        aside = {row.request.key for row in self.asked}
        return [row for row in self.rows if row.place not in aside]

    @property
    def training(self) -> dict[str, str]:
        """Digests of everything that decides the adapter: a checkpoint is of use only where all of them are equal."""
        return {
            "recipe": digest(self.recipe.deciding()),
            "rows": digest([asdict(row) for row in [*self.tokens, *self.validation]]),
            # what evaluations were scored by, before a kill
            "checks": digest(sorted({row.case.check.references for row in self.asked if row.case})),
            "model": digest(self.base.fingerprint.subject),
            "versions": digest([self.base.fingerprint.engine, package_versions()]),
            # their shares of a step decide in which order sums are taken, so the last bits differ
            "number of processes": str(processes().count),
        }


def prepare(recipe: Recipe, cases: Path, baselines: Path, watch: Watch, say: Say, report: Path | None = None) -> Ready:
    """Everything that can refuse a training, cheapest first; writes nothing but the report.

    Args:
        recipe: what to train on and how.
        cases: the folder of fixtures.
        baselines: the folder of baselines.
        watch: shows the slower steps.
        say: is told a line at a time what was found.
        report: where the report on the rows goes, also when they are refused.

    Raises:
        AuthoringError: mistakes in fixtures or rows.
        Refused: no baseline or diagnosis of this model and these questions, a diagnosis that names another remedy,
            rows that fail the task's checks, repeat fixtures or are too long, or an output folder that may not be
            replaced.
        CouldNotRun: what trains is not installed, or the model is not there.
    """
    preparation = _Preparation(recipe, cases, baselines, watch, say, report)
    for step in STEPS:
        step(preparation)
    return preparation.ready


@dataclass
class _Preparation:
    """What is known so far; each step needs what those before it gave."""

    recipe: Recipe
    cases: Path
    root: Path  # of the baselines
    watch: Watch
    say: Say
    report: Path | None
    evidence: dict[str, Any] = field(default_factory=dict)  # for the training record

    tasks: Sequence[Task] = field(init=False)  # of the fixtures
    task: Task = field(init=False)  # that is trained for
    rows: Sequence[Example] = field(init=False)  # that are left
    base: Local = field(init=False)
    baselines: Sequence[Baseline] = field(init=False)
    reported: ExampleReport = field(init=False)
    private: Sequence[PrivateData] = field(init=False)
    clean: Decontaminated = field(init=False)
    ready: Ready = field(init=False)

    def check_recipe(self) -> None:
        """What it asks for can be had here."""
        check_output(self.recipe.output)
        _check_batch(self.recipe)
        _check_rung(self.recipe)
        check_train()

    def load_rows(self) -> None:
        """The rows, and the task whose checks they are held to."""
        recipe = self.recipe
        self.tasks = load_tasks(self.cases)
        self.task = _task(recipe, self.tasks)
        self.rows = for_method(read_examples(recipe.rows, self.task), recipe, self.say)
        files = _row_files(recipe, self.rows)  # digests now: the files may change while the training runs
        self.evidence["rows"] = files
        for each in files:
            if "teacher" in each:
                self.say(render_teacher(each))

    def open_base(self) -> None:
        """The model that is tuned."""
        recipe = self.recipe
        self.base = Local(recipe.model, self.watch, rung=recipe.rung, options=recipe.opened)
        if recipe.start:
            self.evidence |= {"start": recipe.start.history(self.base.model)}

    def find_baselines(self) -> None:
        """What the base answers to the fixtures was recorded before."""
        open_units = [unit for unit in self.task.units if not unit.sealed]
        if not open_units:
            raise Refused(
                f"{self.task.name}: expected a unit that is not sealed, to have a baseline of; found sealed ones only"
            )
        # what is tuned has no engine yet
        fingerprint, model = self.base.fingerprint, self.recipe.model
        self.baselines = matching(self.root, open_units, fingerprint, model, any_engine=True)
        self.evidence["baselines"] = digests(self.baselines)

    def find_diagnosis(self) -> None:
        """Fine-tuning is the remedy that the diagnosis names."""
        recipe = self.recipe
        found = find_diagnosis(self.root, self.task, self.base.fingerprint.subject, recipe.model)
        eligible = eligibility(self.task, found, recipe.override, show_path(recipe.path))
        self.say("the diagnosis:")
        for line in render_eligibility(eligible):
            self.say(line)
        self.evidence["diagnosis"] = eligible

    def grade_rows(self) -> None:
        """The rows pass the task's own checks."""
        rows = self.rows
        grades = grade(rows, self.task, self.watch)
        self.reported = ExampleReport(self.recipe, len(rows), grades, find_duplicates(rows))
        self._tell(render_grades(self.reported))
        self.rows = settle(rows, grades, self.recipe)

    def find_private_data(self) -> None:
        """The rows hold no secrets and no personal data."""
        self.private = find_private_data(self.rows, self.watch)
        found = private_data_as_dict(self.private, self.recipe)
        self.reported = replace(self.reported, private=found)
        self._tell(render_private_data(self.private, self.recipe))
        kept = settle_private_data(self.rows, self.private, self.recipe)
        self.reported = replace(self.reported, left_out=len(self.rows) - len(kept))
        self.rows = kept
        self.evidence["private_data"] = found

    def decontaminate(self) -> None:
        """No row repeats a fixture."""
        recipe, before = self.recipe, len(self.rows)
        self.clean = decontaminate(self.rows, self.tasks, recipe.decontaminate, recipe.exemptions, self.watch)
        self.rows = self.clean.rows
        left_out = self.reported.left_out + before - len(self.rows)
        self.reported = replace(self.reported, near=self.clean.report(), left_out=left_out)
        self._tell(render_dropped(self.clean.pairs, len(self.rows)))
        self.clean.check(recipe.path.parent)
        self.evidence["decontamination"] = self.clean.evidence()

    def divide(self) -> None:
        """The rows as tokens, and those that are put aside for validation."""
        recipe = self.recipe
        tokens = tokenize_for(self.rows, self.base.tokenizer, recipe)
        self.reported = measured(self.reported, self.rows, tokens, self.task)
        self._tell(render_lengths(self.reported))
        divided = split(self.rows, recipe)
        asked = asked_rows([self.rows[index] for index in divided.validation], self.task)
        for line in [*divided.render(), *_not_scored(asked)]:
            self.say(line)
        self.evidence |= {"grading": self.reported.summary(), "validation": divided.as_dict()}
        data, aside = (unpaired(part, recipe) for part in divided.apart(tokens))
        self.ready = Ready(
            recipe, self.base, self.rows, data, aside, asked, self.baselines, self.clean, self.evidence, self.private
        )

    def _tell(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.say(line)
        if self.report:
            write_json(self.report, stamped(self.reported.as_dict()))


STEPS: Sequence[Callable[[_Preparation], None]] = (
    _Preparation.check_recipe,
    _Preparation.load_rows,
    _Preparation.open_base,
    _Preparation.find_baselines,
    _Preparation.find_diagnosis,
    _Preparation.grade_rows,
    _Preparation.find_private_data,
    _Preparation.decontaminate,
    _Preparation.divide,
)


def _not_scored(asked: Sequence[AskedRow]) -> Iterator[str]:
    for reason, count in why_not_scored(asked).items():
        yield f"  {count} of them {'is' if count == 1 else 'are'} not scored: {reason}"
    if asked and not any(row.case for row in asked):
        yield "  the checkpoint is chosen by the validation loss: no check of the task can score these rows"


def check_output(output: Path) -> None:
    """Refuse to replace what is not an adapter, or is a released one."""
    # its manifest vouches for these very files
    if (output / RELEASE).exists():
        raise Refused(f"{show_path(output)} holds a released adapter; name another `output:` or --output")
    is_empty = output.is_dir() and not any(output.iterdir())
    if output.exists() and not is_empty and not (output / CONFIG).is_file():
        raise Refused(
            f"{show_path(output)}: expected no folder there, or an adapter to replace, found something else; "
            "name another `output:` or --output"
        )


def _check_batch(recipe: Recipe) -> None:
    """Refuse a batch that does not spread evenly: a recipe means the same steps on any number of processes."""
    count, batch = processes().count, recipe.optim.batch
    if count > 1 and recipe.method == KTO and batch == count:
        raise Refused(
            f"{show_path(recipe.path)}: optim.batch: expected two rows a step or more in each of {count} processes, as "
            f"kto needs them, found one; take {2 * count} rows a step"
        )
    if count > 1 and recipe.opened.quantization != NO_QUANTIZATION:
        raise Refused(
            f"--quantization {recipe.opened.quantization}: expected one process, which divides a quantized base over "
            f"its GPUs, found {count}; start it without a launcher"
        )
    if batch % count:
        raise Refused(
            f"{show_path(recipe.path)}: optim.batch: expected rows that {count} processes share evenly, found {batch}; "
            f"take {batch + count - batch % count} rows a step, or another number of processes"
        )


def _check_rung(recipe: Recipe) -> None:
    """Refuse a rung whose prompt is another one than the rows teach."""
    if recipe.rung not in TRAINED:
        raise Refused(
            f"--rung {recipe.rung}: expected a rung whose prompt is that of the rows, as-is or constrained; what an "
            "adapter learns under one prompt is not served under another"
        )


def _task(recipe: Recipe, tasks: Sequence[Task]) -> Task:
    for task in tasks:
        if task.name == recipe.task:
            return task
    known = ", ".join(task.name for task in tasks)
    raise Refused(f"{show_path(recipe.path)}: task {recipe.task!r}: expected one of {known}")


def _row_files(recipe: Recipe, rows: Sequence[Example]) -> list[dict[str, Any]]:
    names = [show_path(path) for path in recipe.rows]
    return [
        {"file": name, "sha256": file_digest(path), "rows": sum(row.file == name for row in rows), **read_teacher(path)}
        for name, path in zip(names, recipe.rows, strict=True)
    ]


def package_versions() -> dict[str, str]:
    """The versions of what trains."""
    return {name: version(name) for name in PACKAGES}
