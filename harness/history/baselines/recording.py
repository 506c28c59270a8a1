"""Writing of baselines: whole units, by compare and swap, with a line of changes each; then the ledger."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from tunegate.harness.cases.model import Unit
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.files import digest_in_parts, json_by_line
from tunegate.harness.core.reading import read_text
from tunegate.harness.core.typed import as_data
from tunegate.harness.history.baselines.diff import number, update_changes
from tunegate.harness.history.baselines.releases import kept_path, replaced_outputs
from tunegate.harness.history.baselines.service import first_records
from tunegate.harness.history.baselines.store import Baseline, baseline_path, read_baseline, state
from tunegate.harness.history.ledger.journal import write_together, writing
from tunegate.harness.history.ledger.ledger import Event, Ledger, model_name
from tunegate.harness.history.ledger.store import event_path, next_events, read_ledger
from tunegate.harness.models.api import SERVED
from tunegate.harness.models.backends import hosted_name
from tunegate.harness.models.evaluation.record import Record


class _File(NamedTuple):
    """The new file of a unit, and its digest in the ledger."""

    text: str
    digest: str


def write_baselines(
    root: Path,
    slug: str,
    record: Record,
    units: Sequence[Unit],
    seen: Mapping[str, str | None],
    released: Path | None = None,
    more: Mapping[Path, str] | None = None,
    serves: bool = False,
    anchor: str = "",
) -> list[str]:
    """Write the files of whole units and return a line of changes each; unchanged files stay untouched.

    Compare and swap: `seen` is their `state` when the writer began. `released` is the adapter of these outputs, by its
    folder or its `.ref`; None for a baseline, which is in service from now on if it `serves`, and the anchor of later
    configurations for the reason `anchor`. All files and their ledger events are one change, with `more` texts for the
    folder of a released adapter: a kill leaves all of it or nothing.

    Raises:
        Refused: another writer changed a file since, or the ledger is incomplete; nothing is written.
    """
    files = {unit.key: _file(record, unit, _adapter_at(root, released)) for unit in units}
    texts = {unit: file.text for unit, file in files.items()}
    with writing(root):
        _check_unchanged(root, slug, units, seen, bool(released), texts)
        ledger = read_ledger(root)
        paths = {unit.key: baseline_path(root, slug, unit.key, bool(released)) for unit in units}
        lines = [_change(paths[unit.key], record, unit, texts[unit.key]) for unit in units]
        found = list(_events(ledger, record, units, files, bool(released)))
        if serves:
            # the record of a base does not replace an adapter in service
            found += [replace(each, kind="serves") for each in found if not ledger.live_releases(each.task)]
        if anchor:
            found += [replace(each, kind="anchored", reason=anchor) for each in found if each.kind == "recorded"]
        events = next_events(ledger, found)
        serving = [f"{each.task}: {model_name(each.subject)}" for each in events if each.kind == "serves"]
        lines += [f"{each} is in service from now on (tunegate ledger)" for each in serving]
        anchors = {} if released else _replaced_anchors(root, ledger, units, paths, files)
        changes: dict[Path, str | None] = {
            **(replaced_outputs(root, slug, texts, texts) if released else anchors),
            **{path: texts[unit] for unit, path in paths.items() if not _holds(path, texts[unit])},
            **(more or {}),
            **{event_path(root, event.digest): event.text for event in events},
        }
        if changes:
            folder = released if more else None
            command = f"tunegate release {show_path(folder)}" if folder else "pytest fixtures/ --tg-record"
            write_together(root, changes, command, folder)
    return lines


def _replaced_anchors(
    root: Path, ledger: Ledger, units: Sequence[Unit], paths: Mapping[str, Path], files: Mapping[str, _File]
) -> dict[Path, str]:
    """The records about to be replaced that later configurations must hold as well, and where they are kept."""
    kept = {}
    for unit in units:
        path = paths[unit.key]
        old = _read_or_none(path, unit.key)
        if old and old.digest != files[unit.key].digest:
            # the first one, too, if none of its cases is left: a lost record would be no proof of that
            first = {event.files[unit.key] for event in ledger.anchors(unit.key)[:1]}
            if old.digest in first | {each.digest for each in first_records(root, ledger, unit)}:
                kept[kept_path(root, old.digest)] = read_text(path)
    return kept


def _adapter_at(root: Path, released: Path | None) -> str:
    """Return an adapter's path relative to the folder of baselines, so that other clones find it."""
    return Path(os.path.relpath(released.resolve(), root.resolve().parent)).as_posix() if released else ""


