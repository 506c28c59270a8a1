"""The ledger: recordings, runs, evaluations, searches, releases, withdrawals, retirements; a file per event.

An event's file is named by the digest of its content, and it names the newest events before it. So the merge of two
ledgers is their union, in any order, and later events reveal a missing one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from typing import Any, Literal

from tunegate.harness.core.errors import Refused
from tunegate.harness.core.files import digest

EventKind = Literal[
    "recorded", "serves", "anchored", "run", "opened", "tried", "searched", "released", "withdrawn", "retired"
]
WHO = ("adapter", "base", "tokenizer", "template")  # what identifies a model; its name and prompting strategy do not
Look = tuple[str | None, ...]  # digests


@dataclass(frozen=True)
class Event:
    """One event of a task: `subject` is its model, `after` the newest events before it.

    `engine` is that of a run or of an evaluation of sealed cases. `files` are the digests of recorded baselines, of the
    records of a configuration in service, of a release's outputs, or of supplied outputs on labelled traffic, by unit;
    `configurations` are the digests of the prompts, by unit; `cases` are the digests of the cases of a run or an
    evaluation, and of their names. `record` is the digest of the run's record, `reason` the reason of a withdrawal, a
    retirement or an anchor, `trials` the number of trainings of the search that chose it, `when` the time in UTC.
    """

    kind: EventKind
    task: str
    subject: Mapping[str, str | None]
    files: Mapping[str, str] = field(default_factory=dict)
    cases: Mapping[str, Sequence[str]] = field(default_factory=dict)
    engine: Mapping[str, str] = field(default_factory=dict)
    configurations: Mapping[str, str] = field(default_factory=dict)
    record: str = ""
    reason: str = ""
    trials: int = 0
    when: str = ""
    after: tuple[str, ...] = ()

    @property
    def who(self) -> tuple[str | None, ...]:
        """The digests that identify its model."""
        return who(self.subject)

    def look(self, unit: str) -> Look:
        """The key of an evaluation of a unit: the configuration, and the engine of its outputs."""
        return *look(self.subject, self.engine), self.configurations.get(unit)

    def model(self, unit: str) -> Look:
        """The model, the prompting strategy and the prompt that ran a unit, on whatever engine."""
        return *self.who, self.subject.get("rung"), self.configurations.get(unit)

    def attempt(self, unit: str) -> Look:
        """The key of a try on labelled traffic: the model on whatever engine, or the supplied outputs."""
        return *self.model(unit), self.files.get(unit)

    def as_dict(self) -> dict[str, Any]:
        """Return the content of its file."""
        more = {"files": dict(self.files), "cases": {unit: list(cases) for unit, cases in self.cases.items()}}
        more |= {"engine": dict(self.engine), "configurations": dict(self.configurations)}
        texts = {"record": self.record, "reason": self.reason, "trials": self.trials}
        return {
            "schema_version": 1, "kind": self.kind, "task": self.task, "subject": dict(self.subject),
            "when": self.when, "after": list(self.after),
        } | {key: value for key, value in (more | texts).items() if value}  # fmt: skip

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the content: the name of its file."""
        return digest(self.as_dict())

    @property
    def text(self) -> str:
        """The text of its file."""
        return json.dumps(self.as_dict(), indent=1, sort_keys=True) + "\n"


