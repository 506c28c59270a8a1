"""To look at: records as reports, the ledger, and the demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunegate.harness.cli.common import BASELINES, Baselines, Json, console, shared
from tunegate.harness.core.printing import Printer, print_json


def report(
    record: Annotated[
        list[Path],
        typer.Argument(help="Records, as --tg-out or .tunegate/runs/ keep them.", metavar="RECORD.json"),
    ],
    why: Annotated[bool, shared("why")] = False,
    as_json: Json = False,
) -> None:
    """Show a record: its table, verdicts, decisions, every regressed case with both outputs. Several: side by side."""
    from tunegate.harness.evaluation.record import read_record
    from tunegate.harness.reporting.record import print_record, print_side_by_side
    from tunegate.harness.reporting.why import why_lines

    records = [read_record(path) for path in record]
    if as_json:
        print_json([each.as_dict() for each in records])
    elif len(records) > 1:
        print_side_by_side(console, records)
    else:
        print_record(console, records[0], limit=None)
    for line in (line for each in records if why and not as_json for line in why_lines(each)):
        console.print(line, markup=False)


def ledger(
    task: Annotated[str | None, typer.Argument(help="Only this task.", show_default=False)] = None,
    contains: Annotated[str | None, shared("contains")] = None,
    baselines: Baselines = BASELINES,
    as_json: Json = False,
) -> None:
    """Show what was recorded, run, opened, released, withdrawn, retired, oldest first; check that it is all there.

    With --contains it is refused where a branch knows an event that is missing here.
    """
    from tunegate.harness.baselines.ledger import read_ledger
    from tunegate.harness.baselines.ledger_git import check_contains
    from tunegate.harness.reporting.ledger import ledger_lines

    found = read_ledger(baselines)
    if contains:
        check_contains(baselines, found, contains)
    shown = [event for event in found.in_order if task in (None, event.task)]
    if as_json:
        print_json([event.as_dict() | {"digest": event.digest} for event in shown])
        return
    for line in ledger_lines(found, shown):
        console.print(line)


def demo(home: Annotated[Path, shared("home")] = Path(".tunegate/demo")) -> None:
    """Run the whole loop on the embedded model: baseline, ladder, LoRA, gate, release."""
    from tunegate.harness.cli.demo import run

    code = run(Printer(), home)
    if code:
        raise typer.Exit(code)
