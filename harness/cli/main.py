"""The command line: everything that is not a pytest run."""

from __future__ import annotations

import typer

from tunegate.harness.cli.common import told
from tunegate.harness.cli.fixtures import lint, plan, schema
from tunegate.harness.cli.release import export, release, verify
from tunegate.harness.cli.report import demo, report
from tunegate.harness.cli.training import diagnose, train

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
