"""Before any model: lint the fixtures, print the schemas of the files, plan how many cases."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tunegate.harness.cli.common import BASELINES, FIXTURES, console
from tunegate.harness.core.errors import AuthoringError, Refused, UsageError


class Format(StrEnum):
    """How `tunegate lint` says what it found."""

    text = "text"
    github = "github"


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
    from tunegate.harness.lint.github import annotation
    from tunegate.harness.lint.rules import lint as check
    from tunegate.harness.lint.rules import report_cards

    found = check(path)
    if style is Format.github:
        lines = [*map(annotation, found.mistakes), *map(annotation, found.warnings)]
    elif found.mistakes:
        raise AuthoringError(found.mistakes)
    else:
        lines = [*found.units, *map(str, found.warnings)]
    for line in (*lines, found.summary):
        console.print(line, markup=False)
    for line in report_cards(found.tasks) if report_card else ():
        console.print(line, markup=False)
    if found.mistakes or (strict and found.warnings):
        raise typer.Exit(Refused.exit_code)


def schema(
    name: Annotated[str, typer.Argument(help="fixture, task, terms, voice or record.")] = "fixture",
) -> None:
    """Print the JSON Schema of a kind of file, for an editor that completes and checks it."""
    from tunegate.harness.authoring.validation import did_you_mean
    from tunegate.harness.fixtures.json_schemas import PUBLISHED
    from tunegate.harness.fixtures.json_schemas import schema as published

    if name not in PUBLISHED:
        hint = did_you_mean(name, PUBLISHED)
        raise UsageError(f"schema: expected one of {', '.join(PUBLISHED)}, found {name!r}{hint and '; ' + hint}")
    typer.echo(json.dumps(published(name), indent=2))


def plan(
    cases: Annotated[Path, typer.Argument(help="The folder of fixtures.")] = FIXTURES,
    baselines: Annotated[
        Path, typer.Option("--baselines", help="The folder of baselines, or of one model in it.", metavar="DIR")
    ] = BASELINES,
    record: Annotated[Path | None, typer.Option(help="A record judged with --against, to measure from.")] = None,
    unit: Annotated[str | None, typer.Option(help="Only this unit.", metavar="TASK/UNIT")] = None,
    margin: Annotated[float | None, typer.Option(help="Hold this, .05 for five points, not what is declared.")] = None,
    gain: Annotated[float | None, typer.Option(help="Show this, .05 for five points.")] = None,
    flip_rate: Annotated[float | None, typer.Option(help="Assume this, .04 for 4 %, not what was measured.")] = None,
) -> None:
    """Say how many cases each unit needs, and what the ones it has can see, without a model."""
    from tunegate.harness.evaluation.record import read_record
    from tunegate.harness.fixtures.loader import load_tasks
    from tunegate.harness.planning.history import find_past
    from tunegate.harness.planning.plan import plan as run
    from tunegate.harness.planning.render import show

    tasks = load_tasks(cases)
    past = find_past(baselines, tasks, read_record(record) if record else None, flip_rate)
    show(Console(highlight=False), run(tasks, past, unit, margin, gain))
