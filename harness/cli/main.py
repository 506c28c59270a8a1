"""The command line: everything except pytest runs.

A command is a row of `GROUPS`, whose function is imported when it is called or its help is shown: what a row names
outside the core may be missing. A command of an installed package is an entry point of the group `tunegate.commands`,
a function as those here. It is looked for when no row has its name: help and completion do not list it.
"""

from __future__ import annotations

import errno
import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, ClassVar, NamedTuple

import typer

from tunegate.harness.cli.common import Command, ScoringCommand, errors, project
from tunegate.harness.cli.gate import isolate
from tunegate.harness.cli.help import LONG, WIDTH, GroupedCommands
from tunegate.harness.cli.options import finds_traffic
from tunegate.harness.core.crashes import as_tunegate_error
from tunegate.harness.core.entry_points import entries_of, entry_place, load_here
from tunegate.harness.core.errors import CouldNotRun, Refused, TunegateError
from tunegate.harness.core.parts import load_part

GROUP = "tunegate.commands"


class CommandRow(NamedTuple):
    """A command: its function (MODULE:FUNCTION below `tunegate`), its line in the list, and an example."""

    opens: str
    short: str
    example: str

    @property
    def name(self) -> str:
        """The command's name: its function's, less the underscore of one that is a keyword of Python."""
        return self.opens.partition(":")[2].rstrip("_")


#: The commands by purpose.
GROUPS: dict[str, tuple[CommandRow, ...]] = {
    "Begin": (
        CommandRow("harness.cli.begin:init", "Start a task: fixtures from a table.",
            "tunegate init desk --from mail.csv --input text --expect team"),
        CommandRow("harness.imports.commands:import_", "Import tests of another tool as fixtures.",
            "tunegate import promptfooconfig.yaml"),
        CommandRow("harness.cli.begin:tour", "See the gate at work in a minute.", "tunegate tour try-it"),
        CommandRow("harness.cli.report:demo", "Run the whole loop on a small model.", "tunegate demo"),
    ),
    "Write": (
        CommandRow("harness.cli.fixtures:lint", "Check fixtures, without a model.",
            "tunegate lint fixtures/support/triage.yaml --strict"),
        CommandRow("harness.cli.fixtures:schema", "Print a JSON Schema for an editor.",
            "tunegate schema task > task.schema.json"),
        CommandRow("harness.cli.guards:guards", "Add guards that ship: what no change may break.",
            "tunegate guards add general instructions"),
        CommandRow("harness.cli.fixtures:plan", "Show how many cases each unit needs.",
            "tunegate plan --unit support/triage --margin .03"),
        CommandRow("harness.cli.traffic:traffic", "Freeze production inputs as a snapshot.",
            "tunegate traffic inputs.jsonl"),
        CommandRow("harness.labelling.coverage.commands:coverage", "Find what no case stands for.",
            "tunegate coverage traffic.jsonl --unit support/triage"),
        CommandRow("harness.cli.case:case", "Make a case of an incident.",
            "tunegate case support/triage --from log.jsonl --id 4711"),
        CommandRow("harness.cli.recorded:prompts", "Write the requests of all cases.",
            "tunegate prompts support/triage > requests.jsonl"),
        CommandRow("harness.labelling.commands:label", "Label outputs, blindly, on a page or in the terminal.",
            "tunegate label questions.jsonl --by anna"),
    ),
    "Evaluate": (
        CommandRow("harness.cli.recorded:record", "Record a model's baseline.",
            "tunegate record --model openai:https://api.example.com/v1#gpt-5"),
        CommandRow("trainers.commands:diagnose", "Find which remedy closes the gap.",
            "tunegate diagnose support --larger ./bigger"),
        CommandRow("harness.cli.compare:compare", "Compare configurations, or result files of another tool.",
            "tunegate compare smollm2 terse=terse.txt+smollm2 --unit support/replies"),
        CommandRow("harness.cli.gate:gate", "Run the gate without importing code from the repository.",
            "tunegate gate --adapter=tuned --policy-from=origin/main"),
        CommandRow("harness.cli.report:report", "Show records: one, or side by side.", "tunegate report record.json"),
        CommandRow("harness.cli.report:view", "Open a record as a page.", "tunegate view record.json"),
        CommandRow("harness.cli.report:comment", "Post the result as a pull-request comment.",
            "tunegate comment decision.json"),
    ),
    "Train": (
        CommandRow("trainers.commands:train", "Train a LoRA adapter, after the guards.",
            "tunegate train recipes/support.yaml --dry-run"),
        CommandRow("trainers.commands:distil", "Turn a larger model's outputs into training rows.",
            "tunegate distil mail inputs.jsonl --output rows.jsonl"),
        CommandRow("trainers.adoption.commands:adopt", "Adopt a LoRA adapter that was trained elsewhere.",
            "tunegate adopt runs/axolotl-out --rows rows.jsonl --trainer axolotl --task support"),
    ),
    "Ship": (
        CommandRow("harness.release.commands:release", "Evaluate an adapter again and release it.",
            "tunegate release adapters/support"),
        CommandRow("harness.release.commands:retire", "Retire a unit that was deleted.",
            "tunegate retire support/slang --reason 'We serve no chat.'"),
        CommandRow("harness.release.commands:sign", "Sign a released adapter.",
            "tunegate sign adapters/support --key release-key.pem"),
        CommandRow("harness.release.commands:verify", "Verify a released adapter's digests.",
            "tunegate verify adapters/support"),
        CommandRow("harness.release.commands:parity", "Verify that a served model matches the evaluated one.",
            "tunegate parity adapters/support --model models/support.gguf"),
        CommandRow("harness.release.commands:export", "Merge an adapter into a model, and verify it.",
            "tunegate export adapters/support --output models/support"),
    ),
    "Keep": (
        CommandRow("harness.cli.report:ledger", "Show what happened to each task.",
            "tunegate ledger support --contains=origin/main"),
        CommandRow("harness.cli.cache:cache", "Show, check or clear the cache.", "tunegate cache check"),
        CommandRow("harness.cli.merge:merge", "Join the shards of a run into one record.",
            "tunegate merge shard-*.json --against=baseline"),
    ),
}  # fmt: skip

