"""Which remedy, and then the training: diagnose and train."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tunegate.harness.cli.common import BASELINES, FIXTURES, Baselines, Cases, console
from tunegate.harness.core.errors import UsageError, show_path


def diagnose(
    tasks: Annotated[list[str] | None, typer.Argument(help="Tasks by name (default: all).", show_default=False)] = None,
    model: Annotated[str, typer.Option(help="The model, as --model of the suites.")] = "smollm2",
    larger: Annotated[str | None, typer.Option(help="A larger model, one more rung.", metavar="MODEL")] = None,
    sample: Annotated[int, typer.Option(help="Cases of a unit to ask, hits and misses alike.", min=10)] = 40,
    cases: Cases = FIXTURES,
    baselines: Baselines = BASELINES,
) -> None:
    """Ask a sample as it is, with examples, with the passage and step by step: which of them closes the gap?"""
    from tunegate.harness.core.progress import watch_on
    from tunegate.harness.diagnosis.diagnosis import diagnose as run
    from tunegate.harness.diagnosis.diagnosis import keep_records, write_diagnosis
    from tunegate.harness.diagnosis.render import show
    from tunegate.harness.fixtures.loader import find_tasks, load_tasks

    for task in find_tasks(load_tasks(cases), tasks or []):
        found, records = run(task, model, larger, watch_on(console), sample)
        show(Console(highlight=False), found)
        for path in keep_records(records, task.name):
            console.print(f"record: {show_path(path)}", markup=False)
        console.print(f"diagnosis, to be committed: {show_path(write_diagnosis(baselines, found))}", markup=False)


def train(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")],
    cases: Cases = FIXTURES,
    baselines: Baselines = BASELINES,
    output: Annotated[Path | None, typer.Option(help="Where the adapter goes, instead of the recipe's output.")] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Where the report on the rows goes.", metavar="FILE.json")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="All but the training, with an estimate of it.")] = False,
) -> None:
    """Train a LoRA adapter, after the guards: baseline, diagnosis, rows that pass the checks and repeat no fixture."""
    from tunegate.harness.core.progress import watch_on
    from tunegate.harness.reporting.leaderboard import megabytes
    from tunegate.trainers.config.recipe import read_recipe, render
    from tunegate.trainers.pipeline import check
    from tunegate.trainers.pipeline import train as run
    from tunegate.trainers.training.distributed import processes
    from tunegate.trainers.training.loop import follow

    if not processes().leads:
        follow()
        return
    with processes().leading():
        watch, say = watch_on(console), functools.partial(console.print, markup=False)
        if dry_run and processes().count > 1:
            raise UsageError("--dry-run: expected one process, found several; start it without a launcher")
        read = read_recipe(recipe, output)
        for line in render(read):
            say(line)
        ready = check(read, cases, baselines, watch, say, report)
        console.print(
            f"{len(ready.rows)} rows, none of them a fixture; baselines: {', '.join(b.unit for b in ready.baselines)}"
        )
        if dry_run:
            from tunegate.trainers.training.estimate import estimate

            for line in estimate(read, ready.base.folder, ready.tokens, watch).render():
                say(line)
            say("nothing was trained: that was a dry run")
            return
        if processes().count > 1:
            say(f"{processes().count} processes, rows a step in each: {read.optim.batch // processes().count}")
        folder = run(ready, watch, say)
        console.print(f"adapter: {show_path(folder)} ({megabytes(folder):.1f} MB)")
        console.print(f"next: pytest suites/ --adapter={show_path(folder)} --against baseline")
