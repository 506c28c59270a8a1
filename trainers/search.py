"""A search instead of a guess: trainings with other settings and seeds, chosen among on the rows put aside."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.extras import need
from tunegate.harness.core.files import digest, locked
from tunegate.harness.core.progress import Watch
from tunegate.harness.ledger.ledger import Event, append, read_ledger
from tunegate.harness.models.adapters import adapter_digest, training_record
from tunegate.trainers.config.recipe import Recipe
from tunegate.trainers.pipeline import ONE_SEED, examine, put_in_place, train_in
from tunegate.trainers.preparation import Ready, Say
from tunegate.trainers.training.checkpoints import open_work
from tunegate.trainers.training.loop import ADAPTER
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

SPLIT = 0.2  # of the rows, where the recipe puts none aside
TRIALS = "trials"  # the folder of what came to its end


def for_search(recipe: Recipe, trials: int) -> Recipe:
    """The recipe with rows put aside, on which a search chooses.

    Raises:
        Refused: all trials would go to further seeds.
        CouldNotRun: what searches is not installed.
    """
    need("optuna")
    if recipe.search.seeds_of(trials) >= trials:
        raise Refused(
            f"{show_path(recipe.path)}: search.seeds: expected fewer than --trials {trials}, the first of which trains "
            f"the recipe as it stands, found {recipe.search.seeds}"
        )
    return replace(recipe, optim=replace(recipe.optim, validation_split=recipe.optim.validation_split or SPLIT))


def search_adapter(ready: Ready, trials: int, baselines: Path, watch: Watch, say: Say) -> Path:
    """Train so many times, and put the best adapter in its place; the ledger counts the trials.

    A kill costs the trial in progress, of which the last checkpoint stays: the same command goes on from there. No
    fixture is opened: all that is asked stands in `ready`.

    Returns:
        The adapter's folder.

    Raises:
        Refused: the ledger is not whole, every trial was refused, or the output may not be replaced.
        CouldNotRun: the libraries are not installed, or the machine gave up.
    """
    read_ledger(baselines)  # before hours of work: what is not whole would refuse its event in the end
    output = ready.recipe.output.resolve()
    with locked(output.with_name(f".{output.name}")):
        work = output.with_name(f".{output.name}.search")
        open_work(work, {**ready.training, "search": digest(ready.recipe.search.as_dict())}, say)
        finished = read_trials(work / TRIALS)
        if finished:
            say(f"{len(finished)} trials are there already")
        while len(finished) < trials:
            finished.append(_try(ready, work, finished, trials, watch, say))
            _keep_only_best(work, finished)
        if not _is_placed(output, finished):
            _place(ready, work, finished, baselines, watch, say)
        shutil.rmtree(work)
    return output


def _try(ready: Ready, work: Path, finished: Sequence[Trial], trials: int, watch: Watch, say: Say) -> Trial:
    """Train once more, and keep what it came to."""
    number = finished[-1].number + 1 if finished else 1
    settings = next_settings(ready.recipe, finished, trials)
    say(f"trial {number} of {trials}: {_render_settings(settings)}")
    one = replace(ready, recipe=with_settings(ready.recipe, settings))
    folder = _folder(work, number)
    open_work(folder, one.training, say)
    try:
        trial = Trial(number, settings, train_in(one, folder, watch, say))
    except Refused as error:  # it diverged, or went further from the base than it may: others may not
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
    """Whether a kill came after the adapter was put in its place."""
    record: Mapping[str, Any] = {}
    with suppress(Refused):  # what lies there may be replaced, whatever it is
        record = training_record(output) or {}
    return bool(record.get("search", {}).get("each") == [trial.as_dict() for trial in finished])


def _place(ready: Ready, work: Path, finished: Sequence[Trial], baselines: Path, watch: Watch, say: Say) -> None:
    """Count the trials in the ledger, and put the best adapter in its place, with what became of the others."""
    best = best_trial(finished)
    if best is None:
        raise Refused(f"search: expected a trial that ends with an adapter, found none: {finished[0].refused}")
    adapter = _folder(work, best.number) / ADAPTER
    try:
        sha = adapter_digest(adapter)
    except Refused as error:
        raise Refused(f"{error}; it was the best of the search: delete {show_path(work)} and search again") from error
    one = replace(ready, recipe=with_settings(ready.recipe, best.settings))
    why, seeds = _why(best, finished, ready), _seeds(best, finished)
    search = {
        "trials": len(finished), "space": ready.recipe.search.as_dict(), "chosen": best.number, "why": why,
        "each": [trial.as_dict() for trial in finished],
    }  # fmt: skip
    # before the adapter is there: a kill in between tells the ledger what it knows already
    subject = {**ready.base.fingerprint.subject, "adapter": sha}
    append(baselines, Event("searched", ready.recipe.task, subject, trials=len(finished)))
    put_in_place(one, adapter, best.facts, seeds, search=search, **examine(one, adapter, watch, say))
    say(why)
    say(seeds["note"])


def _why(best: Trial, finished: Sequence[Trial], ready: Ready) -> str:
    by = "validation loss is the lowest" if best.chosen and best.chosen.score is None else "score is the highest"
    others = [each for each in finished if each is not best and each.settings == own_settings(ready.recipe)]
    against = "".join(f"; the recipe as it stands: {each.chosen or each.refused}" for each in others)
    return (
        f"trial {best.number} of {len(finished)} is kept ({_render_settings(best.settings)}): on the "
        f"{len(ready.validation)} rows put aside its {by} ({best.chosen}{against}). The best of several looks better "
        "than it is: what it is worth, the suites say"
    )


def _seeds(best: Trial, finished: Sequence[Trial]) -> dict[str, Any]:
    """The seeds that the settings of the best trial were trained with, and how far they spread."""
    alike = [trial for trial in same_but_seed(finished, best) if trial.chosen]
    tried = [trial.settings["seed"] for trial in alike]
    chosen = [trial.chosen for trial in alike if trial.chosen]
    by_loss = any(each.score is None for each in chosen)
    values = [value for each in chosen if (value := each.loss if by_loss else each.score) is not None]
    if len(values) < 2:
        return {"tried": tried, "note": ONE_SEED}
    what = "validation losses" if by_loss else "scores"
    note = (
        f"{len(tried)} seeds of the same settings came to {what} from {min(values):.3f} to {max(values):.3f}: settings "
        "that differ by less than that do not differ"
    )
    return {"tried": tried, "what": what, "values": values, "note": note}
