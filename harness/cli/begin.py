"""Commands to get started: the tour, and a new task."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from tunegate.harness.cli.common import chatter, check_reason, console, first_given, is_given, project
from tunegate.harness.cli.options import FIXTURES, Cases, Quiet, shared
from tunegate.harness.core.errors import TunegateError, UsageError, show_path
from tunegate.harness.core.parts import find_part, load_part
from tunegate.harness.models.backends import backend_of
from tunegate.harness.models.options.table import Suite

if TYPE_CHECKING:
    from tunegate.harness.begin.guards.adding import Addition
    from tunegate.harness.begin.scaffold.drafts import Columns
    from tunegate.harness.begin.scaffold.table import Table
    from tunegate.harness.begin.scaffold.task import NewTask
    from tunegate.harness.begin.scaffold.tool_log import ToolLog
    from tunegate.harness.begin.scaffold.writing import Changes


def tour(
    folder: Annotated[
        Path,
        typer.Argument(help="Where to write the tour's repository: a new or empty folder.", metavar="FOLDER"),
    ] = Path("tunegate-tour"),
) -> None:
    """Walk through the gate on recorded outputs of three real models: no model, no network, under a minute.

    Writes a small repository and prints each command that runs in it.
    """
    from tunegate.harness.begin.tour.walk import walk

    code = walk(console, folder)
    if code:
        raise typer.Exit(code)


Given = TypeVar("Given")


#: Parameters that no other file takes.
OF_TABLES = ("names", "unit", "system", "goal", "limit", "rows", "suite", "model", "no_guards")


def init(
    ctx: typer.Context,
    task: Annotated[str | None, typer.Argument(help="Name of the task and its folder.", metavar="TASK")] = None,
    suite: Annotated[Suite, shared("suite")] = "schema",
    source: Annotated[str | None, shared("from", "init")] = None,
    tools: Annotated[Path | None, shared("tools")] = None,
    column: Annotated[str | None, shared("input")] = None,
    expect: Annotated[list[str] | None, shared("expect")] = None,
    text: Annotated[list[str] | None, shared("text")] = None,
    label: Annotated[list[str] | None, shared("label")] = None,
    absent: Annotated[list[str] | None, shared("absent")] = None,
    names: Annotated[str | None, shared("id")] = None,
    unit: Annotated[str | None, shared("unit", "init")] = None,
    system: Annotated[str | None, shared("system")] = None,
    goal: Annotated[str | None, shared("goal")] = None,
    limit: Annotated[int, shared("limit")] = 200,
    rows: Annotated[int | None, shared("rows", "init")] = None,
    model: Annotated[str, shared("model", "init")] = "smollm2",
    allow_personal: Annotated[str | None, shared("allow-personal")] = None,
    no_guards: Annotated[str | None, shared("no-guards")] = None,
    agents: Annotated[bool, shared("agents")] = False,
    cases: Cases = FIXTURES,
    quiet: Quiet = False,
) -> None:
    """Create a task: cases from a table of examples, or of tool calls from a log, references, task.yaml and a workflow.

    Says what it takes each column for. On a terminal, prompts for what the command line omits. Overwrites nothing; a
    task that exists gets a further unit. With --rows or --model, the settings and the workflow name a model: smollm2, a
    folder, a Hub id, openai:URL#MODEL or anthropic:URL#MODEL. If its weights are here, guards that ship are added: see
    tunegate guards.
    """
    from tunegate.harness.begin.scaffold.task import InitOptions, check_name, check_suite, new_task
    from tunegate.harness.begin.scaffold.writing import relative, write_task

    if agents and task is None and source is None:
        _report_skill(quiet)
        return
    is_table = bool(column or expect or text or label or absent)
    is_source = find_part("tunegate.harness.imports.recognise:is_source")
    _check_log(ctx, tools, source)
    if source is not None and not is_table and not tools and is_source and is_source(Path(source)):
        _refuse_table_options(ctx, source)
        load_part("tunegate.harness.imports.commands:import_")(Path(source), task, cases=cases, quiet=quiet)
        if agents:
            _report_skill(quiet)
        return
    check_reason("--no-guards", no_guards)
    chosen = _chosen(model, is_given(ctx, "model"), rows)
    asks = task is None and source is None and _is_interactive()
    if tools is None:
        check_suite(suite)
    if task is None and not _is_interactive():
        raise UsageError("TASK: expected a name on the command line, found none and no terminal to prompt on")
    name = check_name(task) if task is not None else _prompt("Name of the task", check_name)
    if asks:
        source = _prompt("Table of examples, .csv, .tsv, .json, .jsonl or .parquet (Enter: none yet)", _file)
        goal = goal or typer.prompt("Purpose, in one sentence (Enter: later)", default="", show_default=False)
    log = _log(tools, source or "", names, system, allow_personal)
    kinds = {"--text": tuple(text or ()), "--label": tuple(label or ()), "--absent": tuple(absent or ())}
    table, columns = _table(source, column, expect or (), names, kinds) if log is None else (log.drafts.table, None)
    if rows and table is None:
        raise UsageError(f"--rows {rows}: expected --from FILE with the rows, found none")
    fixtures = relative(cases, project())
    made = new_task(InitOptions(
        name, "tools" if log else suite, table, columns, system, goal or None, limit, fixtures, chosen, rows or 0,
        no_guards or "", unit or "", log,
    ))  # fmt: skip
    guards = _guards(chosen, name, cases) if not no_guards else None
    changes = write_task(made, project(), cases, chosen)
    if guards:
        guards.write()
    if not quiet:
        is_asked = bool(chosen and backend_of(chosen).is_hosted and not no_guards)
        _report(changes, made, _next(chosen), guards, is_asked)
    if agents:  # last: what is refused writes nothing
        _report_skill(quiet)


#: Parameters that a log of tool calls does not take: it has no columns, and its rows are not trained on here.
NOT_OF_LOGS = ("column", "expect", "text", "label", "absent", "rows")


def _check_log(ctx: typer.Context, tools: Path | None, source: str | None) -> None:
    """Refuse options that do not go together with --tools, or that need it."""
    if tools is None:
        if is_given(ctx, "allow_personal"):
            raise UsageError("--allow-personal: expected --tools FILE.json with a log, found none")
        return
    if source is None:
        raise UsageError(f"--tools {tools}: expected --from LOG.jsonl with chat messages that call them, found none")
    if option := first_given(ctx, NOT_OF_LOGS):
        raise UsageError(
            f"{option}: expected no such option beside --tools: a log of chat messages has no columns"
            if option != "--rows"
            else "--rows: expected no training rows beside --tools, whose rows are cases only"
        )
    if is_given(ctx, "suite") and ctx.params["suite"] != "tools":
        raise UsageError(f"--suite {ctx.params['suite']}: expected tools beside --tools, or no --suite")


def _log(
    tools: Path | None, source: str, names: str | None, system: str | None, keeps_private: str | None
) -> ToolLog | None:  # fmt: skip
    """The log of tool calls, if there is one."""
    if tools is None:
        return None
    from tunegate.harness.begin.scaffold.tool_log import read_tool_log

    check_reason("--allow-personal", keeps_private)
    return read_tool_log(source, tools, names, system, bool(keeps_private))


def _report_skill(quiet: bool) -> None:
    from tunegate.harness.begin.scaffold.skill import write_skill

    changes, say = write_skill(project()), chatter(quiet)
    say.lines(f"wrote {show_path(path)}" for path in changes.new)
    say.lines(f"note: {note}" for note in changes.notes)


def _refuse_table_options(ctx: typer.Context, source: str) -> None:
    """Refuse the options of a table for a file of another tool."""
    if option := first_given(ctx, OF_TABLES):
        raise UsageError(
            f"{option}: {source} is a file of another tool, whose tests are imported as they are; omit the option, "
            "or read the file as a table: name its columns with --input and --expect"
        )


def _chosen(model: str, is_named: bool, rows: int | None) -> str:
    """Return the model for the settings and the workflow; empty where the expected outputs stand in for one."""
    if rows is not None and rows < 1:
        raise UsageError(f"--rows: expected a number from 1, found {rows}")
    if not is_named and not rows:
        return ""
    backend = backend_of(model)
    if not (backend.extra and (backend.is_here or backend.is_hosted)):  # the workflow installs what it needs
        if is_named:
            raise UsageError(
                f"--model: expected smollm2, a folder, a Hub id, openai:URL#MODEL or anthropic:URL#MODEL, found {model}"
            )
        raise UsageError(
            f"--rows {rows}: expected a local model to train, found {model} in pyproject.toml; add --model smollm2"
        )
    if "${{" in model:
        raise UsageError(f"--model: expected a name without ${{{{, which is workflow syntax, found {model}")
    backend.check(model)
    if rows and not backend.has_weights:
        raise UsageError(f"--rows {rows}: expected a local model to train, found {model}; name one: --model FOLDER")
    return model


def _next(model: str) -> str:
    """The command after `tunegate lint`."""
    if not model:
        return "pytest"
    return "tunegate record" if backend_of(model).is_hosted else "pytest --tg-record"


def _guards(model: str, task: str, cases: Path) -> Addition | None:
    """The guards that come along; none where this installation lacks their package."""
    guards_of_init = find_part("tunegate.harness.cli.guards:guards_of_init")
    return guards_of_init(model, task, cases) if guards_of_init else None


def _is_interactive() -> bool:
    """Return whether a user is at the terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _prompt(question: str, read: Callable[[str], Given]) -> Given:
    """Prompt the user until the reply is valid."""
    while True:
        try:
            return read(str(typer.prompt(question, default="", show_default=False)).strip())
        except TunegateError as error:
            console.print(str(error))


