"""The files of a ledger: one per event, in `<baselines>/ledger/`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tunegate.harness.cases.json_schemas import published_schema
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.files import write_atomically
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.reading import MOST_SETTINGS, NotJson, parse_json, read_text, schema_mistakes
from tunegate.harness.history.ledger.journal import check_finished
from tunegate.harness.history.ledger.ledger import Event, Ledger, model_name

LEDGER = "ledger"


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
