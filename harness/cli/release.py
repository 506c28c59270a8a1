"""What leaves the house: release, retire, verify and export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunegate.harness.cli.common import (
    BASELINES,
    FIXTURES,
    RUNS,
    Adapter,
    Baselines,
    Cases,
    ChatTemplate,
    Device,
    Dtype,
    InDtype,
    Json,
    OnDevice,
    Quiet,
    Run,
    chatter,
    console,
    errors,
    project,
    shared,
)
from tunegate.harness.core.errors import UsageError, show_path
from tunegate.harness.core.printing import print_json

if TYPE_CHECKING:
    from tunegate.harness.evaluation.record import Record


def release(
    adapter: Adapter,
    run: Run = None,
    model: Annotated[str, shared("model")] = "smollm2",
    device: OnDevice = Device.auto,
    dtype: InDtype = Dtype.auto,
    chat_template: ChatTemplate = None,
    withdraw: Annotated[bool, shared("withdraw")] = False,
    reason: Annotated[str | None, shared("reason")] = None,
    cases: Cases = FIXTURES,
    baselines: Baselines = BASELINES,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Release an adapter: judge its record again, ask it and its base again, then write manifest and model card.

    Without --run it rests on the adapter's newest complete run; --model is its base. With --withdraw the release is
    taken back, and the one before it is the last release again; the ledger keeps both, and the --reason.
    """
    from tunegate.harness.checks.registry import isolating_checks
    from tunegate.harness.core.progress import watch_on
    from tunegate.harness.models.model_options import ModelOptions
    from tunegate.harness.models.opening import opener
    from tunegate.harness.release.release import release_adapter

    if withdraw or reason is not None:
        _withdraw(adapter, baselines, reason if withdraw else None, as_json)
        return
    aside = chatter(quiet, as_json)
    watch = watch_on(aside)
    with isolating_checks():  # a repository's own Python has no say in it
        asked = opener(model, watch, ModelOptions(str(device), str(dtype), chat_template))
        done = release_adapter(adapter, _record_of(adapter, run), cases, baselines, watch, asked)
    card, manifest = show_path(done.card), show_path(done.manifest)
    if as_json:
        print_json({"manifest": manifest, "card": card, "baselines": list(done.files)})
        return
    for line in [*done.notes, *done.files]:
        aside.print(line, markup=False)
    console.print(f"model card: {card}")
    console.print(f"release manifest: {manifest}")


def _withdraw(adapter: Path, baselines: Path, reason: str | None, as_json: bool) -> None:
    from tunegate.harness.baselines.releases import withdraw

    if not (reason and reason.strip()):
        raise UsageError("a withdrawal takes both: tunegate release --withdraw ADAPTER --reason TEXT")
    lines = withdraw(baselines, adapter, reason)
    if as_json:
        print_json({"withdrawn": lines})
        return
    for line in lines:
        console.print(line)
    console.print("commit what changed below the baselines; the adapter's own folder is as it was: do not deliver it")


def retire(
    unit: Annotated[str, typer.Argument(help="The unit, by name.", metavar="TASK/UNIT")],
    reason: Annotated[str, shared("reason")],
    cases: Cases = FIXTURES,
    baselines: Baselines = BASELINES,
) -> None:
    """Retire a unit that was deleted from the fixtures: its baselines go, and no release is held to it any more.

    The ledger keeps which releases were judged on it, and the --reason.
    """
    from tunegate.harness.baselines import releases
    from tunegate.harness.fixtures.loader import load_tasks

    if not reason.strip():
        raise UsageError("--reason: expected why the unit is retired, found nothing")
    if unit in {each.key for task in load_tasks(cases) for each in task.units}:
        raise UsageError(f"{unit}: expected a unit that was deleted, found it among the fixtures; delete it first")
    for line in releases.retire_unit(baselines, unit, reason):
        console.print(line, markup=False)
    console.print("commit what changed below the baselines")


def verify(adapter: Adapter, as_json: Json = False, quiet: Quiet = False) -> None:
    """Check a released adapter's digests again, on any machine, without torch."""
    from tunegate.harness.release.manifest import read_manifest, verify_release

    lines = verify_release(adapter)
    if as_json:
        print_json(read_manifest(adapter))
        return
    for line in lines:
        chatter(quiet).print(line, markup=False)


def export(
    adapter: Adapter,
    output: Annotated[Path, shared("output")],
    run: Run = None,
    check: Annotated[bool, shared("check")] = False,
    chat_template: ChatTemplate = None,
    cases: Cases = FIXTURES,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Merge an adapter into a model folder, and gate that model against the adapter's own record; 1 if it blocks.

    Without --run it is compared with the adapter's newest complete run.
    """
    from tunegate.harness.core.progress import watch_on
    from tunegate.harness.release import export as exports
    from tunegate.harness.reporting.leaderboard import megabytes
    from tunegate.harness.reporting.record import print_record

    make = exports.check_export if check else exports.export_adapter
    watch = watch_on(chatter(quiet, as_json))
    done = make(adapter, output, _record_of(adapter, run), cases, watch, chat_template)
    if as_json:
        print_json({"folder": show_path(done.folder), "blocked": done.blocked, "same": done.same, "of": done.of})
    else:
        print_record(console, done.record)
        console.print(f"{done.same} of {done.of} outputs are those of the adapter")
    if done.blocked:
        errors.print(f"blocked: the merged model is not what was judged; {show_path(output)} is not to be served")
        raise typer.Exit(1)
    if not as_json:
        console.print(f"merged model: {show_path(done.folder)} ({megabytes(done.folder):.1f} MB)", markup=False)


def _record_of(adapter: Path, run: Path | None) -> Record:
    from tunegate.harness.evaluation.record import read_record
    from tunegate.harness.models.adapters import adapter_digest
    from tunegate.harness.release.release import find_record

    return read_record(run) if run else find_record(project() / RUNS, adapter_digest(adapter))