def _file(said: str) -> str | None:
    from tunegate.harness.begin.scaffold.table import read_table

    if said:
        read_table(said := str(Path(said).expanduser()))  # report an invalid table while the user can still reply
    return said or None


def _table(
    source: str | None, column: str | None, expect: Sequence[str], names: str | None,
    kinds: Mapping[str, tuple[str, ...]],
) -> tuple[Table | None, Columns | None]:  # fmt: skip
    """Return the table and its columns; prompt for missing ones on a terminal."""
    from tunegate.harness.begin.scaffold.drafts import Columns
    from tunegate.harness.begin.scaffold.table import read_table

    given = {"--input": column, "--expect": ", ".join(expect), "--id": names}
    given |= {option: ", ".join(columns) for option, columns in kinds.items()}
    if source is None:
        if unread := [option for option, value in given.items() if value]:
            raise UsageError(f"{unread[0]}: expected --from FILE with the column, found none")
        return None, None
    table = read_table(source, list(filter(None, [column, *expect, names])))
    missing = [option for option in ("--input", "--expect") if not given[option]]
    there = ", ".join(filter(None, table.columns))
    if missing and not _is_interactive():
        named = " and ".join(missing)
        raise UsageError(f"{named}: expected a column of {table.name} ({there}), found none")
    if missing:
        console.print(f"{table.name}: {len(table.rows):,} rows, columns {there}")
    column = column or _prompt("Column with the input", lambda said: _columns(table, "--input", said))[0]
    several = "Columns with the expected values (separated by commas)"
    expected = tuple(expect) or _prompt(several, lambda said: _columns(table, "--expect", said))
    return table, Columns(column, expected, names, *kinds.values())


def _columns(table: Table, option: str, said: str) -> tuple[str, ...]:
    """Return the columns that a reply names: one, whose name may contain a comma, or several."""
    names = (said,) if said in table.columns else tuple(each.strip() for each in said.split(","))
    table.check_columns(option, names)
    return names


def _report(changes: Changes, made: NewTask, then: str, guards: Addition | None, says_how: bool) -> None:
    for path in changes.new:
        console.print(f"wrote {show_path(path)}")
    for path in (*changes.added, *changes.edited):
        console.print(f"added to {show_path(path)}")
    console.lines((made.holds, *made.outlook))
    if guards:
        load_part("tunegate.harness.cli.guards:report_added")(guards)
    elif says_how:
        console.print("no guard was added, since its calls are paid for: tunegate guards add general")
    for note in (*made.notes, *changes.notes):
        console.print(f"note: {note}")
    guides = [f"; {show_path(path)} describes the next steps" for path in changes.new if path.name == "README.md"]
    console.print(f"next: tunegate lint, then {then}{''.join(guides)}")
