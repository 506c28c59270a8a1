"""The ledger: what was recorded, run, opened, searched, released, withdrawn, retired; a file an event, never changed.

An event's file is named by the digest of what it says, and it names the newest events before it. So the merge of two
ledgers is their union, whatever the order, and an event that is gone is missed by those that came after it.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from graphlib import TopologicalSorter
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
EventKind = Literal["recorded", "serves", "anchored", "run", "opened", "searched", "released", "withdrawn", "retired"]
WHO = ("adapter", "base", "tokenizer", "template")  # what makes a model another one; its name and rung do not
Look = tuple[str | None, ...]  # digests
CASE_DIGITS = 16  # of a case's digest: an event of a thousand cases stays under 20 kB


@dataclass(frozen=True)
class Event:
    """One thing that happened to a task: `subject` is the model it happened with, `after` the newest events before it.

    `engine` is by what means a model was asked in a run, or at an opening.

    `files` are the digests of the baselines that were recorded, of the records of a configuration in service, or of the
    outputs of a release, by unit; `configurations` those of the prompts, by unit; `cases` those of the cases that were
    asked in a run, or opened, and of their names. `record` is the digest of the run's
    record, `reason` why a release was withdrawn or a unit retired, `trials` how many trainings a search chose its model
    from, `when` the time in UTC.
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
        """The digests that make its model this one and no other."""
        return who(self.subject)

    def look(self, unit: str) -> Look:
        """The configuration whose outputs on a unit were seen, and the engine that made them."""
        return *look(self.subject, self.engine), self.configurations.get(unit)

    def model(self, unit: str) -> Look:
        """The model and the prompt that ran a unit, on whatever engine."""
        return *self.who, self.configurations.get(unit)

    def as_dict(self) -> dict[str, Any]:
        """As it stands in its file."""
        more = {"files": dict(self.files), "cases": {unit: list(cases) for unit, cases in self.cases.items()}}
        more |= {"engine": dict(self.engine), "configurations": dict(self.configurations)}
        texts = {"record": self.record, "reason": self.reason, "trials": self.trials}
        return {
            "schema_version": 1, "kind": self.kind, "task": self.task, "subject": dict(self.subject),
            "when": self.when, "after": list(self.after),
        } | {key: value for key, value in (more | texts).items() if value}  # fmt: skip

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of all that it says: the name of its file."""
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
        """The events that no other one names; several after a merge."""
        named = {name for event in self.events.values() for name in event.after}
        return tuple(sorted(self.events.keys() - named))

    @cached_property
    def in_order(self) -> Sequence[Event]:
        """All events, each after those that it names, and otherwise by time."""
        depth: dict[str, int] = {}
        for name in TopologicalSorter({name: event.after for name, event in self.events.items()}).static_order():
            depth[name] = 1 + max((depth[before] for before in self.events[name].after), default=0)
        return sorted(self.events.values(), key=lambda event: (depth[event.digest], event.when, event.digest))

    def of(self, task: str, *kinds: EventKind) -> list[Event]:
        """The events of a task, oldest first, of some kinds or of all."""
        return [event for event in self.in_order if event.task == task and (not kinds or event.kind in kinds)]

    def newest(self, events: Iterable[Event]) -> list[Event]:
        """Those of `events` that came before none of the others."""
        given = list(events)
        before = self.before(given)
        return [event for event in given if event.digest not in before]

    def before(self, events: Iterable[Event]) -> set[str]:
        """The digests of all events that came before any of these."""
        waiting, found = [name for event in events for name in event.after], set[str]()
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self.events[name].after
        return found

    def withdrawal(self, task: str, model: tuple[str | None, ...]) -> Event | None:
        """The event by which the release of a model was withdrawn; None where it was not.

        It comes after the release: one that does not know of it takes nothing back.
        """
        released = {event.digest for event in self.of(task, "released") if event.who == model}
        return next(
            (event for event in self.of(task, "withdrawn") if event.who == model and released & self.before([event])),
            None,
        )

    def live_releases(self, task: str, without: tuple[str | None, ...] | None = None) -> list[Event]:
        """The releases of a task that were neither withdrawn nor followed by another; `without` passes over a model."""
        return self.newest(
            event
            for event in self.of(task, "released")
            if event.who != without and not self.withdrawal(task, event.who)
        )

    def last_release(self, task: str) -> list[Event]:
        """The event of a task's last release that was not withdrawn; empty where there is none.

        Several only where the same model's files were renewed on several branches.

        Raises:
            Refused: two models were released on branches that did not know of each other.
        """
        last = self.live_releases(task)
        if len({event.who for event in last}) > 1:
            each = " and ".join(sorted({f"{model_name(event.subject)} ({event.when[:10]})" for event in last}))
            raise Refused(
                f"{task}: expected one last release, found several that do not know of each other, as after a merge: "
                f"{each}; say which of them is not served: tunegate release --withdraw ADAPTER --reason TEXT"
            )
        return last

    def in_service(self, unit: str) -> Event | None:
        """The newest event that put a configuration of a unit in service: a release, or a record that serves.

        A release that was withdrawn does not count. Of branches that did not know of each other the later one does.
        """
        task = unit.rpartition("/")[0]
        served = [event for event in self.of(task, "serves", "released") if unit in event.files]
        live = [event for event in served if event.kind == "serves" or not self.withdrawal(task, event.who)]
        return live[-1] if live else None

    def release_in_service(self, task: str) -> bool:
        """Whether an adapter is in service for a task: then the record of a base does not replace it."""
        return bool(self.live_releases(task))

    def anchors(self, unit: str) -> list[Event]:
        """The events whose records a configuration of a unit must hold as well, the first to be tried first.

        That is the record that a reviewer approved as the anchor; else the first one in service; else a later one,
        where the questions changed since.
        """
        task = unit.rpartition("/")[0]
        about = [event for event in self.of(task, "serves", "anchored") if unit in event.files]
        first = max((index for index, event in enumerate(about) if event.kind == "anchored"), default=0)
        return about[first:]

    def recorded(self, unit: str, slug: str) -> set[str]:
        """The digests by which a unit's last baseline of a model is known; several after a merge, none before it."""
        task = unit.rpartition("/")[0]
        about = [
            event for event in self.of(task, "recorded") if unit in event.files and event.subject.get("model") == slug
        ]
        return {event.files[unit] for event in self.newest(about)}

    def retirement(self, unit: str) -> Event | None:
        """The event by which a unit was retired; None where it was not, or was released again since."""
        about = [event for event in self.in_order if unit in event.files and event.kind in ("released", "retired")]
        return about[-1] if about and about[-1].kind == "retired" else None

    def knows(self, event: Event) -> bool:
        """Whether what an event says is known already, so that it need not be said again."""
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
        if event.kind == "searched":
            return any(each.trials >= event.trials for each in self.of(event.task, event.kind) if each.who == event.who)
        # the same configuration on the same engine and the same cases shows nothing that it did not show before
        return all(
            set(cases) <= {
                case for each in self.of(event.task, event.kind) if each.look(unit) == event.look(unit)
                for case in each.cases.get(unit, ())
            }
            for unit, cases in event.cases.items()
        )  # fmt: skip


