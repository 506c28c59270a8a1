"""Commands to choose a remedy and to train: diagnose, distil and train."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunegate.harness.cli.common import chatter, console
from tunegate.harness.cli.options import BASELINES, FIXTURES, Baselines, Cases, Json, OfRung, Quiet, opens_model, shared
from tunegate.harness.core.errors import UsageError, show_path
from tunegate.harness.core.printing import Printer, print_json
from tunegate.harness.core.progress import watch_on
from tunegate.harness.models.model_options import ModelOptions

if TYPE_CHECKING:
    from tunegate.harness.cases.model import Task
    from tunegate.harness.release.diagnosis.optimised import Optimiser


@opens_model("local", "served", "hosted")
def diagnose(
    tasks: Annotated[
        list[str] | None, typer.Argument(help="Tasks by name (default: all).", show_default=False, metavar="TASK")
    ] = None,
    model: Annotated[str, shared("model")] = "smollm2",
    larger: Annotated[str | None, shared("larger")] = None,
    optimise_with: Annotated[str | None, shared("optimise-with")] = None,
    rows: Annotated[list[Path] | None, shared("rows")] = None,
    optimise_budget: Annotated[int, shared("optimise-budget")] = 400,
    optimise_seed: Annotated[int, shared("optimise-seed")] = 0,
    sample: Annotated[int, shared("sample")] = 40,
    cases: Cases = FIXTURES,
    baselines: Baselines = BASELINES,
    as_json: Json = False,
    quiet: Quiet = False,
    *,
    opened: ModelOptions,
) -> None:
    """Evaluate a sample with each prompting strategy and report which one closes the gap.

    With --optimise-with MODEL --rows FILE, one strategy is an optimised prompt: GEPA lets MODEL rewrite the system
    prompt by what the checks find in outputs for training rows. No case is used, and rows that are similar to one are
    left out. After an interruption, the same command continues with the outputs in the cache.
    """
    from tunegate.harness.cases.loader import find_tasks, load_tasks
    from tunegate.harness.release.diagnosis.diagnosis import RECORDS, diagnose_task, keep_records, write_diagnosis
    from tunegate.harness.release.diagnosis.optimised import keep_prompts
    from tunegate.harness.release.diagnosis.render import print_diagnosis

    aside, every = chatter(quiet, as_json), []
    watch, loaded = watch_on(aside), load_tasks(cases)
    chosen, optimiser = find_tasks(loaded, tasks or []), None
    if optimise_with:
        optimiser = _optimiser(optimise_with, rows or [], chosen, loaded, optimise_budget, optimise_seed, watch)
    for task in chosen:
        found, records = diagnose_task(task, model, larger, watch, sample, opened, optimiser)
        every.append(found.as_dict())
        if not as_json:
            print_diagnosis(Printer(), found)
        for path in keep_records(records, task.name):
            aside.print(f"record: {show_path(path)}")
        keep_prompts(found.optimised, RECORDS)
        aside.print(f"diagnosis, please commit: {show_path(write_diagnosis(baselines, found))}")
    if as_json:
        print_json(every)


def _optimiser(
    reflecting: str, rows: list[Path], chosen: Sequence[Task], every: Sequence[Task], budget: int, seed: int, watch: Any
) -> Optimiser:
    """Return the optimiser of a task's prompts; it reads the rows, before a model is opened."""
    from tunegate.harness.core.extras import need
    from tunegate.trainers.optimise.optimiser import RowOptimiser
    from tunegate.trainers.optimise.rows import read_prompt_rows

    if not rows:
        raise UsageError("--optimise-with: expected training rows, found none; add --rows FILE.jsonl or a recipe")
    if len(chosen) != 1:
        names = ", ".join(task.name for task in chosen)
        raise UsageError(f"--optimise-with: expected one task, found {len(chosen)} ({names}); name the one of the rows")
    need("gepa")
    return RowOptimiser(reflecting, read_prompt_rows(rows, chosen[0], every, watch), budget, seed)


@opens_model("local", "served", "hosted")
def distil(
    task: Annotated[str, typer.Argument(help="The task.", metavar="TASK")],
    inputs: Annotated[
        list[Path], typer.Argument(help="Inputs: rows without an output, one per line.", metavar="INPUTS.jsonl")
    ],
    model: Annotated[str, shared("model", "distil")] = "smollm2",
    adapter: Annotated[Path | None, shared("adapter", "distil")] = None,
    rung: OfRung = "as-is",
    output: Annotated[Path | None, shared("output", "distil")] = None,
    samples: Annotated[int | None, shared("samples")] = None,
    temperature: Annotated[float, shared("temperature")] = 0.8,
    pairs: Annotated[bool, shared("pairs")] = False,
    prompts: Annotated[bool, shared("prompts")] = False,
    cases: Cases = FIXTURES,
    fresh: Annotated[bool, shared("fresh")] = False,
    quiet: Quiet = False,
    *,
    opened: ModelOptions,
) -> None:
    """Turn a teacher's outputs into rows: --model responds to the inputs; outputs that pass the checks become rows.

    The teacher is a larger model, a server, or recorded outputs: replay:NAME=FILE with the outputs for --prompts. With
    --rung few-shot the teacher sees the unit's worked examples; the rows omit them. Next to the rows, one file names
    the teacher, which a training record keeps, and one lists the dropped outputs with reasons.

    With --samples N each input is asked N times at --temperature; --pairs also writes ROWS.pairs.jsonl, preference
    pairs of a passing and a failing sample of one input, for a recipe with `method: dpo`. The check has then rewarded
    the adapter: a release needs evidence that this check did not see.
    """
    from tunegate.harness.cases.loader import find_tasks, load_tasks
    from tunegate.harness.models.request_file import request_line
    from tunegate.trainers.distil import (
        Sampling,
        check_rows,
        distil_rows,
        open_teacher,
        pairs_path,
        prepare_inputs,
        write_distilled,
    )

    _check_sampling(samples, temperature, pairs)
    aside = chatter(quiet)
    [found] = find_tasks(load_tasks(cases), [task])
    asked = prepare_inputs(found, inputs, rung, Sampling(samples, temperature) if samples else None)
    if prompts:
        for request in asked.requests:
            print_json(request_line(request, asked.rung), indent=None)
        return
    if output is None:
        raise UsageError("--output: expected a file for the rows, found none; add --output rows.jsonl")
    for path in (output, pairs_path(output)) if pairs else (output,):
        check_rows(path)  # before the teacher runs for an hour
    watch = watch_on(aside)
    made = distil_rows(asked, open_teacher(model, asked, watch, opened, adapter), watch, fresh)
    console.lines(made.render())
    written = write_distilled(output, made, pairs)
    console.print("; ".join(f"{what}: {show_path(path)}" for what, path in written.items()))


