"""The command line: everything that is not a pytest run."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from harness.errors import AuthoringError, Refused, TunegateError, UsageError, show_path

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich",
    help="Fixtures first, then a baseline, then a LoRA, then a gate. The suites themselves run under pytest: "
    "[bold]pytest suites/ --record[/], then [bold]pytest suites/ --adapter=DIR --against baseline[/].",
)  # fmt: skip

Cases = Annotated[Path, typer.Option("--cases", help="The folder of fixtures.", metavar="DIR")]
Baselines = Annotated[Path, typer.Option("--baselines", help="The folder of recorded baselines.", metavar="DIR")]
FIXTURES, BASELINES = Path("fixtures"), Path("baselines")


class Format(StrEnum):
    """How `tunegate lint` says what it found."""

    text = "text"
    github = "github"


console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def _told(command: Callable[..., None]) -> Callable[..., None]:
    """Let an error of ours end the process with its message and exit code; any other is a bug and shows its trace."""

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except TunegateError as error:
            errors.print(str(error), markup=False)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt:
            errors.print("interrupted; run the same command again to go on")
            raise typer.Exit(2) from None

    return run


@app.command()
@_told
def lint(
    path: Annotated[Path, typer.Argument(help="A folder of fixtures, one task's folder, or one file.")] = FIXTURES,
    style: Annotated[
        Format, typer.Option("--format", help="github: annotations beside the lines of a pull request.")
    ] = Format.text,
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail, too.")] = False,
    report_card: Annotated[
        bool, typer.Option("--report-card", help="Show what each voice metric can do; takes seconds.")
    ] = False,
) -> None:
    """Check every fixture file, reference and task.yaml, without a model."""
    from harness.annotations import annotation
    from harness.lint import lint as check
    from harness.lint import report_cards

    found = check(path)
    if style is Format.github:
        lines = [*map(annotation, found.mistakes), *map(annotation, found.doubts)]
    elif found.mistakes:
        raise AuthoringError(found.mistakes)
    else:
        lines = [*found.units, *map(str, found.doubts)]
    for line in (*lines, found.summary):
        console.print(line, markup=False)
    for line in report_cards(found.tasks) if report_card else ():
        console.print(line, markup=False)
    if found.mistakes or (strict and found.doubts):
        raise typer.Exit(Refused.exit_code)


@app.command()
@_told
def schema(
    name: Annotated[str, typer.Argument(help="fixture, task, terms, voice or record.")] = "fixture",
) -> None:
    """Print the JSON Schema of a kind of file, for an editor that completes and checks it."""
    from harness.published import PUBLISHED
    from harness.published import schema as published
    from harness.shape import did_you_mean

    if name not in PUBLISHED:
        hint = did_you_mean(name, PUBLISHED)
        raise UsageError(f"schema: expected one of {', '.join(PUBLISHED)}, found {name!r}{hint and '; ' + hint}")
    typer.echo(json.dumps(published(name), indent=2))


@app.command()
@_told
def plan(
    cases: Annotated[Path, typer.Argument(help="The folder of fixtures.")] = FIXTURES,
    baselines: Annotated[
        Path, typer.Option("--baselines", help="The folder of baselines, or of one model in it.", metavar="DIR")
    ] = BASELINES,
    record: Annotated[Path | None, typer.Option(help="A record judged with --against, to measure from.")] = None,
    unit: Annotated[str | None, typer.Option(help="Only this unit.", metavar="TASK/UNIT")] = None,
    margin: Annotated[float | None, typer.Option(help="Hold this, .05 for five points, not what is declared.")] = None,
    gain: Annotated[float | None, typer.Option(help="Show this, .05 for five points.")] = None,
    churn: Annotated[float | None, typer.Option(help="Assume this, .04 for 4 %, not what was measured.")] = None,
) -> None:
    """Say how many cases each unit needs, and what the ones it has can see, without a model."""
    from harness.cases import load_tasks
    from harness.past import find_past
    from harness.plan import plan as run
    from harness.plantext import show
    from harness.record import read_record

    tasks = load_tasks(cases)
    past = find_past(baselines, tasks, read_record(record) if record else None, churn)
    show(Console(highlight=False), run(tasks, past, unit, margin, gain))


@app.command()
@_told
def diagnose(
    tasks: Annotated[list[str] | None, typer.Argument(help="Tasks by name (default: all).", show_default=False)] = None,
    model: Annotated[str, typer.Option(help="The model, as --model of the suites.")] = "smollm2",
    larger: Annotated[str | None, typer.Option(help="A larger model, one more rung.", metavar="MODEL")] = None,
    sample: Annotated[int, typer.Option(help="Cases of a unit to ask, hits and misses alike.", min=10)] = 40,
    cases: Cases = FIXTURES,
    baselines: Baselines = BASELINES,
) -> None:
    """Ask a sample as it is, with examples, with the passage and step by step: which of them closes the gap?"""
    from harness.cases import find_tasks, load_tasks
    from harness.diagnosis import diagnose as run
    from harness.diagnosis import keep_records, write_diagnosis
    from harness.diagnosistext import show
    from harness.progress import watch_on

    for task in find_tasks(load_tasks(cases), tasks or []):
        found, records = run(task, model, larger, watch_on(console), sample)
        show(Console(highlight=False), found)
        for path in keep_records(records, task.name):
            console.print(f"record: {show_path(path)}", markup=False)
        console.print(f"diagnosis, to be committed: {show_path(write_diagnosis(baselines, found))}", markup=False)


@app.command()
@_told
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
    """Train a LoRA adapter, after the guards: a baseline of the same model and questions, and a proven hold-out."""
    from harness.leaderboard import megabytes
    from harness.progress import watch_on
    from trainers.fit import follow
    from trainers.ranks import processes
    from trainers.recipe import read_recipe
    from trainers.recipetext import in_words
    from trainers.train import check
    from trainers.train import train as run

    if not processes().leads:
        follow()
        return
    with processes().leading():
        watch, say = watch_on(console), functools.partial(console.print, markup=False)
        if dry_run and processes().count > 1:
            raise UsageError("--dry-run: expected one process, found several; start it without a launcher")
        read = read_recipe(recipe, output)
        for line in in_words(read):
            say(line)
        ready = check(read, cases, baselines, watch, say, report)
        console.print(
            f"{len(ready.rows)} rows, none of them a fixture; baselines: {', '.join(b.unit for b in ready.baselines)}"
        )
        if dry_run:
            from trainers.estimate import estimate

            for line in estimate(read, ready.base.folder, ready.tokens, watch).in_words():
                say(line)
            say("nothing was trained: that was a dry run")
            return
        if processes().count > 1:
            say(f"{processes().count} processes, rows a step in each: {read.optim.batch // processes().count}")
        folder = run(ready, watch, say)
        console.print(f"adapter: {show_path(folder)} ({megabytes(folder):.1f} MB)")
        console.print(f"next: pytest suites/ --adapter={show_path(folder)} --against baseline")


RUNS = Path(".tunegate/runs")


@app.command()
@_told
def release(
    adapter: Annotated[Path, typer.Argument(help="The adapter's folder.")],
    record: Annotated[
        Path | None, typer.Option(help="The run to rest on (default: the newest of this adapter).")
    ] = None,
    cases: Cases = FIXTURES,
    baselines: Baselines = BASELINES,
) -> None:
    """Release an adapter: judge its outputs again, compute the verdict again, then write manifest and model card."""
    from harness.adapters import adapter_digest
    from harness.progress import watch_on
    from harness.record import read_record
    from harness.release import find_record
    from harness.release import release as run

    found = read_record(record) if record else find_record(RUNS, adapter_digest(adapter))
    done = run(adapter, found, cases, baselines, watch_on(console))
    for line in done.files:
        console.print(line, markup=False)
    console.print(f"model card: {show_path(done.card)}")
    console.print(f"release manifest: {show_path(done.manifest)}")


@app.command()
@_told
def verify(adapter: Annotated[Path, typer.Argument(help="The released adapter's folder.")]) -> None:
    """Check a released adapter's digests again, on any machine, without torch."""
    from harness.release import verify as run

    for line in run(adapter):
        console.print(line, markup=False)


