"""Commands that need no model: lint the cases, print the JSON Schemas, plan sample sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tunegate.harness.cli.common import chatter, console, project
from tunegate.harness.cli.options import BASELINES, FIXTURES, Baselines, Cases, Json, Quiet, Run, shared
from tunegate.harness.core.errors import AuthoringError, Refused, UsageError
from tunegate.harness.core.printing import Printer, print_json, print_line
from tunegate.harness.core.progress import watch_on
from tunegate.harness.models.options.settings import standing

KINDS = "fixture, task, terms, voice, record, baseline, diagnosis, training or manifest."


Format = Literal["text", "github"]


def lint(
    path: Annotated[
        Path | None,
        typer.Argument(help="A task's folder or a file, instead of all of --cases.", metavar="PATH"),
    ] = None,
    cases: Cases = FIXTURES,
    baselines: Baselines = BASELINES,
    style: Annotated[Format, shared("format")] = "text",
    strict: Annotated[bool, shared("strict")] = False,
    report_card: Annotated[bool, shared("report-card")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check all case files, references and task.yaml, without a model."""
    from tunegate.harness.review.lint.project import lint_project
    from tunegate.harness.review.lint.rules import annotation, report_cards

    found = lint_project(project(), path, cases, baselines, watch_on(chatter(quiet, as_json=True)))
    cards = report_cards(found.tasks) if report_card else iter(())
    aside = chatter(quiet)
    if as_json:
        print_json(found.as_dict() | ({"report_cards": list(cards)} if report_card else {}))
    elif found.mistakes and style == "text":
        raise AuthoringError(found.mistakes)
    else:
        aside.lines(found.units if style == "text" else ())
        # an annotation is a workflow command, which the console would wrap
        say, put = (annotation, print_line) if style == "github" else (str, console.print)
        for line in (*map(say, found.mistakes), *map(say, found.warnings)):
            put(line)
        for proposal in found.proposals if style == "text" else ():
            console.print(str(proposal))
        aside.print(found.summary)
        console.lines(cards)
    if found.mistakes or (strict and found.warnings):
        raise typer.Exit(Refused.exit_code)


def schema(
    name: Annotated[str, typer.Argument(help=KINDS, metavar="KIND")] = "fixture",
) -> None:
    """Print the JSON Schema of a kind of file, for completion and validation in an editor."""
    from tunegate.harness.cases.json_schemas import PUBLISHED, fixture_schema, published_schema
    from tunegate.harness.checks.registry import project_kinds
    from tunegate.harness.core.authoring.validation import did_you_mean

    if name not in PUBLISHED:
        hint = did_you_mean(name, PUBLISHED)
        raise UsageError(f"schema: expected one of {', '.join(PUBLISHED)}, found {name!r}{hint and '; ' + hint}")
    # the shipped schema, unless the project has check kinds of its own
    kinds = project_kinds(project() / standing(project())["cases"])
    made = fixture_schema(kinds) if name == "fixture" else published_schema(name)
    print_json(made, indent=2)


def plan(
    cases: Cases = FIXTURES,
    baselines: Baselines = BASELINES,
    run: Run = None,
    unit: Annotated[str | None, shared("unit")] = None,
    margin: Annotated[float | None, shared("margin")] = None,
    gain: Annotated[float | None, shared("gain")] = None,
    flip_rate: Annotated[float | None, shared("flip-rate")] = None,
    near: Annotated[float, shared("near")] = 0.0,
    repeats: Annotated[int | None, shared("repeats")] = None,
    as_json: Json = False,
) -> None:
    """Print how many cases each unit needs, and what its present cases can detect, without a model."""
    from tunegate.harness.cases.loader import load_tasks
    from tunegate.harness.gate.planning.declare import print_proposal
    from tunegate.harness.gate.planning.history import find_past
    from tunegate.harness.gate.planning.labelled import labels_table, plan_labels
    from tunegate.harness.gate.planning.plan import plan_units
    from tunegate.harness.gate.planning.proposal import proposals
    from tunegate.harness.gate.planning.render import print_plans
    from tunegate.harness.models.evaluation.record import read_record

    tasks = load_tasks(cases)
    record = read_record(run) if run else None
    past = find_past(baselines, tasks, record, flip_rate, repeats)
    plans = plan_units(tasks, past, unit, margin, gain, near)
    labelled = list(plan_labels(tasks, record, unit, margin))
    # for the declared task as a whole: no single unit, no other margin
    found = {} if unit or margin else proposals(tasks, plans, gain)
    if as_json:
        declare = {task: each.as_dict() for task, each in found.items()}
        print_json(
            [each.as_dict() | {"declare": declare.get(each.unit.task)} for each in plans]
            + [each.as_dict() for each in labelled]
        )
    else:
        if plans:
            print_plans(Printer(), plans)
        if labelled:
            Printer().print(labels_table(labelled))
        for each in found.values():
            print_proposal(Printer(), each)
