"""Sealed cases: who may be evaluated on them, and the ledger's events before and after."""

from __future__ import annotations

from collections.abc import Sequence

from tunegate.harness.cases.model import Unit
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.files import check_writable
from tunegate.harness.history.ledger.evaluations import case_events
from tunegate.harness.history.ledger.ledger_git import pull, push
from tunegate.harness.history.ledger.store import LEDGER, append, read_ledger
from tunegate.harness.models.api import Fingerprint
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.options.run import BASELINE, Options


def check_openable(sealed: Sequence[Unit], options: Options) -> None:
    """Refuse sealed units for several adapters, and refuse to record the base's outputs for them."""
    names, found = ", ".join(unit.key for unit in sealed), len(options.adapters)
    if not sealed or found == 1:
        return
    if found > 1:
        raise Refused(
            f"--tg-sealed evaluates {names} for one chosen adapter, found {found}; choose it on the open "
            "ones, without --tg-sealed"
        )
    if options.record:
        raise Refused(
            f"--tg-record with --tg-sealed: nothing is recorded of {names}, on which the base is evaluated together "
            "with an adapter; record without --tg-sealed"
        )


def check_changed(sealed: Sequence[Unit], options: Options) -> None:
    """Refuse to evaluate what is in service on sealed cases: it would be compared with itself."""
    if sealed and options.against == BASELINE:
        names = ", ".join(unit.key for unit in sealed)
        raise Refused(
            f"--tg-sealed evaluates {names} for a change, together with what is in service, and this is what is in "
            "service; name an adapter with --tg-adapter, change the prompt or the model, or name a record instead of "
            "the baseline: --tg-against=RECORD.json"
        )


def check_remote(options: Options, candidates: Sequence[Fingerprint], units: Sequence[Unit]) -> None:
    """Refuse an unwritable ledger before a model runs, since its outputs would be lost.

    Raises:
        CouldNotRun: the ledger is not writable.
    """
    events = [event for each in candidates for event in case_events("run", each, units)]
    if options.record or (events and not all(map(read_ledger(options.baselines).knows, events))):
        check_writable(options.baselines / LEDGER)


def announce_evaluations(options: Options, candidates: Sequence[Fingerprint], units: Sequence[Unit]) -> list[str]:
    """Record upcoming evaluations of sealed cases in the ledger before any output exists; return notes on that.

    Raises:
        CouldNotRun: the remote that counts them does not respond.
    """
    opened = [unit for unit in units if unit.sealed]
    if not opened or not candidates:
        return []
    root, remote = options.baselines, options.ledger_remote
    if remote:
        pull(root, remote)
    for event in [event for each in candidates for event in case_events("opened", each, opened)]:
        append(root, event)
    if remote:
        push(root, remote)
        return []
    return ["evaluations of sealed cases are counted only in this clone (--tg-ledger-remote)"]


def send_run(options: Options, record: Record, units: Sequence[Unit]) -> None:
    """Record the cases of a run in the ledger before its record can be read; each counts as evaluated."""
    for event in case_events("run", record.run_by, units, record.digest):
        append(options.baselines, event)
