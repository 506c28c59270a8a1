"""Train a LoRA adapter from what was prepared: the training, the proof, the adapter in its place."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import Refused
from tunegate.harness.core.files import digest, locked, stamped, write_atomically, write_json
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.adapters import CURVES, DROPPED, TRAINING, adapter_digest, load_adapter
from tunegate.harness.models.local.huggingface import PROBE, load_base
from tunegate.harness.models.local.placement import Placement
from tunegate.harness.models.model_options import NO_QUANTIZATION
from tunegate.harness.privacy.memorization import HOW_TO_MEND
from tunegate.trainers.config.sections import REFUSE
from tunegate.trainers.preparation import Ready, Say, check_output, package_versions
from tunegate.trainers.training.best_checkpoint import restore
from tunegate.trainers.training.checkpoints import close_work, keep_only, newest, open_work
from tunegate.trainers.training.curves import draw_curves
from tunegate.trainers.training.distributed import processes
from tunegate.trainers.training.evaluations import RowEvaluator
from tunegate.trainers.training.loop import ADAPTER, Job, fit
from tunegate.trainers.training.memorization import find_memorization
from tunegate.trainers.training.update_size import measure_update

ONE_SEED = (
    "one seed is no measurement: another may move the score by more than the settings do; "
    "tunegate train --trials N tries several, and says how far they spread"
)
MEMORIZES = f"a release refuses an adapter that recites its rows or tells their secrets: {HOW_TO_MEND}"


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
        memorization = find_memorization(model, ready.base, rows, private, ready.recipe.seed)
    for line in [*memorization.render(), *size.render()]:
        say(line)
    if memorization.found and ready.recipe.memorization == REFUSE:
        say(MEMORIZES)
    return {"memorization": memorization.as_dict(adapter_digest(adapter)), "update_size": size.as_dict()}


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
    check_output(output)  # again: the training took its time
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
        "versions": package_versions(),
        "training": dict(facts),
    }
