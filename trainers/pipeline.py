"""Train a LoRA adapter after the preparation: train, verify, move the adapter to its place."""

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
from tunegate.harness.models.local.huggingface import Local, load_base
from tunegate.harness.models.local.placement import Placement
from tunegate.harness.models.model_options import NO_QUANTIZATION
from tunegate.harness.models.probe import PROBE
from tunegate.harness.rows.privacy.memorization import HOW_TO_MEND
from tunegate.trainers.config.sections import REFUSE
from tunegate.trainers.preparation import Ready, Say, check_output, package_versions
from tunegate.trainers.training.best_checkpoint import restore
from tunegate.trainers.training.checkpoints import close_work, keep_only, newest, open_work
from tunegate.trainers.training.curves import draw_curves
from tunegate.trainers.training.distributed import processes
from tunegate.trainers.training.evaluations import RowEvaluator
from tunegate.trainers.training.loop import ADAPTER, Job, fit
from tunegate.trainers.training.memorization import find_memorization
from tunegate.trainers.training.trainers import weights_dtype

ONE_SEED = (
    "one seed is not a measurement: another seed may change the score more than the settings do; "
    "run tunegate train --trials N to try several and see how far they spread"
)
MEMORIZES = f"a release refuses an adapter that reproduces training text verbatim or leaks secrets: {HOW_TO_MEND}"


def train_adapter(ready: Ready, watch: Watch, say: Say) -> Path:
    """Train and verify an adapter, and move it to its place atomically.

    An interrupted training leaves its checkpoints next to the output, and the same training resumes from them.

    Returns:
        The adapter's folder.

    Raises:
        Refused: the recipe does not fit the model, or the adapter does not load or has no effect.
        CouldNotRun: the libraries are not installed, or the training failed.
    """
    output = ready.recipe.output.resolve()
    # two trainings with the same output would share a work folder
    with locked(output.with_name(f".{output.name}")):
        work = output.with_name(f".{output.name}.training")
        open_work(work, ready.training, say)
        try:
            facts = train_in(ready, work, watch, say)
            found = examine(ready, work / ADAPTER, watch, say)
            put_in_place(ready, work / ADAPTER, facts, {"tried": [ready.recipe.seed], "note": ONE_SEED}, **found)
        # would be refused again, so there is nothing to resume
        except Refused:
            shutil.rmtree(work)
            raise
        except BaseException:  # interrupted, or out of memory: the same command resumes
            close_work(work)
            raise
        shutil.rmtree(work)
    say(ONE_SEED)
    return output


def train_in(ready: Ready, work: Path, watch: Watch, say: Say) -> dict[str, Any]:
    """Train in the folder `work`, or resume there, and verify the adapter; return facts for the training record.

    Raises:
        Refused: the recipe does not fit the model, or the adapter does not load or has no effect.
        CouldNotRun: the libraries are not installed, or the training failed.
    """
    start = time.monotonic()
    adapter = work / ADAPTER
    shutil.rmtree(adapter, ignore_errors=True)  # left by a killed run
    job = Job(ready.recipe, ready.tokens, ready.validation, work, newest(work))
    keep_only(work, job.checkpoint)
    restore(work, job.checkpoint)
    processes().hand_over(job)
    evaluator = RowEvaluator(ready.base, ready.asked) if ready.asked else None
    facts = fit(job, ready.base.folder, watch, say, evaluator)
    # From disk and on a freshly loaded base, since the model in memory proves nothing about the files.
    with watch("Verifying that the adapter loads and has an effect"):
        is_quantized = ready.recipe.opened.quantization != NO_QUANTIZATION
        as_trained = ready.base.base.placement if is_quantized else Placement(dtype=weights_dtype(ready.recipe))
        load_for(ready.base, adapter, as_trained)
    return facts | {"seconds": round(time.monotonic() - start, 1)}


def load_for(base: Local, adapter: Path, placement: Placement) -> Any:
    """Load an adapter on its base, and verify that it loads and has an effect.

    Raises:
        Refused: it does not fit, does not load or has no effect.
    """
    model = load_base(base.folder, placement)
    probe = base.tokenizer(PROBE, return_tensors="pt").input_ids.to(model.device)
    return load_adapter(model, adapter, probe)


def examine(ready: Ready, adapter: Path, watch: Watch, say: Say) -> dict[str, Any]:
    """Measure an adapter's memorization, for its training record; a release reads it.

    Raises:
        CouldNotRun: the model failed.
    """
    rows = ready.trained
    places = {row.place for row in rows}
    private = [each for each in ready.private if each.row.place in places]
    with watch("Testing for memorized training text"):
        # placed where it is evaluated: on an accelerator, if any
        model = load_for(ready.base, adapter, ready.base.base.placement)
        memorization = find_memorization(model, ready.base, rows, private, ready.recipe.seed)
    for line in memorization.render():
        say(line)
    if memorization.found and ready.recipe.memorization == REFUSE:
        say(MEMORIZES)
    return {"memorization": memorization.as_dict(adapter_digest(adapter))}


def put_in_place(ready: Ready, adapter: Path, facts: Mapping[str, Any], seeds: Mapping[str, Any], **more: Any) -> None:
    """Write the training record into a new adapter's folder, and move the folder to the recipe's output.

    The record has the `facts` of the training, the `seeds` that were tried with a note on their
    spread, and `more` parts.

    Raises:
        Refused: the output must not be replaced.
    """
    output = ready.recipe.output.resolve()
    check_output(output)  # again, since it may have changed during the training
    if "validation" in facts:
        draw_curves(adapter / CURVES, facts, ready.recipe.stop.kl)
    if ready.clean.dropped:
        write_atomically(adapter / DROPPED, ready.clean.dropped_file)
    write_json(adapter / TRAINING, stamped(_record(ready, adapter, facts) | {"seeds": dict(seeds), **more}))
    replace_folder(adapter, output)


def replace_folder(new: Path, output: Path) -> None:
    """Move a folder to a place, over the folder that is there."""
    old = output.with_name(f".{output.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if output.exists():
        # os.replace cannot overwrite a folder with files in it; a kill in between leaves the old one under this name
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
