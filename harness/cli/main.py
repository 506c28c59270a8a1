"""The command line: everything except pytest runs.

A command of an installed package is an entry point of the group `tunegate.commands`, a function as those here. It is
looked for when no command here has its name: help and completion, which do not list it, stay fast.
"""

from __future__ import annotations

import errno
import inspect
import os
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, ClassVar

import typer

from tunegate.harness.cli.adopt import adopt
from tunegate.harness.cli.begin import import_, init, tour
from tunegate.harness.cli.cache import cache
from tunegate.harness.cli.case import case
from tunegate.harness.cli.common import Command, ScoringCommand, errors
from tunegate.harness.cli.compare import compare
from tunegate.harness.cli.coverage import coverage
from tunegate.harness.cli.fixtures import lint, plan, schema
from tunegate.harness.cli.gate import gate, isolate
from tunegate.harness.cli.guards import guards
from tunegate.harness.cli.help import LONG, WIDTH, GroupedCommands
from tunegate.harness.cli.label import label
from tunegate.harness.cli.merge import merge
from tunegate.harness.cli.options import finds_traffic
from tunegate.harness.cli.recorded import prompts, record
from tunegate.harness.cli.release import export, parity, release, retire, sign, verify
from tunegate.harness.cli.report import comment, demo, ledger, report, view
from tunegate.harness.cli.traffic import traffic
from tunegate.harness.cli.training import diagnose, distil, train
from tunegate.harness.core.entry_points import entries_of, entry_place, load_here
from tunegate.harness.core.errors import CouldNotRun, Refused, TunegateError

GROUP = "tunegate.commands"

#: The commands by purpose, each with its line in the list and an example. Each imports its modules when it is
#: called, so that help and completion stay fast.
GROUPS: dict[str, tuple[tuple[Callable[..., None], str, str], ...]] = {
    "Begin": (
        (init, "Start a task: fixtures from a table.", "tunegate init desk --from mail.csv --input text --expect team"),
        (import_, "Import tests of another tool as fixtures.", "tunegate import promptfooconfig.yaml"),
        (tour, "See the gate at work in a minute.", "tunegate tour try-it"),
        (demo, "Run the whole loop on a small model.", "tunegate demo"),
    ),
    "Write": (
        (lint, "Check fixtures, without a model.", "tunegate lint fixtures/support/triage.yaml --strict"),
        (schema, "Print a JSON Schema for an editor.", "tunegate schema task > task.schema.json"),
        (guards, "Add guards that ship: what no change may break.", "tunegate guards add general instructions"),
        (plan, "Show how many cases each unit needs.", "tunegate plan --unit support/triage --margin .03"),
        (traffic, "Freeze production inputs as a snapshot.", "tunegate traffic inputs.jsonl"),
        (coverage, "Find what no case stands for.", "tunegate coverage traffic.jsonl --unit support/triage"),
        (case, "Make a case of an incident.", "tunegate case support/triage --from log.jsonl --id 4711"),
        (prompts, "Write the requests of all cases.", "tunegate prompts support/triage > requests.jsonl"),
        (label, "Label outputs, blindly, on a page or in the terminal.", "tunegate label questions.jsonl --by anna"),
    ),
    "Evaluate": (
        (record, "Record a model's baseline.", "tunegate record --model openai:https://api.example.com/v1#gpt-5"),
        (diagnose, "Find which remedy closes the gap.", "tunegate diagnose support --larger ./bigger"),
        (compare, "Compare configurations, or result files of another tool.",
         "tunegate compare smollm2 terse=terse.txt+smollm2 --unit support/replies"),
        (gate, "Run the gate without importing code from the repository.",
         "tunegate gate --adapter=tuned --policy-from=origin/main"),
        (report, "Show records: one, or side by side.", "tunegate report record.json"),
        (view, "Open a record as a page.", "tunegate view record.json"),
        (comment, "Post the result as a pull-request comment.", "tunegate comment decision.json"),
    ),
    "Train": (
        (train, "Train a LoRA adapter, after the guards.", "tunegate train recipes/support.yaml --dry-run"),
        (distil, "Turn a larger model's outputs into training rows.",
         "tunegate distil mail inputs.jsonl --output rows.jsonl"),
        (adopt, "Adopt a LoRA adapter that was trained elsewhere.",
         "tunegate adopt runs/axolotl-out --rows rows.jsonl --trainer axolotl --task support"),
    ),
    "Ship": (
        (release, "Evaluate an adapter again and release it.", "tunegate release adapters/support"),
        (retire, "Retire a unit that was deleted.", "tunegate retire support/slang --reason 'We serve no chat.'"),
        (sign, "Sign a released adapter.", "tunegate sign adapters/support --key release-key.pem"),
        (verify, "Verify a released adapter's digests.", "tunegate verify adapters/support"),
        (parity, "Verify that a served model matches the evaluated one.",
         "tunegate parity adapters/support --model models/support.gguf"),
        (export, "Merge an adapter into a model, and verify it.",
         "tunegate export adapters/support --output models/support"),
    ),
    "Keep": (
        (ledger, "Show what happened to each task.", "tunegate ledger support --contains=origin/main"),
        (cache, "Show, check or clear the cache.", "tunegate cache check"),
        (merge, "Join the shards of a run into one record.", "tunegate merge shard-*.json --against=baseline"),
    ),
}  # fmt: skip

COMMANDS = tuple(each for commands in GROUPS.values() for each in commands)


class Tunegate(GroupedCommands):
    """The command line."""

    groups: ClassVar = {name: [command.__name__ for command, *_ in commands] for name, commands in GROUPS.items()}

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, which may be an installed package's; None if there is none of that name."""
        return super().get_command(ctx, cmd_name) or _installed(cmd_name)


def _installed(name: str) -> Any:
    try:
        entry = entries_of(GROUP).get(name)
        if entry is None:
            return None
        command = load_here(entry)
        if not inspect.isroutine(command):
            raise Refused(f"{entry_place(entry)}: expected a function, found {type(command).__name__}")
    except TunegateError as error:
        errors.print(str(error))
        raise typer.Exit(error.exit_code) from error
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    alone.command(name, cls=Command)(command)
    return typer.main.get_command(alone)


app = typer.Typer(
    cls=Tunegate, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None,
    context_settings={"help_option_names": [LONG], "max_content_width": WIDTH},
    help="A regression harness: cases, a baseline, then a verdict on each change.",
)  # fmt: skip
#: Commands that run a project's own checks in this process; gate, merge and release isolate them.
SCORING = (record, compare, diagnose, distil, train, adopt, parity, export)
for command, short, example in COMMANDS:
    kind = ScoringCommand if command in SCORING else Command
    app.command(command.__name__, cls=kind, short_help=short, epilog=f"Example: {example}")(finds_traffic(command))


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
    isolate(gate.__name__)
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
