"""The ledger as text: a line an event, oldest first, and which release each task is held to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunegate.harness.core.formatting import listed
from tunegate.harness.ledger.ledger import Event, Ledger, model_name, render_event, sealed_evaluations


def ledger_lines(ledger: Ledger, shown: Sequence[Event]) -> Iterator[str]:
    """The lines that show some events of a ledger, and what follows from them."""
    for event in shown:
        yield f"{event.digest[:12]}  {render_event(event)}"
    for task in dict.fromkeys(event.task for event in shown):
        yield f"{task}: {_release(ledger, task)}; {_sealed_evaluations(ledger, task)}"
    yield f"{_number(len(ledger.events), 'event')}, {_number(len(ledger.heads), 'head')}; none is missing"


def _release(ledger: Ledger, task: str) -> str:
    names = sorted({model_name(event.subject) for event in ledger.live_releases(task)})
    if len(names) > 1:
        return f"several releases at once: {listed(names)}"
    return f"the last release is {names[0]}" if names else "no release"


def _sealed_evaluations(ledger: Ledger, task: str) -> str:
    opened = {(*event.look(""), *sorted(event.configurations.items())) for event in ledger.of(task, "opened")}
    most = max(sealed_evaluations(ledger, task).values(), default=0)
    trials = sum(event.trials for event in ledger.of(task, "searched"))
    searched = f"; {_number(trials, 'trial')} in searches" if trials else ""
    looks = f"sealed cases opened {_number(len(opened), 'time')}, a case answered by {_number(most, 'model')} at most"
    return f"{looks}{searched}"


def _number(count: int, name: str) -> str:
    return f"{count} {name}{'s' if count != 1 else ''}"
