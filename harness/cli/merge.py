"""Merge the shards of one run, generated on several machines, into one record and its verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunegate.harness.cli.common import chatter, console, errors, project
from tunegate.harness.cli.options import BASELINES, FIXTURES, Baselines, Cases, Json, Quiet, shared
from tunegate.harness.core.printing import print_json
from tunegate.harness.models.options.run import Inconclusive


def merge(
    shard: Annotated[
        list[Path], typer.Argument(help="Shards that --tg-shard wrote to --tg-out.", metavar="SHARD.json")
    ],
    against: Annotated[str | None, shared("against")] = None,
    record: Annotated[bool, shared("record")] = False,
    cases: Cases = FIXTURES,
    baselines: Baselines = BASELINES,
    inconclusive: Annotated[Inconclusive, shared("inconclusive")] = "block",
    out: Annotated[Path | None, shared("out")] = None,
    ledger_remote: Annotated[str | None, shared("ledger-remote")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Merge all shards of a run into the record of a single run, and evaluate it; exit 1 if anything blocks.

    Missing, duplicate, damaged or foreign shards are refused. The outputs are scored again; no model runs.
    """
    from tunegate.harness.checks.registry import isolating_checks
    from tunegate.harness.core.progress import watch_on
    from tunegate.harness.models.evaluation.shard_record import read_shards
    from tunegate.harness.models.options.run import Options
    from tunegate.harness.reporting.record import print_record
    from tunegate.harness.review.change.decide import blocking
    from tunegate.harness.session.run import Session

    shards = read_shards(shard)
    run = shards.first
    session = Session(Options(
        project().resolve(), run.model, cases=cases, baselines=baselines, out=out, against=against, record=record,
        rung=shards.rung, sealed=run.record.sealed, repeats=run.repeats, ledger_remote=ledger_remote, shards=shards,
        inconclusive=inconclusive,
    ))  # fmt: skip
    with isolating_checks() as checks:
        session.selection.select(
            [], [unit for unit in session.selection.units() if against or unit.key in run.questions]
        )
        session.execute(watch_on(chatter(quiet, as_json)))
    session.notes += checks.notes
    [made] = session.records
    if as_json:
        print_json(made.as_dict())
    else:
        print_record(console, made)
        console.lines(session.notes)
    unscored = record and any(summary.unscored for summary in made.units.values())
    blocked = blocking(session, made) if against else ()
    if blocked:
        errors.print(f"merge: blocked by {', '.join(blocked)}")
    if unscored or blocked:
        raise typer.Exit(1)
