"""Hyperparameter search: train with several settings and seeds; the best on the validation split are trained again."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.extras import need
from tunegate.harness.core.files import digest, locked
from tunegate.harness.core.progress import Watch
from tunegate.harness.history.ledger.ledger import Event
from tunegate.harness.history.ledger.store import append, read_ledger
from tunegate.harness.models.adapters import adapter_digest, training_record
from tunegate.trainers.config.recipe import Recipe
from tunegate.trainers.data.preference import Data
from tunegate.trainers.pipeline import ONE_SEED, examine, put_in_place, train_in
from tunegate.trainers.preparation import Ready, Say
from tunegate.trainers.training.checkpoints import open_work
from tunegate.trainers.training.loop import ADAPTER
from tunegate.trainers.training.trainers import pass_of
from tunegate.trainers.training.trials import (
    Trial,
    best_trial,
    next_settings,
    own_settings,
    read_trials,
    same_but_seed,
    with_settings,
    write_trial,
)

SPLIT = 0.2  # of the rows, if the recipe has no validation split
TRIALS, REFIT = "trials", "refit"  # the folders of finished trials, and of the last training
REFITTED = "these settings were then trained on all rows, with those of the validation split"


def for_search(recipe: Recipe, trials: int) -> Recipe:
    """Return the recipe with a validation split for the search.

    Raises:
        Refused: all trials would go to further seeds.
        CouldNotRun: Optuna is not installed.
    """
    need("optuna")
    if recipe.search.seeds_of(trials) >= trials:
        raise Refused(
            f"{show_path(recipe.path)}: search.seeds: expected fewer than --trials {trials}, since the first trial "
            f"trains the recipe unchanged, found {recipe.search.seeds}"
        )
    return replace(recipe, optim=replace(recipe.optim, validation_split=recipe.optim.validation_split or SPLIT))


def search_adapter(ready: Ready, trials: int, baselines: Path, watch: Watch, say: Say) -> Path:
    """Run `trials` trainings, and move the best adapter to its place; the ledger counts the trials.

    After a kill, the same command resumes the unfinished trial from its last checkpoint. The search reads no fixture:
    everything it evaluates on is in `ready`.

    Returns:
        The adapter's folder.

    Raises:
        Refused: the ledger is not intact, every trial was refused, or the output must not be replaced.
        CouldNotRun: the libraries are not installed, or the training failed.
    """
    read_ledger(baselines)  # fail before hours of work if the ledger is not intact
    output = ready.recipe.output.resolve()
    with locked(output.with_name(f".{output.name}")):
        work = output.with_name(f".{output.name}.search")
        open_work(work, {**ready.training, "search": digest(asdict(ready.recipe.search))}, say)
        finished = read_trials(work / TRIALS)
        if finished:
            say(f"finished trials found: {len(finished)}")
        while len(finished) < trials:
            finished.append(_try(ready, work, finished, trials, watch, say))
            _keep_only_best(work, finished)
        if not _is_placed(output, finished):
            _place(ready, work, finished, baselines, watch, say)
        shutil.rmtree(work)
    return output


def _try(ready: Ready, work: Path, finished: Sequence[Trial], trials: int, watch: Watch, say: Say) -> Trial:
    """Run the next trial, and store its result."""
    number = finished[-1].number + 1 if finished else 1
    settings = next_settings(ready.recipe, finished, trials)
    say(f"trial {number} of {trials}: {_render_settings(settings)}")
    one = replace(ready, recipe=with_settings(ready.recipe, settings))
    folder = _folder(work, number)
    open_work(folder, one.training, say)
    try:
        trial = Trial(number, settings, train_in(one, folder, watch, say))
    except Refused as error:  # diverged, or exceeded stop.kl; other trials may not
        trial = Trial(number, settings, refused=str(error))
    write_trial(work / TRIALS, trial)
    say(f"trial {number} of {trials}: {trial.chosen or trial.refused}{_time_left([*finished, trial], trials)}")
    return trial


def _render_settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value:.2g}" if name == "lr" else f"{name} {value}" for name, value in settings.items())


def _time_left(finished: Sequence[Trial], trials: int) -> str:
    seconds = [trial.facts["seconds"] for trial in finished if trial.facts]
    left = trials - len(finished)
    return f"; about {sum(seconds) / len(seconds) * left / 60:.0f} minutes left" if seconds and left else ""


def _folder(work: Path, number: int) -> Path:
    return work / f"trial-{number}"


def _keep_only_best(work: Path, finished: Sequence[Trial]) -> None:
    best = best_trial(finished)
    for trial in finished:
        if trial is not best:
            shutil.rmtree(_folder(work, trial.number), ignore_errors=True)


def _is_placed(output: Path, finished: Sequence[Trial]) -> bool:
    """Whether an earlier run was killed after it moved the adapter to its place."""
    record: Mapping[str, Any] = {}
    with suppress(Refused):  # a damaged record means: not placed
        record = training_record(output) or {}
    return bool(record.get("search", {}).get("each") == [trial.as_dict() for trial in finished])


def _place(ready: Ready, work: Path, finished: Sequence[Trial], baselines: Path, watch: Watch, say: Say) -> None:
    """Count the trials in the ledger, and move the best adapter to its place, with a record of all trials."""
    best = best_trial(finished)
    if best is None:
        raise Refused(f"search: expected a trial that ends with an adapter, found none: {finished[0].refused}")
    adapter = _folder(work, best.number) / ADAPTER
    try:
        sha = adapter_digest(adapter)
    except Refused as error:
        raise Refused(f"{error}; it was the best trial: delete {show_path(work)} and search again") from error
    one, facts = replace(ready, recipe=with_settings(ready.recipe, best.settings)), best.facts
    if not (kept := _why_no_refit(ready.recipe)):
        one = _on_all_rows(one, best)
        adapter, facts, sha = _refitted(one, work, watch, say)
    why, seeds = f"{_why(best, finished, ready)}; {kept or REFITTED}", _seeds(best, finished)
    search = {
        "trials": len(finished), "space": asdict(ready.recipe.search), "chosen": best.number, "why": why,
        "each": [trial.as_dict() for trial in finished],
    }  # fmt: skip
    # before the adapter is moved; if a kill comes in between, the ledger skips the repeated event
    subject = {**ready.base.fingerprint.subject, "adapter": sha}
    append(baselines, Event("searched", ready.recipe.task, subject, trials=len(finished)))
    put_in_place(one, adapter, facts, seeds, search=search, **examine(one, adapter, watch, say))
    say(why)
    say(seeds["note"])


def _why_no_refit(recipe: Recipe) -> str:
    """Why the adapter of the best trial is kept as it is; empty if its settings are trained again on all rows."""
    if not recipe.search.refit:
        return "its adapter is kept (search.refit: false)"
    if recipe.stop.kl is not None:
        return "its adapter is kept: without the validation split nothing holds to stop.kl"
    return ""


def _on_all_rows(one: Ready, best: Trial) -> Ready:
    """The training of the best trial's settings on all rows, with as many passes as its checkpoint had seen."""
    passes = best.facts["best_step"] / pass_of(one.recipe, len(one.tokens))
    optim = replace(one.recipe.optim, epochs=passes, validation_split=0.0)
    return replace(
        one, recipe=replace(one.recipe, optim=optim), tokens=cast(Data, [*one.tokens, *one.validation]), validation=[],
        asked=[], evidence={**one.evidence, "validation": {"rows": 0, "units": {}}},
    )  # fmt: skip


