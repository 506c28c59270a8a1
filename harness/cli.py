"""The command line: everything that is not a pytest run."""

from __future__ import annotations

import typer

from harness.commands.fixtures import lint, plan, schema
from harness.commands.frame import told
from harness.commands.releasing import export, release, verify
from harness.commands.showing import demo, report
from harness.commands.training import diagnose, train

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich",
    help="Fixtures first, then a baseline, then a LoRA, then a gate. The suites themselves run under pytest: "
    "[bold]pytest suites/ --tg-record[/], then [bold]pytest suites/ --tg-adapter=DIR --tg-against baseline[/].",
)  # fmt: skip
for command in (lint, schema, plan, diagnose, train, release, verify, export, report, demo):
    app.command()(told(command))


def main() -> None:
    """The console script."""
    app()
