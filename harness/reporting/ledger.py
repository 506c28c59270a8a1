"""The ledger as text: one line per event, oldest first, and each task's current release."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunegate.harness.core.formatting import listed, quantity
from tunegate.harness.history.ledger.evaluations import sealed_evaluations
from tunegate.harness.history.ledger.ledger import Event, Ledger, model_name
from tunegate.harness.history.ledger.store import render_event


def ledger_lines(ledger: Ledger, shown: Sequence[Event]) -> Iterator[str]:
    """Yield the lines for some events of a ledger, and their summary."""
    for event in shown:
        yield f"{event.digest[:12]}  {render_event(event)}"
    for task in dict.fromkeys(event.task for event in shown):
        yield f"{task}: {_release(ledger, task)}; {_sealed_evaluations(ledger, task)}"
    yield f"{quantity(len(ledger.events), 'event')}, {quantity(len(ledger.heads), 'head')}; none is missing"


def _release(ledger: Ledger, task: str) -> str:
    names = sorted({model_name(event.subject) for event in ledger.live_releases(task)})
    if len(names) > 1:
        return f"several releases at once: {listed(names)}"
    return f"the last release is {names[0]}" if names else "no release"


def _sealed_evaluations(ledger: Ledger, task: str) -> str:
    evaluated = {(*event.look(""), *sorted(event.configurations.items())) for event in ledger.of(task, "opened")}
    most = max(sealed_evaluations(ledger, task).values(), default=0)
    trials = sum(event.trials for event in ledger.of(task, "searched"))
    searched = f"; {quantity(trials, 'trial')} in searches" if trials else ""
    times, configurations = quantity(len(evaluated), "time"), quantity(most, "configuration")
    return f"sealed cases evaluated {times}, a case with at most {configurations}{searched}"
