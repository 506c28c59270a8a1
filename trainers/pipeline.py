"""Train a LoRA adapter from a recipe: the guards, then the training, then the proof, then the adapter in its place."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tunegate.harness.baselines.lookup import matching
from tunegate.harness.baselines.store import Baseline, digests
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Task
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.extras import check_train
from tunegate.harness.core.files import digest, file_digest, locked, stamped, write_atomically, write_json
from tunegate.harness.core.progress import Watch
from tunegate.harness.diagnosis.eligibility import eligibility, find_diagnosis, render_eligibility
from tunegate.harness.models.adapters import CONFIG, CURVES, DROPPED, TRAINING, adapter_digest, load_adapter
from tunegate.harness.models.local.huggingface import PROBE, Local, load_base
from tunegate.harness.models.local.placement import Placement
from tunegate.harness.models.model_options import NO_QUANTIZATION
from tunegate.harness.models.prompts import TRAINED
from tunegate.harness.privacy.recitation import HOW_TO_MEND
from tunegate.trainers.config.recipe import KTO, REFUSE, Recipe
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
from tunegate.trainers.training.best_checkpoint import restore
from tunegate.trainers.training.checkpoints import close_work, keep_only, newest, open_work
from tunegate.trainers.training.curves import draw_curves
from tunegate.trainers.training.distributed import processes
from tunegate.trainers.training.evaluations import RowEvaluator
from tunegate.trainers.training.loop import ADAPTER, Job, fit
from tunegate.trainers.training.recitation import find_recitation
from tunegate.trainers.training.update_size import measure_update

PACKAGES = ("torch", "transformers", "peft", "trl", "accelerate", "datasets")
RELEASE = "release.json"
ONE_SEED = (
    "one seed is no measurement: another may move the score by more than the settings do; "
    "tunegate train --trials N tries several, and says how far they spread"
)
RECITES = f"a release refuses an adapter that recites its rows or tells their secrets: {HOW_TO_MEND}"
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
            "versions": digest([self.base.fingerprint.engine, _versions()]),
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
    _check_output(recipe.output)
    _check_batch(recipe)
    _check_rung(recipe)
    check_train()
    tasks = load_tasks(cases)
    task = _task(recipe, tasks)
    every = for_method(read_examples(recipe.rows, task), recipe, say)
    files = _row_files(recipe, every)  # digests now: the files may change while the training runs
    for each in files:
        if "teacher" in each:
            say(render_teacher(each))
    base = Local(recipe.model, watch, rung=recipe.rung, options=recipe.opened)
    history = {"start": recipe.start.history(base.model)} if recipe.start else {}
    found = _baselines(recipe, task, base, baselines)
    eligible = _eligibility(recipe, task, base, baselines, say)
    graded = ExampleReport(recipe, len(every), grade(every, task, watch), find_duplicates(every))
    _tell(graded, render_grades, say, report)
    passing = settle(every, graded.grades, recipe)
    private = find_private_data(passing, watch)
    graded = replace(graded, private=private_data_as_dict(private, recipe))
    _tell(graded, lambda _: render_private_data(private, recipe), say, report)
    public = settle_private_data(passing, private, recipe)
    clean = decontaminate(public, tasks, recipe.decontaminate, recipe.exemptions, watch)
    rows = clean.rows
    graded = replace(graded, near=clean.report(), left_out=len(passing) - len(rows))
    _tell(graded, lambda _: render_dropped(clean.pairs, len(rows)), say, report)
    clean.check(recipe.path.parent)
    tokens = tokenize_for(rows, base.tokenizer, recipe)
    graded = measured(graded, rows, tokens, task)
    _tell(graded, render_lengths, say, report)
    divided = split(rows, recipe)
    asked = asked_rows([rows[index] for index in divided.validation], task)
    for line in [*divided.render(), *_not_scored(asked)]:
        say(line)
    evidence = {
        "rows": files,
        "grading": graded.summary(),
        "private_data": private_data_as_dict(private, recipe),
        "decontamination": clean.evidence(),
        "validation": divided.as_dict(),
    }
    evidence |= {"baselines": digests(found), "diagnosis": eligible, **history}
    data, aside = (unpaired(part, recipe) for part in divided.apart(tokens))
    return Ready(recipe, base, rows, data, aside, asked, found, clean, evidence, private)


def _not_scored(asked: Sequence[AskedRow]) -> Iterator[str]:
    for reason, count in why_not_scored(asked).items():
        yield f"  {count} of them {'is' if count == 1 else 'are'} not scored: {reason}"
    if asked and not any(row.case for row in asked):
        yield "  the checkpoint is chosen by the validation loss: no check of the task can score these rows"


def _tell(found: ExampleReport, lines: Callable[[ExampleReport], Iterable[str]], say: Say, report: Path | None) -> None:
    for line in lines(found):
        say(line)
    if report:
        write_json(report, stamped(found.as_dict()))


def _check_output(output: Path) -> None:
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


def _baselines(recipe: Recipe, task: Task, base: Local, root: Path) -> list[Baseline]:
    open_units = [unit for unit in task.units if not unit.sealed]
    if not open_units:
        raise Refused(f"{task.name}: expected a unit that is not sealed, to have a baseline of; found sealed ones only")
    return matching(root, open_units, base.fingerprint, recipe.model, any_engine=True)  # what is tuned has none


def _eligibility(recipe: Recipe, task: Task, base: Local, root: Path, say: Say) -> dict[str, Any]:
    found = find_diagnosis(root, task, base.fingerprint.subject, recipe.model)
    eligible = eligibility(task, found, recipe.override, show_path(recipe.path))
    say("the diagnosis:")
    for line in render_eligibility(eligible):
        say(line)
    return eligible


def _row_files(recipe: Recipe, rows: Sequence[Example]) -> list[dict[str, Any]]:
    names = [show_path(path) for path in recipe.rows]
    return [
        {"file": name, "sha256": file_digest(path), "rows": sum(row.file == name for row in rows), **read_teacher(path)}
        for name, path in zip(names, recipe.rows, strict=True)
    ]


def train_adapter(ready: Ready, watch: Watch, say: Say) -> Path:
    """Train, prove, and put the adapter in its place in one move; a kill leaves the old one or none.

    What a training that was cut off had come to is kept beside the output, and the same training goes on from there.

    Returns:
        The adapter's folder.

    Raises:
        Refused: the recipe does not fit the model, or the adapter does not load and act.
        CouldNotRun: the libraries are not installed, or the machine gave up.
    """
    output = ready.recipe.output.resolve()
    # two trainings of one output would write into one work folder
    with locked(output.with_name(f".{output.name}")):
        work = output.with_name(f".{output.name}.training")
        open_work(work, ready.training, say)
        try:
            facts = train_in(ready, work, watch, say)
            found = examine(ready, work / ADAPTER, watch, say)
            put_in_place(ready, work / ADAPTER, facts, {"tried": [ready.recipe.seed], "note": ONE_SEED}, **found)
        # nothing to go on from: what is refused now is refused again
        except Refused:
            shutil.rmtree(work)
            raise
        except BaseException:  # interrupted, or out of memory: the same command goes on
            close_work(work)
            raise
        shutil.rmtree(work)
    say(ONE_SEED)
    return output


def train_in(ready: Ready, work: Path, watch: Watch, say: Say) -> dict[str, Any]:
    """Train in the folder `work`, or go on there, and prove the adapter, which lies in it then; facts for the record.

    Raises:
        Refused: the recipe does not fit the model, or the adapter does not load and act.
        CouldNotRun: the libraries are not installed, or the machine gave up.
    """
    start = time.monotonic()
    adapter = work / ADAPTER
    shutil.rmtree(adapter, ignore_errors=True)  # what a killed run left there is never read
    job = Job(ready.recipe, ready.tokens, ready.validation, work, newest(work))
    keep_only(work, job.checkpoint)
    restore(work, job.checkpoint)
    processes().hand_over(job)
    evaluator = RowEvaluator(ready.base, ready.asked) if ready.asked else None
    facts = fit(job, ready.base.folder, watch, say, evaluator)
    # From the disk and on a base that was loaded anew: the model in memory would prove nothing about the files.
    with watch("Proving that the adapter loads and acts"):
        is_quantized = ready.recipe.opened.quantization != NO_QUANTIZATION
        _load(ready, adapter, ready.base.base.placement if is_quantized else Placement())
    return facts | {"seconds": round(time.monotonic() - start, 1)}


def _load(ready: Ready, adapter: Path, placement: Placement) -> Any:
    """The adapter on its base, proven to load and to act."""
    base = load_base(ready.base.folder, placement)
    probe = ready.base.tokenizer(PROBE, return_tensors="pt").input_ids.to(base.device)
    return load_adapter(base, adapter, probe)


def examine(ready: Ready, adapter: Path, watch: Watch, say: Say) -> dict[str, Any]:
    """What a new adapter recites of its rows, and how far it moves the base, for its record; a release reads it.

    Raises:
        CouldNotRun: the machine gave up.
    """
    rows = ready.trained
    places = {row.place for row in rows}
    private = [each for each in ready.private if each.row.place in places]
    with watch("Asking what it recites of its rows"):
        model = _load(ready, adapter, ready.base.base.placement)  # where it is judged: an accelerator, if there is one
        size = measure_update(model)
        recitation = find_recitation(model, ready.base, rows, private, ready.recipe.seed)
    for line in [*recitation.render(), *size.render()]:
        say(line)
    if recitation.found and ready.recipe.recitation == REFUSE:
        say(RECITES)
    return {"recitation": recitation.as_dict(adapter_digest(adapter)), "update_size": size.as_dict()}


def put_in_place(ready: Ready, adapter: Path, facts: Mapping[str, Any], seeds: Mapping[str, Any], **more: Any) -> None:
    """Write the training record into a new adapter's folder, and move it to the recipe's output.

    Args:
        ready: what it was trained on.
        adapter: its folder.
        facts: what the training came to.
        seeds: which seeds were tried, and what that tells.
        more: further parts of the record.

    Raises:
        Refused: the output may not be replaced.
    """
    output = ready.recipe.output.resolve()
    _check_output(output)  # again: the training took its time
    if "validation" in facts:
        draw_curves(adapter / CURVES, facts, ready.recipe.stop.kl)
    if ready.clean.dropped:
        write_atomically(adapter / DROPPED, ready.clean.dropped_file)
    write_json(adapter / TRAINING, stamped(_record(ready, adapter, facts) | {"seeds": dict(seeds), **more}))
    _replace(adapter, output)


def _replace(new: Path, output: Path) -> None:
    old = output.with_name(f".{output.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if output.exists():
        # os.replace takes no folder with files in it, so the old one steps aside; a kill in between leaves it there
        os.replace(output, old)
    os.replace(new, output)
    shutil.rmtree(old, ignore_errors=True)


def _record(ready: Ready, adapter: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    recipe = ready.recipe
    return {
        "schema_version": 1,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "task": recipe.task,
        "adapter": adapter_digest(adapter),
        "model": ready.base.model.as_dict(),
        "recipe": recipe.effective(),
        "recipe_digest": digest(recipe.effective()),
        **ready.evidence,
        "versions": _versions(),
        "training": dict(facts),
    }


def _versions() -> dict[str, str]:
    return {name: version(name) for name in PACKAGES}