def _events(
    ledger: Ledger, record: Record, units: Sequence[Unit], files: Mapping[str, _File], released: bool
) -> Iterator[Event]:
    subject = record.fingerprint["subject"]
    for task, of_task in groupby(sorted(units, key=lambda unit: unit.task), key=lambda unit: unit.task):
        digests = {unit.key: files[unit.key].digest for unit in of_task}
        event = Event("released" if released else "recorded", task, subject, digests)
        if released:  # a renewal of some units keeps the others as released
            for last in ledger.last_release(task):
                if last.who == event.who:
                    event = replace(event, files={**last.files, **event.files})
        yield event


def _check_unchanged(
    root: Path,
    slug: str,
    units: Sequence[Unit],
    seen: Mapping[str, str | None],
    released: bool,
    texts: Mapping[str, str],
) -> None:
    """Refuse to overwrite another writer's newer files, unless the text is the same."""
    # The lock is not enough: a run takes minutes, and the later of two would overwrite outputs that it never saw.
    now = state(root, slug, units, released)
    paths = {unit: baseline_path(root, slug, unit, released) for unit, sha in now.items() if sha != seen[unit]}
    lost = [path for unit, path in paths.items() if not path.is_file() or read_text(path) != texts[unit]]
    if lost:
        raise Refused(
            f"another run changed {', '.join(map(show_path, lost))} meanwhile: nothing of this run is written there; "
            "review that change, then run the same command again (the outputs are kept, so it is quick)"
        )


def _change(path: Path, record: Record, unit: Unit, text: str) -> str:
    """Return the changes of a unit's file in one line."""
    if _holds(path, text):
        return f"{unit.key}: unchanged ({show_path(path)})"
    summary, old = record.units[unit.key], _read_or_none(path, unit.key)
    if old is None:
        return f"{unit.key}: recorded {summary.n} cases, mean {number(summary.mean)} ({show_path(path)})"
    changes = "; ".join(update_changes(old, record, unit)) or "outputs only"
    return f"{unit.key}: updated: {changes} ({show_path(path)})"


def _holds(path: Path, text: str) -> bool:
    # keep an unchanged file, so that neither git nor a build tool sees a change
    return path.is_file() and read_text(path) == text


def _read_or_none(path: Path, unit: str) -> Baseline | None:
    try:
        return read_baseline(path, unit)
    except Refused:
        return None


def _file(record: Record, unit: Unit, adapter_at: str) -> _File:
    head = {
        "schema_version": 1,
        "unit": unit.key,
        "subject": record.fingerprint["subject"],
        "engine": record.fingerprint["engine"],
        "questions": record.questions[unit.key],
        "configuration": record.configurations[unit.key],
        "scorer": record.scorers[unit.key],
        "policy": record.policies[unit.key],
        "summary": as_data(record.units[unit.key]),
    } | ({"noise": as_data(record.noise[unit.key])} if unit.key in record.noise else {})
    head |= {"adapter_at": adapter_at} if adapter_at else {}
    head |= {SERVED: served} if (served := record.fingerprint.get("names", {}).get(SERVED)) else {}
    hosted = hosted_name(record.fingerprint)
    head |= {"hosted": hosted} if hosted else {}
    results = {
        case: {"question": unit.case_questions[case], **as_data(result)}
        for case, result in record.of_unit(unit.key).items()
    }
    # One case per line, in the order of their ids: reviews show the changed cases, and git merges parallel work.
    # No times, hosts or inputs, which would change lines whose outputs did not.
    head["digest"] = sha = digest_in_parts({**head, "cases": results})
    opening = json.dumps(head, indent=1, sort_keys=True)
    return _File("".join(json_by_line(opening, "cases", sorted(results.items()))), sha)