@app.command()
@_told
def export(
    adapter: Annotated[Path, typer.Argument(help="The adapter's folder.")],
    output: Annotated[Path, typer.Option(help="The merged model's folder.", metavar="DIR")],
    record: Annotated[
        Path | None, typer.Option(help="The adapter's run to compare with (default: its newest).")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Gate what is in DIR already: converted or quantized since, say.")
    ] = False,
    cases: Cases = FIXTURES,
) -> None:
    """Merge an adapter into a model folder, and gate that model against the adapter's own record; 1 if it blocks."""
    from harness import export as exports
    from harness.adapters import adapter_digest
    from harness.leaderboard import megabytes
    from harness.progress import watch_on
    from harness.record import read_record
    from harness.release import find_record
    from harness.report import show

    found = read_record(record) if record else find_record(RUNS, adapter_digest(adapter))
    run = exports.check if check else exports.export
    done = run(adapter, output, found, cases, watch_on(console))
    show(console, done.record)
    console.print(f"{done.same} of {done.of} outputs are those of the adapter")
    if done.blocked:
        errors.print(f"blocked: the merged model is not what was judged; {show_path(output)} is not to be served")
        raise typer.Exit(1)
    console.print(f"merged model: {show_path(done.folder)} ({megabytes(done.folder):.1f} MB)", markup=False)


@app.command()
@_told
def report(
    record: Annotated[list[Path], typer.Argument(help="Records, as --out or .tunegate/runs/ keep them.")],
) -> None:
    """Show a record: its table, verdicts, decisions, every case that broke with both outputs. Several: side by side."""
    from harness.record import read_record
    from harness.report import show, show_beside

    records = [read_record(path) for path in record]
    if len(records) > 1:
        show_beside(console, records)
    else:
        show(console, records[0], broken=None)


@app.command()
@_told
def demo(
    home: Annotated[Path, typer.Option(help="Where it writes; emptied first.", metavar="DIR")] = Path(".tunegate/demo"),
) -> None:
    """Run the whole loop on the embedded model: baseline, LoRA, gate, release."""
    from harness.demo import run

    code = run(Console(highlight=False), home)
    if code:
        raise typer.Exit(code)


def main() -> None:
    """The console script."""
    app()
