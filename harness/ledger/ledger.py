"""The ledger: recordings, runs, evaluations, searches, releases, withdrawals, retirements; a file per event.

An event's file is named by the digest of its content, and it names the newest events before it. So the merge of two
ledgers is their union, in any order, and later events reveal a missing one.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from pathlib import Path
from typing import Any, Literal

from tunegate.harness.cases.json_schemas import published_schema
from tunegate.harness.cases.model import Case, Unit
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.files import digest, write_atomically
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.reading import MOST_SETTINGS, NotJson, parse_json, read_text, schema_mistakes
from tunegate.harness.ledger.journal import check_finished
from tunegate.harness.models.api import Fingerprint

LEDGER = "ledger"
EventKind = Literal[
    "recorded", "serves", "anchored", "run", "opened", "tried", "searched", "released", "withdrawn", "retired"
]
WHO = ("adapter", "base", "tokenizer", "template")  # what identifies a model; its name and prompting strategy do not
Look = tuple[str | None, ...]  # digests
NOTHING: Mapping[str, str] = {}
CASE_DIGITS = 16  # of a case's digest: an event of a thousand cases stays under 20 kB


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
            return all(event.attempt(unit) in known_tries(self, event, unit) for unit in event.cases)
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
            known = [*known_tries(ledger, this, unit.key), this.attempt(unit.key)]
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


def known_tries(ledger: Ledger, event: Event, unit: str) -> list[Look]:
    """Return the different tries on the snapshot that an event is of, in the order of the first of each."""
    alike = [each for each in ledger.of(event.task, "tried") if each.cases.get(unit) == event.cases[unit]]
    return list(dict.fromkeys(each.attempt(unit) for each in alike))


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


def event_path(root: Path, name: str) -> Path:
    """Return the path of an event: `<root>/ledger/<digest>.json`."""
    return root / LEDGER / f"{name}.json"


def read_ledger(root: Path) -> Ledger:
    """Read the ledger below the folder of baselines `root`; a missing ledger has no events.

    Raises:
        Refused: an event was edited, truncated or deleted, or a command left an unfinished change.
    """
    check_finished(root)
    events, wrong = {}, []
    for path in sorted((root / LEDGER).glob("*.json")):
        try:
            event = parse_event(read_text(path, "an event of the ledger", MOST_SETTINGS), show_path(path))
            if path.stem != event.digest:
                raise Refused(f"{show_path(path)}: expected an event as it was written, found it edited or renamed")
            events[path.stem] = event
        except Refused as error:
            wrong.append(f"{error}; {_restore(path)}")
    wrong += _lost(root, events, {path.stem for path in (root / LEDGER).glob("*.json")})
    _refuse(wrong)
    return Ledger(events)


def joint_ledger(root: Path, ledger: Ledger, theirs: Mapping[str, Event]) -> Ledger:
    """Return the ledger of `root` together with other events.

    Raises:
        Refused: an event before one of them is in neither.
    """
    events = {**ledger.events, **theirs}
    _refuse(_lost(root, events, {*events}))
    return Ledger(events)


def _refuse(wrong: Sequence[str]) -> None:
    if wrong:
        raise Refused("the ledger is not whole:\n" + "\n".join(f"  {line}" for line in wrong))


def _lost(root: Path, events: Mapping[str, Event], there: set[str]) -> list[str]:
    lost: dict[str, list[Event]] = {}
    for event in events.values():
        for name in event.after:
            if name not in there:
                lost.setdefault(name, []).append(event)
    return [
        f"{show_path(event_path(root, name))}: expected the event before {render_event(after[0])}, found "
        f"none: history was lost; {_restore(event_path(root, name))}"
        for name, after in sorted(lost.items())
    ]


def _restore(path: Path) -> str:
    shown = show_path(path)
    return f"restore it: git log --all --oneline -- {shown} lists its commits, git checkout COMMIT -- {shown}"


def parse_event(text: str, name: str) -> Event:
    """Parse an event; messages call its file `name`.

    Raises:
        Refused: the text is not an event.
    """
    try:
        data = parse_json(text)
        mistakes = schema_mistakes(data, published_schema("event"))
    except NotJson as error:
        mistakes = [str(error)]
    if mistakes:
        raise Refused(f"{name}: expected an event of the ledger, found {'; '.join(mistakes)}")
    known = {key: data[key] for key in data.keys() - {"schema_version", "after", "cases"}}
    cases = {unit: tuple(each) for unit, each in data.get("cases", {}).items()}
    return Event(**known, cases=cases, after=tuple(data["after"]))


def append(root: Path, event: Event) -> bool:
    """Write an event after all existing ones; return False if its content is already known.

    No lock is needed: if two writers race, neither names the other's event, and both events stay.
    """
    new = next_events(read_ledger(root), [event])
    for each in new:
        write_event(root, each)
    return bool(new)


def next_events(ledger: Ledger, events: Iterable[Event]) -> list[Event]:
    """Return events ready to write, each after all existing ones; known content is omitted."""
    new: list[Event] = []
    for event in events:
        if not ledger.knows(event):
            now = datetime.now(UTC).isoformat(timespec="seconds")
            new.append(replace(event, when=now, after=ledger.heads))
            ledger = Ledger({**ledger.events, new[-1].digest: new[-1]})
    return new


def write_event(root: Path, event: Event) -> None:
    """Write an event's file atomically."""
    write_atomically(event_path(root, event.digest), event.text)


def render_event(event: Event) -> str:
    """Return an event in words, without its time."""
    name, about = model_name(event.subject), len(event.files)
    units = f"{about} unit{'s' if about != 1 else ''}"
    asked = listed([shown(unit) for unit in event.cases])
    return {
        "recorded": f"the baseline of {units}, {name}",
        "serves": f"{name} in service, by the record of {units}",
        "anchored": f"the anchor of {units}, {name}: {shown(event.reason)}",
        "run": f"a run of {name} on {asked}",
        "tried": f"a try of {name} on the labelled traffic of {asked}",
        "opened": f"the evaluation of sealed {asked} for {name}",
        "searched": f"a search of {event.trials} trials, which kept {name}",
        "released": f"the release of {name}",
        "withdrawn": f"the withdrawal of {name}: {shown(event.reason)}",
        "retired": f"the retirement of {listed([shown(unit) for unit in event.files])}: {shown(event.reason)}",
    }[event.kind] + f" ({shown(event.task)}, {shown(event.when)})"