def who(subject: Mapping[str, str | None]) -> tuple[str | None, ...]:
    """The digests of a subject that make it this model and no other, whatever it is called."""
    return tuple(subject.get(part) for part in WHO)


def look(subject: Mapping[str, str | None], engine: Mapping[str, str]) -> Look:
    """What makes a look at cases another one: the model, the rung that it was asked on, and the engine."""
    return (*who(subject), subject.get("rung"), digest(dict(engine)))


def model_name(subject: Mapping[str, str | None]) -> str:
    """A model in a message: its adapter, if any, and its base."""
    adapter = subject.get("adapter")
    return f"adapter {adapter[:8]} on {subject.get('model')}" if adapter else str(subject.get("model"))


def cases_of(event: Event) -> Iterator[str]:
    """The digests of an event's cases, whatever their units."""
    return (case for cases in event.cases.values() for case in cases)


def case_digest(case: Case) -> str:
    """Digest of what a case asks and expects as it is compared: another id, white space or letter case is no news."""
    return digest(_folded([case.written, case.context, case.expect]))[:CASE_DIGITS]


def known_by(case: Case) -> tuple[str, str]:
    """What a case is known again by once it was asked: what it says, and its name, which an edited case keeps."""
    return case_digest(case), digest(case.key)[:CASE_DIGITS]


def _folded(value: Any) -> Any:
    if isinstance(value, str):
        return " ".join(unicodedata.normalize("NFKC", value).casefold().split())
    if isinstance(value, Mapping):
        return {str(key): _folded(each) for key, each in value.items()}
    return [_folded(each) for each in value] if isinstance(value, list | tuple) else value


def case_digests(units: Iterable[Unit]) -> dict[str, tuple[str, ...]]:
    """What the cases of units are known by, by unit key."""
    return {unit.key: tuple(sorted({each for case in unit.cases for each in known_by(case)})) for unit in units}


def configuration_digest(unit: Unit) -> str:
    """The digest by which the ledger knows how a unit is put."""
    return unit.configuration.digest[:CASE_DIGITS]


def case_events(kind: EventKind, asked: Fingerprint, units: Iterable[Unit], record: str = "") -> list[Event]:
    """What the ledger is told of a model that is asked the cases of `units`: an event a task."""
    by_task: dict[str, list[Unit]] = {}
    for unit in units:
        by_task.setdefault(unit.task, []).append(unit)
    return [
        Event(
            kind,
            task,
            asked.subject,
            cases=case_digests(of_task),
            engine=asked.engine,
            record=record,
            configurations={unit.key: configuration_digest(unit) for unit in of_task},
        )
        for task, of_task in by_task.items()
    ]


def sealed_evaluations(ledger: Ledger, task: str) -> dict[str, int]:
    """How many models have answered each case of a task, sealed or not, by what it is known by: 0 is not in it."""
    return {case: len(models) for case, models in _asked(ledger, task, Event.model).items()}