COMMANDS = {row.name: row for rows in GROUPS.values() for row in rows}
#: Commands that run a project's own checks in this process; gate, merge and release isolate them.
SCORING = ("record", "compare", "diagnose", "distil", "train", "adopt", "parity", "export")


class Commands(Mapping[str, Any]):
    """The commands of the rows by name; a command is imported when it is looked up."""

    def __getitem__(self, name: str) -> Any:
        """Raise KeyError if no row has the name, and ModuleNotFoundError if this installation lacks its part."""
        return _of_row(COMMANDS[name])

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class Tunegate(GroupedCommands):
    """The command line."""

    groups: ClassVar = {name: {row.name: row.short for row in rows} for name, rows in GROUPS.items()}

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = Commands()  # type: ignore[assignment]  # nothing adds to it

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """Return the names; importing none."""
        return list(self.commands)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, which may be an installed package's; None if there is none of that name."""
        try:
            return super().get_command(ctx, cmd_name) or _installed(cmd_name)
        except (TunegateError, ImportError) as error:
            if ctx.resilient_parsing:  # completion shows no errors
                return None
            ours = as_tunegate_error(error, project())
            errors.print(str(ours))
            raise typer.Exit(ours.exit_code) from error


@functools.cache
def _of_row(row: CommandRow) -> Any:
    kind = ScoringCommand if row.name in SCORING else Command
    function = finds_traffic(load_part(f"tunegate.{row.opens}"))
    return _command(row.name, function, kind, short_help=row.short, epilog=f"Example: {row.example}")


def _installed(name: str) -> Any:
    entry = entries_of(GROUP).get(name)
    if entry is None:
        return None
    command = load_here(entry)
    if not inspect.isroutine(command):
        raise Refused(f"{entry_place(entry)}: expected a function, found {type(command).__name__}")
    return _command(name, command, Command)


def _command(name: str, function: Callable[..., None], kind: type[Command], **texts: Any) -> Any:
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    alone.command(name, cls=kind, **texts)(function)
    return typer.main.get_command(alone)


app = typer.Typer(
    cls=Tunegate, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None,
    context_settings={"help_option_names": [LONG], "max_content_width": WIDTH},
    help="A regression harness: cases, a baseline, then a verdict on each change.",
)  # fmt: skip


def _show_version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(f"tunegate {version('tunegate')}")
        except PackageNotFoundError:
            typer.echo("tunegate, from a checkout that is not installed")
        raise typer.Exit


@app.callback()
def options(
    shown: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Accept the options before a command."""


def main() -> None:
    """Run the console script."""
    isolate("gate")
    try:
        try:
            app(prog_name="tunegate")
        finally:
            sys.stdout.flush()  # here, since a full disk at interpreter exit would change the exit code
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno != errno.EPIPE:  # EPIPE: the reader is gone
            errors.print(f"cannot write the output ({error.strerror or error})")
        raise SystemExit(CouldNotRun.exit_code) from error
