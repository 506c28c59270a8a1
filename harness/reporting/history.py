"""The history of each unit from the ledger: recordings, runs and releases, with the scores still available.

The ledger names records and outputs by digest and holds no scores. A score is shown if the file with that digest is
in the folder of baselines or among the kept runs; otherwise only the event is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.escaping import shown
from tunegate.harness.history.baselines.releases import kept_path
from tunegate.harness.history.baselines.store import baseline_path, read_baseline
from tunegate.harness.history.ledger.ledger import Event, Ledger, model_name
from tunegate.harness.history.ledger.store import read_ledger
from tunegate.harness.models.evaluation.record import Record, read_record
from tunegate.harness.reporting.report import HistoryEntry, Report, UnitHistory, candidate_name

MOST_ENTRIES = 50  # per unit: the newest
MOST_READ = 1 << 24  # bytes of runs to read for their scores, newest first
WORDS = {
    "recorded": "baseline recorded", "run": "run", "opened": "sealed cases evaluated", "released": "released",
    "withdrawn": "withdrawn",
}  # fmt: skip


@dataclass(frozen=True)
class _Sources:
    """Sources of scores: the ledger and its folder of baselines, and records by digest."""

    root: Path
    ledger: Ledger
    records: Mapping[str, Record]


def with_history(report: Report, records: Sequence[Record], baselines: Path, runs: Path) -> Report:
    """Add the ledger's history of its units to the report; an incomplete ledger gives a note instead."""
    shown_now = {record.digest: record for record in records}
    try:
        ledger = read_ledger(baselines)
    except (Refused, CouldNotRun) as error:
        return replace(report, notes=(*report.notes, f"no history: {error}"))
    sources = _Sources(baselines, ledger, shown_now | _kept_runs(ledger, shown_now, runs))
    units = {unit: record for record in reversed(records) for unit in record.units}
    made = (_unit_history(sources, unit, record, shown_now) for unit, record in sorted(units.items()))
    return replace(report, history=tuple(each for each in made if len(each.entries) > 1))


def _kept_runs(ledger: Ledger, known: Mapping[str, Record], folder: Path) -> dict[str, Record]:
    """Return the kept records that the ledger names, by digest."""
    wanted = {event.record for event in ledger.events.values() if event.record} - known.keys()
    found: dict[str, Record] = {}
    room = MOST_READ
    for path in sorted(folder.glob("*.json"), reverse=True) if wanted else ():
        with suppress(Refused, OSError):  # skip truncated, edited and missing records
            room -= path.stat().st_size
            if room < 0:
                break
            record = read_record(path)
            found[record.digest] = record
    return found


def _unit_history(sources: _Sources, unit: str, record: Record, shown_now: Mapping[str, Record]) -> UnitHistory:
    questions, slug = record.questions[unit], record.fingerprint["subject"].get("model")
    events = list(_events(sources.ledger, unit, slug))
    entries = [_of_event(sources, event, unit, questions) for event in events]
    known = {event.record for event in events}
    entries += [
        HistoryEntry(
            each.created, "shown here", candidate_name(each), each.units[unit].mean, each.questions[unit] == questions
        )
        for digest, each in shown_now.items()
        if unit in each.units and digest not in known
    ]
    return UnitHistory(unit, record.units[unit].kind, tuple(entries[-MOST_ENTRIES:]))


def _events(ledger: Ledger, unit: str, slug: str | None) -> Iterator[Event]:
    """Yield the events of a unit: its releases, whatever their base, and other events of this model."""
    released: set[tuple[str | None, ...]] = set()
    for event in ledger.of(unit.rpartition("/")[0], "recorded", "run", "opened", "released", "withdrawn"):
        is_about = unit in event.files or unit in event.cases
        if event.kind == "released" and is_about:
            released.add(event.who)
        if event.kind == "withdrawn":
            is_about = event.who in released
        if is_about and (event.kind in ("released", "withdrawn") or event.subject.get("model") == slug):
            yield event


def _of_event(sources: _Sources, event: Event, unit: str, questions: Mapping[str, str]) -> HistoryEntry:
    mean, scored = _score(sources, event, unit) or (None, questions)
    name = shown(model_name(event.subject))
    return HistoryEntry(event.when, WORDS[event.kind], name, mean, scored == questions)


def _score(sources: _Sources, event: Event, unit: str) -> tuple[float | None, Mapping[str, str]] | None:
    """Return the unit's mean score and the questions it rests on, from the file that the event names."""
    if event.record in sources.records and unit in (record := sources.records[event.record]).units:
        return record.units[unit].mean, record.questions[unit]
    sha, slug = event.files.get(unit, ""), str(event.subject.get("model"))
    written = baseline_path(sources.root, slug, unit, event.kind == "released")
    for path in (written, kept_path(sources.root, sha)) if sha else ():
        with suppress(Refused):
            found = read_baseline(path, unit)
            if found.digest == sha:
                return found.summary.mean, found.questions
    return None
