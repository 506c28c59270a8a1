"""To look at: records as reports, and the demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tunegate.harness.cli.common import console


def report(
    record: Annotated[list[Path], typer.Argument(help="Records, as --out or .tunegate/runs/ keep them.")],
) -> None:
    """Show a record: its table, verdicts, decisions, every case that broke with both outputs. Several: side by side."""
    from tunegate.harness.evaluation.record import read_record
    from tunegate.harness.reporting.record import print_side_by_side, show

    records = [read_record(path) for path in record]
    if len(records) > 1:
        print_side_by_side(console, records)
    else:
        show(console, records[0], broken=None)


def demo(
    home: Annotated[Path, typer.Option(help="Where it writes; emptied first.", metavar="DIR")] = Path(".tunegate/demo"),
) -> None:
    """Run the whole loop on the embedded model: baseline, ladder, LoRA, gate, release."""
    from tunegate.harness.cli.demo import run

    code = run(Console(highlight=False), home)
    if code:
        raise typer.Exit(code)
