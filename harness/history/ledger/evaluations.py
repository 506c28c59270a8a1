"""The number of evaluations of each unit, by the digests of their cases."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from tunegate.harness.cases.model import Case, Unit
from tunegate.harness.core.files import digest
from tunegate.harness.history.ledger.ledger import Event, EventKind, Ledger, Look
from tunegate.harness.models.api import Fingerprint

NOTHING: Mapping[str, str] = {}
CASE_DIGITS = 16  # of a case's digest: an event of a thousand cases stays under 20 kB


def case_digest(case: Case) -> str:
    """Digest what a case asks and expects; its id, white space and letter case do not count."""
    return digest(_folded([case.written, case.context, case.expect]))[:CASE_DIGITS]


def known_by(case: Case) -> tuple[str, str]:
    """Return the digests that identify an evaluated case: its content, and its name, which an edited case keeps."""
    return case_digest(case), digest(case.key)[:CASE_DIGITS]


def _folded(value: Any) -> Any:
    if isinstance(value, str):
        return " ".join(unicodedata.normalize("NFKC", value).casefold().split())
    if isinstance(value, Mapping):
        return {str(key): _folded(each) for key, each in value.items()}
    return [_folded(each) for each in value] if isinstance(value, list | tuple) else value


def unit_digests(unit: Unit) -> tuple[str, ...]:
    """Return the identifying digests of a unit's cases; a snapshot of traffic counts as a whole."""
    if unit.traffic:
        return (digest([unit.key, unit.traffic])[:CASE_DIGITS],)
    return tuple(sorted({each for case in unit.cases for each in known_by(case)}))


def case_events(kind: EventKind, asked: Fingerprint, units: Iterable[Unit], record: str = "") -> list[Event]:
    """Return the events of a model's evaluation on `units`, one per task."""
    by_task: dict[str, list[Unit]] = {}
    for unit in units:
        by_task.setdefault(unit.task, []).append(unit)
    return [
        Event(
            kind, task, asked.subject, engine=asked.engine, record=record,
            cases={unit.key: unit_digests(unit) for unit in of_task},
            configurations={unit.key: unit.configuration.digest[:CASE_DIGITS] for unit in of_task},
        )
        for task, of_task in by_task.items()
    ]  # fmt: skip


def sealed_evaluations(ledger: Ledger, task: str) -> dict[str, int]:
    """Return the number of configurations run on each case of a task, by the case's digests; 0 is absent."""
    return {case: len(models) for case, models in _asked(ledger, task, Event.model).items()}


def evaluation_numbers(
    ledger: Ledger, units: Iterable[Unit], asked: Fingerprint, supplied: Mapping[str, str] = NOTHING
) -> dict[str, int]:
    """Return the number of this evaluation of each unit, by its most used case; from 1.

    For open cases, configurations are counted. For sealed cases, evaluations are counted: another engine gives the same
    configuration other outputs, one set of which might pass. For labelled traffic, tries are counted; `supplied` are as
    in `try_events`. A repeated evaluation keeps its number, since it reveals nothing new.
    """
    found, units = {}, list(units)
    together = {unit.key for unit in units}
    for unit in units:
        if unit.labels:
            [this] = try_events(asked, [unit], supplied)
            known = [*ledger.tries(this, unit.key), this.attempt(unit.key)]
            found[unit.key] = known.index(known[-1]) + 1
            continue
        [this] = case_events("run", asked, [unit])
        key = Event.look if unit.sealed else Event.model
        before, mine = _asked(ledger, unit.task, key, together), key(this, unit.key)
        those = [before.get(each, {}) for each in unit_digests(unit)]
        found[unit.key] = max((_place(each, mine) for each in those), default=0) + 1
    return found


def try_events(asked: Fingerprint, units: Iterable[Unit], supplied: Mapping[str, str]) -> list[Event]:
    """Return the events of a model's tries on units of labelled traffic, one per task.

    `supplied` are the digests of supplied outputs, by unit: their name says nothing about them.
    """
    found = case_events("tried", asked, units)
    return [replace(each, engine={}, files={key: supplied[key] for key in each.cases if key in supplied})
            for each in found]  # fmt: skip


def evaluations_made(ledger: Ledger, units: Iterable[Unit]) -> dict[str, int]:
    """Return the number of evaluations of each sealed unit, by its most used case."""
    found, units = {}, list(units)
    together = {unit.key for unit in units}
    for unit in units:
        before = _asked(ledger, unit.task, Event.look, together)
        found[unit.key] = max((len({*before.get(each, {}).values()}) for each in unit_digests(unit)), default=0)
    return found


def _asked(
    ledger: Ledger, task: str, key: Callable[[Event, str], Look], together: Collection[str] = ()
) -> dict[str, dict[Look, Look]]:
    """Return the looks at each case of a task by `key`, oldest first, each with the evaluation that it was part of.

    Units `together` are decided together: what one event looked at with them is one evaluation of a case. What it
    looked at with other units counts singly, since the best of them may have been chosen.
    """
    found: dict[str, dict[Look, Look]] = {}
    for event in ledger.of(task, "opened", "run"):
        for unit, cases in event.cases.items():
            evaluation = (event.digest,) if unit in together else (event.digest, unit)
            for case in cases:
                found.setdefault(case, {}).setdefault(key(event, unit), evaluation)
    return found


def _place(looks: Mapping[Look, Look], mine: Look) -> int:
    """Return the number of evaluations of a case before the one that `mine` was part of."""
    evaluations = list(dict.fromkeys(looks.values()))
    return evaluations.index(looks[mine]) if mine in looks else len(evaluations)
