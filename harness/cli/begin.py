"""To begin: a first look, and a task of one's own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from tunegate.harness.cli.common import console, is_given, project
from tunegate.harness.cli.options import FIXTURES, Cases, Quiet, shared
from tunegate.harness.core.errors import TunegateError, UsageError, show_path
from tunegate.harness.models.model_options import is_server, split_server

if TYPE_CHECKING:
    from tunegate.harness.scaffold.drafts import Columns
    from tunegate.harness.scaffold.table import Table
    from tunegate.harness.scaffold.task import NewTask
    from tunegate.harness.scaffold.writing import Changes


def tour(
    folder: Annotated[
        Path,
        typer.Argument(help="Where the repository of the tour is written: a new or empty folder.", metavar="FOLDER"),
    ] = Path("tunegate-tour"),
) -> None:
    """Walk through the gate on recorded answers of three real models: no model, no network, under a minute.

    It writes a small repository, and shows each command that it runs there.
    """
    from tunegate.harness.tour.walk import walk

    code = walk(console, folder)
    if code:
        raise typer.Exit(code)


Given = TypeVar("Given")


Suite = Literal["schema", "vocabulary", "retention", "voice", "cost"]


def init(
    ctx: typer.Context,
    task: Annotated[str | None, typer.Argument(help="The task's name, and its folder's.", metavar="TASK")] = None,
    suite: Annotated[Suite, shared("suite")] = "schema",
    source: Annotated[Path | None, shared("from", "init")] = None,
    column: Annotated[str | None, shared("input")] = None,
    expect: Annotated[list[str] | None, shared("expect")] = None,
    names: Annotated[str | None, shared("id")] = None,
    system: Annotated[str | None, shared("system")] = None,
    goal: Annotated[str | None, shared("goal")] = None,
    limit: Annotated[int, shared("limit")] = 200,
    model: Annotated[str, shared("model", "init")] = "smollm2",
    cases: Cases = FIXTURES,
    quiet: Quiet = False,
) -> None:
    """Begin a task: fixtures from a table of examples, their references, task.yaml, a guide and a workflow.

    On a terminal it asks for what the command line leaves open. Nothing is overwritten. With --model openai:URL#MODEL
    the settings and the workflow ask that model.
    """
    from tunegate.harness.scaffold.task import InitOptions, check_name, check_suite, new_task
    from tunegate.harness.scaffold.writing import relative, write_task

    hosted = _hosted(model, is_given(ctx, "model"))
    asks = task is None and source is None and _asks()
    check_suite(suite)
    if task is None and not _asks():
        raise UsageError("TASK: expected it on the command line, found none, and no terminal to ask on")
    name = check_name(task) if task is not None else _answer("Name of the task", check_name)
    if asks:
        source = _answer("A table of examples, .csv, .tsv or .jsonl (Enter: none yet)", _file)
        goal = goal or typer.prompt("What is it for, in a sentence (Enter: later)", default="", show_default=False)
    table, columns = _table(source, column, expect or (), names)
    fixtures = relative(cases, project())
    made = new_task(InitOptions(name, suite, table, columns, system, goal or None, limit, fixtures, hosted))
    changes = write_task(made, project(), cases, hosted)
    if not quiet:
        _tell(changes, made, "tunegate record" if hosted else "pytest")


def _hosted(model: str, is_named: bool) -> str:
    """The model that the workflow is to ask: one that a server answers for; empty where none is named."""
    if not is_server(model):
        if is_named:
            raise UsageError(f"--model: expected one that a server answers for, openai:URL#MODEL, found {model}")
        return ""
    split_server(model)
    if "${{" in model:
        raise UsageError(f"--model: expected a name without ${{{{, which a workflow would read, found {model}")
    return model


def _asks() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _answer(question: str, read: Callable[[str], Given]) -> Given:
    """What somebody answers, asked again while it means nothing."""
    while True:
        try:
            return read(str(typer.prompt(question, default="", show_default=False)).strip())
        except TunegateError as error:
            console.print(str(error), markup=False)


def _file(said: str) -> Path | None:
    from tunegate.harness.scaffold.table import read_table

    path = Path(said).expanduser() if said else None
    if path:
        read_table(path)  # whoever is there to be asked is told now that it is none
    return path


def _table(
    source: Path | None, column: str | None, expect: Sequence[str], names: str | None
) -> tuple[Table | None, Columns | None]:
    """The table and which columns hold what; asked for where somebody is there to answer."""
    from tunegate.harness.scaffold.drafts import Columns
    from tunegate.harness.scaffold.table import read_table

    given = {"--input": column, "--expect": ", ".join(expect), "--id": names}
    if source is None:
        if unread := [option for option, value in given.items() if value]:
            raise UsageError(f"{unread[0]}: expected --from FILE beside it, whose column it names, found none")
        return None, None
    table = read_table(source, list(filter(None, [column, *expect, names])))
    missing = [option for option in ("--input", "--expect") if not given[option]]
    there = ", ".join(filter(None, table.columns))
    if missing and not _asks():
        named = " and ".join(missing)
        raise UsageError(f"{named}: expected the name of a column of {table.name} ({there}), found none")
    if missing:
        console.print(f"{table.name}: {len(table.rows):,} rows, with the columns {there}", markup=False)
    column = column or _answer("Which column holds what is asked", lambda said: _columns(table, "--input", said))[0]
    several = "Which columns hold what is expected (with commas between them)"
    expected = tuple(expect) or _answer(several, lambda said: _columns(table, "--expect", said))
    return table, Columns(column, expected, names)


def _columns(table: Table, option: str, said: str) -> tuple[str, ...]:
    """The columns that an answer names: one, whose own name may hold a comma, or several."""
    names = (said,) if said in table.columns else tuple(each.strip() for each in said.split(","))
    table.check_columns(option, names)
    return names


def _tell(changes: Changes, made: NewTask, then: str) -> None:
    for path in changes.new:
        console.print(f"wrote {show_path(path)}", markup=False)
    for path in changes.added:
        console.print(f"added to {show_path(path)}", markup=False)
    for line in (made.holds, *made.outlook):
        console.print(line, markup=False)
    for note in (*made.notes, *changes.notes):
        console.print(f"note: {note}", markup=False)
    guide = next(path for path in changes.new if path.name == "README.md")
    console.print(f"next: tunegate lint, then {then}; {show_path(guide)} goes on from there", markup=False)