def evaluation_numbers(ledger: Ledger, units: Iterable[Unit], asked: Fingerprint) -> dict[str, int]:
    """The how many-th this is that is asked the cases of each unit, by its most worn case; from 1.

    Of open cases models are counted. Of sealed ones looks are: on another engine or rung the same adapter gives other
    answers, of which one set might pass. Who was asked before keeps the number: the same answers show nothing new.
    """
    found = {}
    for unit in units:
        [this] = case_events("run", asked, [unit])
        key = Event.look if unit.sealed else Event.model
        before, mine = _asked(ledger, unit.task, key), key(this, unit.key)
        those = [before.get(each, {}) for case in unit.cases for each in known_by(case)]
        found[unit.key] = max((each.get(mine, len(each)) for each in those), default=0) + 1
    return found


def evaluations_made(ledger: Ledger, units: Iterable[Unit]) -> dict[str, int]:
    """How many evaluations of each sealed unit's cases there were, by its most worn case."""
    found = {}
    for unit in units:
        before = _asked(ledger, unit.task, Event.look)
        found[unit.key] = max((len(before.get(each, {})) for case in unit.cases for each in known_by(case)), default=0)
    return found


def _asked(ledger: Ledger, task: str, key: Callable[[Event, str], Look]) -> dict[str, dict[Look, int]]:
    """Who was asked each case of a task, known by `key`, each with the number of those before it."""
    found: dict[str, dict[Look, int]] = {}
    for event in ledger.of(task, "opened", "run"):
        for unit, cases in event.cases.items():
            for case in cases:
                those = found.setdefault(case, {})
                those.setdefault(key(event, unit), len(those))
    return found


def event_path(root: Path, name: str) -> Path:
    """Where the event of a digest stands: `<root>/ledger/<digest>.json`."""
    return root / LEDGER / f"{name}.json"


def read_ledger(root: Path) -> Ledger:
    """Read the ledger below the folder of baselines `root`; one that does not exist has no events.

    Raises:
        Refused: an event was edited, cut off or deleted: names its file, and how to bring it back. Or a command that
            was cut off left something unfinished.
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
    if wrong:
        raise Refused("the ledger is not whole:\n" + "\n".join(f"  {line}" for line in wrong))
    return Ledger(events)


def _lost(root: Path, events: Mapping[str, Event], there: set[str]) -> list[str]:
    lost: dict[str, list[Event]] = {}
    for event in events.values():
        for name in event.after:
            if name not in there:
                lost.setdefault(name, []).append(event)
    return [
        f"{show_path(event_path(root, name))}: expected the event that came before {render_event(after[0])}, found "
        f"none: history was lost; {_restore(event_path(root, name))}"
        for name, after in sorted(lost.items())
    ]


def _restore(path: Path) -> str:
    shown = show_path(path)
    return f"bring it back: git log --all --oneline -- {shown} lists its commits, git checkout COMMIT -- {shown}"


def parse_event(text: str, name: str) -> Event:
    """An event from the text of its file, called `name` in messages.

    Raises:
        Refused: it is none.
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
    """Write an event after all that there are; False where what it says is known already.

    No lock is needed: of two writers at once neither names the other's event, and both events stay.

    Raises:
        Refused: the ledger is not whole.
    """
    new = next_events(read_ledger(root), [event])
    for each in new:
        write_event(root, each)
    return bool(new)


def next_events(ledger: Ledger, events: Iterable[Event]) -> list[Event]:
    """Events as they are to be written, each after all that there are; without what is known already."""
    new: list[Event] = []
    for event in events:
        if not ledger.knows(event):
            now = datetime.now(UTC).isoformat(timespec="seconds")
            new.append(replace(event, when=now, after=ledger.heads))
            ledger = Ledger({**ledger.events, new[-1].digest: new[-1]})
    return new


def write_event(root: Path, event: Event) -> None:
    """Write an event's file: whole or not at all."""
    write_atomically(event_path(root, event.digest), event.text)


def render_event(event: Event) -> str:
    """An event in words, without its time."""
    name, about = model_name(event.subject), len(event.files)
    units = f"{about} unit{'s' if about != 1 else ''}"
    asked = listed([shown(unit) for unit in event.cases])
    return {
        "recorded": f"the baseline of {units}, {name}",
        "serves": f"{name} in service, by the record of {units}",
        "anchored": f"the anchor of {units}, {name}: {shown(event.reason)}",
        "run": f"a run of {name} on {asked}",
        "opened": f"the opening of {asked} for {name}",
        "searched": f"a search of {event.trials} trials, of which {name} was kept",
        "released": f"the release of {name}",
        "withdrawn": f"the withdrawal of {name}: {shown(event.reason)}",
        "retired": f"the end of {listed([shown(unit) for unit in event.files])}: {shown(event.reason)}",
    }[event.kind] + f" ({shown(event.task)}, {shown(event.when)})"
