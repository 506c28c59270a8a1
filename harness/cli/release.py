"""What leaves the house: release, verify and export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunegate.harness.cli.common import BASELINES, FIXTURES, RUNS, Baselines, Cases, console, errors
from tunegate.harness.core.errors import show_path


def release(
    adapter: Annotated[Path, typer.Argument(help="The adapter's folder.")],
    record: Annotated[
        Path | None, typer.Option(help="The run to rest on (default: the newest of this adapter).")
    ] = None,
    cases: Cases = FIXTURES,
    baselines: Baselines = BASELINES,
) -> None:
    """Release an adapter: judge its outputs again, compute the verdict again, then write manifest and model card."""
    from tunegate.harness.core.progress import watch_on
    from tunegate.harness.evaluation.record import read_record
    from tunegate.harness.models.adapters import adapter_digest
    from tunegate.harness.release.release import find_record
    from tunegate.harness.release.release import release as run

    found = read_record(record) if record else find_record(RUNS, adapter_digest(adapter))
    done = run(adapter, found, cases, baselines, watch_on(console))
    for line in done.files:
        console.print(line, markup=False)
    console.print(f"model card: {show_path(done.card)}")
    console.print(f"release manifest: {show_path(done.manifest)}")


def verify(adapter: Annotated[Path, typer.Argument(help="The released adapter's folder.")]) -> None:
    """Check a released adapter's digests again, on any machine, without torch."""
    from tunegate.harness.release.release import verify as run

    for line in run(adapter):
        console.print(line, markup=False)


def export(
    adapter: Annotated[Path, typer.Argument(help="The adapter's folder.")],
    output: Annotated[Path, typer.Option(help="The merged model's folder.", metavar="DIR")],
    record: Annotated[
        Path | None, typer.Option(help="The adapter's run to compare with (default: its newest).")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Gate what is in DIR already: converted or quantized since, say.")
    ] = False,
    cases: Cases = FIXTURES,
) -> None:
    """Merge an adapter into a model folder, and gate that model against the adapter's own record; 1 if it blocks."""
    from tunegate.harness.core.progress import watch_on
    from tunegate.harness.evaluation.record import read_record
    from tunegate.harness.models.adapters import adapter_digest
    from tunegate.harness.release import export as exports
    from tunegate.harness.release.release import find_record
    from tunegate.harness.reporting.leaderboard import megabytes
    from tunegate.harness.reporting.record import show

    found = read_record(record) if record else find_record(RUNS, adapter_digest(adapter))
    run = exports.check if check else exports.export
    done = run(adapter, output, found, cases, watch_on(console))
    show(console, done.record)
    console.print(f"{done.same} of {done.of} outputs are those of the adapter")
    if done.blocked:
        errors.print(f"blocked: the merged model is not what was judged; {show_path(output)} is not to be served")
        raise typer.Exit(1)
    console.print(f"merged model: {show_path(done.folder)} ({megabytes(done.folder):.1f} MB)", markup=False)