def _check_sampling(samples: int | None, temperature: float, pairs: bool) -> None:
    if pairs and not samples:
        raise UsageError("--pairs: expected --samples N with it, found none: a pair is of two samples of one input")
    if not 0 < temperature < math.inf:
        raise UsageError(f"--temperature: expected a number above 0, found {temperature:g}")


@opens_model("local")
def train(
    recipe: Annotated[Path, typer.Argument(help="The recipe.", metavar="RECIPE.yaml")],
    cases: Cases = FIXTURES,
    baselines: Baselines = BASELINES,
    rung: OfRung = "as-is",
    output: Annotated[Path | None, shared("output")] = None,
    report: Annotated[Path | None, shared("report")] = None,
    trials: Annotated[int | None, shared("trials")] = None,
    dry_run: Annotated[bool, shared("dry-run")] = False,
    quiet: Quiet = False,
    *,
    opened: ModelOptions,
) -> None:
    """Train a LoRA adapter, after the guards: baseline, diagnosis, and rows that pass the checks and repeat no case.

    Without --output, the recipe names the adapter's folder. The baseline may come from any engine; it uses the --rung
    that will serve the adapter. Training keeps the base in float32 unless --dtype bfloat16 is given, and the adapter
    in float32 always. One seed is no measurement:
    --trials first trains the recipe as it is, then with other rates, schedules, ranks and epochs (see the recipe's
    `search:`), then the best with further seeds.
    """
    from tunegate.harness.models.local.placement import hide_other_gpus
    from tunegate.trainers.config.recipe import read_recipe, render_recipe
    from tunegate.trainers.preparation import prepare
    from tunegate.trainers.search import for_search
    from tunegate.trainers.training.distributed import processes
    from tunegate.trainers.training.loop import follow

    if not processes().leads:
        follow()
        return
    with processes().leading():
        aside = chatter(quiet)
        say = aside.print
        alone = {"--dry-run": dry_run, "--trials": trials, f"--device {opened.device}": opened.gpu is not None}
        if (option := next((name for name, given in alone.items() if given), None)) and processes().count > 1:
            raise UsageError(f"{option}: expected one process, found several; run it without a launcher")
        asked = read_recipe(recipe, output)
        opened = hide_other_gpus(opened)
        read = replace((for_search(asked, trials) if trials else asked).opening(opened), rung=str(rung))
        for line in render_recipe(read):
            say(line)
        watch = watch_on(aside)
        ready = prepare(read, cases, baselines, watch, say, report)
        say(f"{len(ready.rows)} rows, none of them a case; baselines: {', '.join(b.unit for b in ready.baselines)}")
        if dry_run:
            _estimate(ready, trials or 1, watch, say)
        else:
            _fit(ready, trials, baselines, watch, say)


def _estimate(ready: Any, trials: int, watch: Any, say: Callable[[str], None]) -> None:
    from tunegate.trainers.training.estimate import estimate

    found = estimate(ready.recipe, ready.base.folder, ready.tokens, watch)
    console.lines(found.render())
    if trials > 1:
        minutes = found.seconds * trials / 60
        console.print(f"  {trials} trials: about {minutes:.0f} minutes, with as many epochs as the recipe")
    say("dry run: nothing was trained")


def _fit(ready: Any, trials: int | None, baselines: Path, watch: Any, say: Callable[[str], None]) -> None:
    from tunegate.harness.reporting.leaderboard import megabytes
    from tunegate.trainers.pipeline import train_adapter
    from tunegate.trainers.search import search_adapter
    from tunegate.trainers.training.distributed import processes

    if processes().count > 1:
        say(f"{processes().count} processes, rows per step in each: {ready.recipe.optim.batch // processes().count}")
    folder = search_adapter(ready, trials, baselines, watch, say) if trials else train_adapter(ready, watch, say)
    console.print(f"adapter: {show_path(folder)} ({megabytes(folder):.1f} MB)")
    say(f"next: pytest fixtures/ --tg-adapter={show_path(folder)} --tg-against baseline")