@dataclass(frozen=True)
class Ledger:
    """All events by digest."""

    events: Mapping[str, Event]

    @property
    def heads(self) -> tuple[str, ...]:
        """The events that no other event names; several after a merge."""
        named = {name for event in self.events.values() for name in event.after}
        return tuple(sorted(self.events.keys() - named))

    @cached_property
    def in_order(self) -> Sequence[Event]:
        """All events, each after those that it names, otherwise by time."""
        sorter = TopologicalSorter({name: event.after for name, event in self.events.items()})
        sorter.prepare()
        ready, ordered = list[tuple[str, str]](), list[Event]()
        while sorter.is_active():
            for name in sorter.get_ready():
                heappush(ready, (self.events[name].when, name))
            _, first = heappop(ready)
            ordered.append(self.events[first])
            sorter.done(first)
        return ordered

    def of(self, task: str, *kinds: EventKind) -> list[Event]:
        """Return the events of a task, oldest first, of some kinds or of all."""
        return [event for event in self.in_order if event.task == task and (not kinds or event.kind in kinds)]

    def newest(self, events: Iterable[Event]) -> list[Event]:
        """Return those of `events` that precede none of the others."""
        given = list(events)
        before = self.before(given)
        return [event for event in given if event.digest not in before]

    def before(self, events: Iterable[Event]) -> set[str]:
        """Return the digests of all events before any of these."""
        waiting, found = [name for event in events for name in event.after], set[str]()
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self.events[name].after
        return found

    def withdrawal(self, task: str, model: tuple[str | None, ...]) -> Event | None:
        """Return the event that withdrew the release of a model; None if there is none.

        It must come after the release: a withdrawal that does not know of the release does not count.
        """
        released = {event.digest for event in self.of(task, "released") if event.who == model}
        return next(
            (event for event in self.of(task, "withdrawn") if event.who == model and released & self.before([event])),
            None,
        )

    def live_releases(self, task: str, without: tuple[str | None, ...] | None = None) -> list[Event]:
        """Return the releases of a task neither withdrawn nor followed by another; `without` ignores a model."""
        return self.newest(
            event
            for event in self.of(task, "released")
            if event.who != without and not self.withdrawal(task, event.who)
        )

    def last_release(self, task: str) -> list[Event]:
        """Return the event of a task's last release that was not withdrawn; empty if there is none.

        Several are returned only if the same model's files were renewed on several branches.

        Raises:
            Refused: two models were released on branches that did not know of each other.
        """
        last = self.live_releases(task)
        if len({event.who for event in last}) > 1:
            each = " and ".join(sorted({f"{model_name(event.subject)} ({event.when[:10]})" for event in last}))
            raise Refused(
                f"{task}: expected one last release, found several that do not know of each other, as after a merge: "
                f"{each}; withdraw the one that is not served: tunegate release --withdraw ADAPTER --reason TEXT"
            )
        return last

    def in_service(self, unit: str) -> Event | None:
        """Return the newest event that put a configuration of a unit in service: a release or a `serves` event.

        Withdrawn releases do not count. On branches that did not know of each other, the later event counts.
        """
        task = unit.rpartition("/")[0]
        served = [event for event in self.of(task, "serves", "released") if unit in event.files]
        live = [event for event in served if event.kind == "serves" or not self.withdrawal(task, event.who)]
        return live[-1] if live else None

    def anchors(self, unit: str) -> list[Event]:
        """Return the events whose records can be the anchor of a unit, in the order in which they are tried.

        The first is the approved anchor or the first record in service; the later ones count if its questions changed.
        """
        task = unit.rpartition("/")[0]
        about = [event for event in self.of(task, "serves", "anchored") if unit in event.files]
        first = max((index for index, event in enumerate(about) if event.kind == "anchored"), default=0)
        return about[first:]

    def recorded(self, unit: str, slug: str) -> set[str]:
        """Return the digests of a unit's last baseline of a model; several after a merge, none without one."""
        task = unit.rpartition("/")[0]
        recorded = (event for event in self.of(task, "recorded") if event.subject.get("model") == slug)
        about = [event for event in recorded if unit in event.files]
        return {event.files[unit] for event in self.newest(about)}

    def retirement(self, unit: str) -> Event | None:
        """Return the event that retired a unit; None if there is none, or if the unit was released again since."""
        about = [event for event in self.in_order if unit in event.files and event.kind in ("released", "retired")]
        return about[-1] if about and about[-1].kind == "retired" else None

    def tries(self, event: Event, unit: str) -> list[Look]:
        """Return the different tries on the snapshot that an event is of, in the order of the first of each."""
        alike = [each for each in self.of(event.task, "tried") if each.cases.get(unit) == event.cases[unit]]
        return list(dict.fromkeys(each.attempt(unit) for each in alike))

    def knows(self, event: Event) -> bool:
        """Return whether the ledger already contains the content of an event."""
        if event.kind == "recorded":
            slug = str(event.subject.get("model"))
            return all(self.recorded(unit, slug) == {sha} for unit, sha in event.files.items())
        if event.kind == "serves":
            serving = ((self.in_service(unit), unit, sha) for unit, sha in event.files.items())
            return all(now is not None and now.files[unit] == sha for now, unit, sha in serving)
        if event.kind == "anchored":
            return False
        if event.kind == "released":
            last = self.last_release(event.task)
            return len(last) == 1 and last[0].who == event.who and event.files.items() <= last[0].files.items()
        if event.kind == "withdrawn":
            return self.withdrawal(event.task, event.who) is not None
        if event.kind == "retired":
            return all(self.retirement(unit) for unit in event.files)
        if event.kind == "tried":
            return all(event.attempt(unit) in self.tries(event, unit) for unit in event.cases)
        if event.kind == "searched":
            return any(each.trials >= event.trials for each in self.of(event.task, event.kind) if each.who == event.who)
        # repeating the same configuration, engine and cases reveals nothing new
        return all(
            set(cases) <= {
                case for each in self.of(event.task, event.kind) if each.look(unit) == event.look(unit)
                for case in each.cases.get(unit, ())
            }
            for unit, cases in event.cases.items()
        )  # fmt: skip


def who(subject: Mapping[str, str | None]) -> tuple[str | None, ...]:
    """Return the digests of a subject that identify its model, whatever its name."""
    return tuple(subject.get(part) for part in WHO)


def look(subject: Mapping[str, str | None], engine: Mapping[str, str]) -> Look:
    """Return the key of an evaluation: the model, its prompting strategy and its engine."""
    return (*who(subject), subject.get("rung"), digest(dict(engine)))


def model_name(subject: Mapping[str, str | None]) -> str:
    """Return a model's name for messages: its adapter, if any, and its base."""
    adapter = subject.get("adapter")
    return f"adapter {adapter[:8]} on {subject.get('model')}" if adapter else str(subject.get("model"))
