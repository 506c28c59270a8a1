"""Who may look at which cases, and what the ledger is told of it: before anybody is asked, and after."""

from __future__ import annotations

from collections.abc import Sequence

from tunegate.harness.cases.model import Unit
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.files import check_writable
from tunegate.harness.evaluation.record import Record
from tunegate.harness.ledger.ledger import LEDGER, append, case_events, read_ledger
from tunegate.harness.ledger.ledger_git import pull, push
from tunegate.harness.models.api import Fingerprint
from tunegate.harness.options.run import BASELINE, Options


def check_openable(sealed: Sequence[Unit], options: Options) -> None:
    """Refuse to open sealed units but for one chosen adapter, and to record what the base answers to them.

    Raises:
        Refused: names the units, and what to do.
    """
    names, found = ", ".join(unit.key for unit in sealed), len(options.adapters)
    if not sealed or found == 1:
        return
    if found > 1:
        raise Refused(
            f"--tg-sealed opens the cases of {names} for one chosen adapter, found {found}; choose it on the open "
            "ones, without --tg-sealed"
        )
    if options.record:
        raise Refused(
            f"--tg-record with --tg-sealed: nothing is recorded of {names}, whose cases the base is asked when they "
            "are opened for an adapter; record without --tg-sealed"
        )
    if options.against == BASELINE:
        raise Refused(
            f"--tg-sealed opens the cases of {names} for an adapter, beside which its base is asked; name it with "
            "--tg-adapter, or a record instead of the baseline: --tg-against=RECORD.json"
        )


def check_remote(options: Options, adapters: Sequence[Fingerprint], units: Sequence[Unit]) -> None:
    """Refuse a ledger that cannot be told what is about to be asked or recorded: answers would be lost with that.

    Raises:
        CouldNotRun: nothing can be written there.
        Refused: the ledger is not whole.
    """
    events = [event for each in adapters for event in case_events("run", each, units)]
    if options.record or (events and not all(map(read_ledger(options.baselines).knows, events))):
        check_writable(options.baselines / LEDGER)


def describe_evaluations(options: Options, adapters: Sequence[Fingerprint], units: Sequence[Unit]) -> list[str]:
    """Tell which sealed cases adapters are about to be asked, before anybody can see an output; lines about that.

    Raises:
        CouldNotRun: the remote that counts them does not answer.
        Refused: the ledger is not whole.
    """
    opened = [unit for unit in units if unit.sealed]
    if not opened or not adapters:
        return []
    root, remote = options.baselines, options.ledger_remote
    if remote:
        pull(root, remote)
    for event in [event for each in adapters for event in case_events("opened", each, opened)]:
        append(root, event)
    if remote:
        push(root, remote)
        return []
    return ["openings of sealed cases are counted on this clone alone (--tg-ledger-remote)"]


def send_run(options: Options, record: Record, units: Sequence[Unit]) -> None:
    """Tell which cases an adapter answered, before its record can be read: each is a look at them.

    Raises:
        Refused: the ledger is not whole.
    """
    if not record.run_by.subject.get("adapter"):
        return
    for event in case_events("run", record.run_by, units, record.digest):
        append(options.baselines, event)