def _refitted(one: Ready, work: Path, watch: Watch, say: Say) -> tuple[Path, dict[str, Any], str]:
    """Train on all rows; return the adapter, the facts of its training and its digest."""
    folder = work / REFIT
    say(f"training the chosen settings on all {len(one.tokens)} rows, epochs {one.recipe.optim.epochs:.2g}")
    open_work(folder, one.training, say)
    facts = train_in(one, folder, watch, say)
    return folder / ADAPTER, facts, adapter_digest(folder / ADAPTER)


def _why(best: Trial, finished: Sequence[Trial], ready: Ready) -> str:
    by = "validation loss is the lowest" if best.chosen and best.chosen.score is None else "score is the highest"
    others = [each for each in finished if each is not best and each.settings == own_settings(ready.recipe)]
    against = "".join(f"; the unchanged recipe: {each.chosen or each.refused}" for each in others)
    scored = sum(bool(row.case) for row in ready.asked)
    return (
        f"trial {best.number} of {len(finished)} is the best ({_render_settings(best.settings)}): on the validation "
        f"split of {len(ready.validation)} rows its {by} ({best.chosen}{against}). The best of several trials looks "
        f"better than it is; evaluate it with the suites{cannot_choose(best, finished, scored)}"
    )


def cannot_choose(best: Trial, finished: Sequence[Trial], rows: int) -> str:
    """Return that the `rows` which are scored cannot tell the best settings from others; empty if they can.

    Scores within one standard error of a difference of two shares, sqrt(2 p (1 - p) / n), count as equal.
    """
    score = best.chosen.score if best.chosen else None
    if score is None or not rows:
        return ""
    error = math.sqrt(2 * min(max(score * (1 - score), 0.0), 0.25) / rows)
    alike = same_but_seed(finished, best)
    others = [each for each in finished if each not in alike and each.chosen and each.chosen.score is not None]
    near = {
        _render_settings({**each.settings, "seed": 0})
        for each in others
        if each.chosen and score - (each.chosen.score or 0.0) <= error
    }
    if not near:
        return ""
    settings = f"{len(near)} other setting{'s' if len(near) > 1 else ''}"
    return f"; {rows} scored rows cannot choose between it and {settings}: the scores differ by at most {error:.3f}"


def _seeds(best: Trial, finished: Sequence[Trial]) -> dict[str, Any]:
    """The seeds tried with the best trial's settings, and how far their results spread."""
    alike = [trial for trial in same_but_seed(finished, best) if trial.chosen]
    tried = [trial.settings["seed"] for trial in alike]
    chosen = [trial.chosen for trial in alike if trial.chosen]
    by_loss = any(each.score is None for each in chosen)
    values = [value for each in chosen if (value := each.loss if by_loss else each.score) is not None]
    if len(values) < 2:
        return {"tried": tried, "note": ONE_SEED}
    what = "validation losses" if by_loss else "scores"
    note = (
        f"{len(tried)} seeds with the same settings gave {what} from {min(values):.3f} to {max(values):.3f}: smaller "
        "differences between settings mean nothing"
    )
    return {"tried": tried, "what": what, "values": values, "note": note}
