"""Outputs of releases: the ledger determines the last release, and its outputs are found by their digest.

`<unit>.released.json` holds the outputs of a model's last release. Outputs that another release replaces are kept in
`ledger/outputs/`, so that a withdrawal can restore them.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tunegate.harness.cases.model import Unit
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.progress import Watch
from tunegate.harness.core.reading import read_text
from tunegate.harness.history.baselines.store import Baseline, baseline_path, read_baseline
from tunegate.harness.history.ledger.journal import write_together, writing
from tunegate.harness.history.ledger.ledger import Event, Ledger, model_name, who
from tunegate.harness.history.ledger.store import LEDGER, event_path, next_events, read_ledger
from tunegate.harness.models.adapter_reference import find_adapter
from tunegate.harness.models.adapters import adapter_digest
from tunegate.harness.models.evaluation.record import Record

OUTPUTS = "outputs"
RENEW = "renew it: pytest fixtures/ --tg-record --tg-adapter=<the released adapter> (--tg-model=<its base>)"


def released_outputs(root: Path, ledger: Ledger, units: Iterable[Unit]) -> list[Baseline]:
    """Return the outputs of the last release of each unit's task, whatever its base and the place of its files.

    Raises:
        Refused: a release's outputs are missing, or two releases are current at once.
    """
    found, wrong = [], []
    for unit in units:
        last = ledger.last_release(unit.task)
        known = {event.files[unit.key] for event in last if unit.key in event.files}
        if not known:
            continue  # no release, or the unit is newer than the release
        try:
            found.append(_find(root, unit.key, known, last[-1]))
        except Refused as error:
            wrong.append(str(error))
    if wrong:
        raise Refused("\n".join(wrong))
    return found


def released_adapter(root: Path, release: Record, watch: Watch) -> Path:
    """Return the folder of a release's adapter, which runs beside the candidate (see engines.py).

    Raises:
        Refused: its outputs do not name the adapter's place, or it is not there.
        CouldNotRun: it cannot be fetched.
    """
    subject, place = release.fingerprint["subject"], release.fingerprint["names"].get("adapter_at", "")
    name = f"the last release, {model_name(subject)}, has to run here, beside the evaluated adapter"
    if not place:
        raise Refused(f"{name}: its outputs do not name its adapter's place; {RENEW}")
    try:
        return find_adapter(root.resolve().parent / place, str(subject["adapter"]), watch)
    except (Refused, ValueError, OSError) as error:  # not a path, or an invalid one
        raise Refused(f"{name}: {shown(str(error))}; restore it") from error


def _find(root: Path, unit: str, known: set[str], event: Event) -> Baseline:
    """Return a unit's released outputs with one of the `known` digests.

    They are in their original place, in a folder that was renamed since, or among replaced outputs.
    """
    expected, there = baseline_path(root, str(event.subject["model"]), unit, released=True), ""
    for path in _places(root, unit, expected, known):
        found = read_baseline(path, unit)
        if found.digest in known:
            return found
        there = model_name(found.subject) if path == expected else there
    shown, adapter = show_path(expected), str(event.subject.get("adapter"))[:8]
    outputs = f"other ones, of {there}" if there else "none"
    raise Refused(
        f"{unit}: the ledger knows the last release, {model_name(event.subject)} ({event.when}); expected its outputs "
        f"at {shown}, found {outputs}; restore them: git log --all --oneline -- {shown} lists the commits, git "
        f"checkout COMMIT -- {shown} (never committed? commit them where the release was made); or withdraw the "
        f"release: tunegate release --withdraw {adapter} --reason TEXT"
    )


def _places(root: Path, unit: str, expected: Path, known: set[str]) -> list[Path]:
    """Return the files that may hold a unit's outputs of a release, among them replaced ones of the `known` digests."""
    kept = [kept_path(root, sha) for sha in sorted(known)]
    return [path for path in dict.fromkeys([expected, *_released_files(root, unit), *kept]) if path.is_file()]


def _released_files(root: Path, unit: str) -> Iterator[Path]:
    yield from sorted(root.glob(f"*/{glob.escape(unit)}.released.json"))


def kept_path(root: Path, sha: str) -> Path:
    """Return the path of replaced outputs, by their digest."""
    return root / LEDGER / OUTPUTS / f"{sha}.json"


def check_released_files(root: Path, ledger: Ledger, units: Iterable[Unit], model: tuple[str | None, ...]) -> None:
    """Refuse outputs of a release that the ledger does not know, since their origin is unknown.

    The `model` itself is exempt: a renewal overwrites its outputs.
    """
    wrong = []
    for unit in units:
        known = {event.files.get(unit.key) for event in ledger.of(unit.task, "released")}
        for path in _released_files(root, unit.key):
            found = read_baseline(path, unit.key)
            if found.digest not in known and who(found.subject) != model:
                wrong.append(
                    f"{show_path(path)}: expected outputs of a release that the ledger knows, found unknown ones of "
                    f"{model_name(found.subject)}, written by hand, or left by a merge; revert them: "
                    f"git checkout -- {show_path(path)}; or delete the file"
                )
    if wrong:
        raise Refused("\n".join(wrong))


def check_not_withdrawn(ledger: Ledger, tasks: Iterable[str], subject: Mapping[str, str | None]) -> None:
    """Refuse to release a withdrawn model again."""
    for task in tasks:
        if event := ledger.withdrawal(task, who(subject)):
            raise Refused(
                f"{task}: {model_name(subject)} was withdrawn on {event.when[:10]}: {shown(event.reason)}; it "
                "cannot be released again; train another, or, if the withdrawal was a mistake, revert its commit: git "
                "revert COMMIT"
            )


def check_units_kept(ledger: Ledger, tasks: Iterable[str], units: Iterable[str]) -> None:
    """Refuse cases without a unit, of any task, that the last release of one of `tasks` was evaluated on.

    Otherwise a guard deleted with its policy and its baselines would go unnoticed.
    """
    last = {event.who for task in tasks for event in ledger.last_release(task)}
    met = {unit for event in ledger.in_order if event.kind == "released" and event.who in last
                 for unit in event.files}  # fmt: skip
    if lost := sorted(unit for unit in met - set(units) if not ledger.retirement(unit)):
        raise Refused(
            f"the last release was evaluated on {listed(lost)} too: expected among the fixtures, found none of that "
            f"name; restore the file, or retire it with a reason: tunegate retire {lost[0]} --reason TEXT"
        )


def retire_unit(root: Path, unit: str, reason: str) -> list[str]:
    """Retire a deleted unit: remove its baselines, and require it of no later release; return the lines to print.

    The outputs of its releases are kept, so that a release can still be withdrawn.

    Raises:
        Refused: nothing was recorded of it, or it is already retired.
    """
    with writing(root):
        ledger = read_ledger(root)
        known = [event for event in ledger.in_order if event.kind in ("recorded", "released") and unit in event.files]
        files = [*sorted(root.glob(f"*/{glob.escape(unit)}.json")), *_released_files(root, unit)]
        if not known:
            raise Refused(
                f"{shown(unit)}: expected a unit that the ledger knows a baseline or a release of, found none of that "
                "name; tunegate ledger --json lists them"
            )
        if not files and (gone := ledger.retirement(unit)):
            raise Refused(f"{unit} is already retired: {shown(gone.reason)}")
        last = known[-1]
        event = Event("retired", last.task, last.subject, {unit: last.files[unit]}, reason=reason)
        changes: dict[Path, str | None] = dict.fromkeys(files)
        for slug in sorted({path.relative_to(root).parts[0] for path in files}):
            changes |= replaced_outputs(root, slug, [unit], {})
        changes |= {event_path(root, each.digest): each.text for each in next_events(ledger, [event])}
        write_together(root, changes, f"tunegate retire {unit} --reason TEXT")
    return [*(f"deleted: {show_path(path)}" for path in files), f"{unit}: retired; no later release needs it"]


def replaced_outputs(root: Path, slug: str, units: Iterable[str], texts: Mapping[str, str]) -> dict[Path, str]:
    """Return the paths and texts for keeping a model's released outputs that `texts`, by unit, will replace."""
    kept = {}
    for unit in units:
        path = baseline_path(root, slug, unit, released=True)
        if path.is_file() and (text := read_text(path)) != texts.get(unit):
            with suppress(Refused):  # damaged: not a release's outputs
                kept[kept_path(root, read_baseline(path, unit).digest)] = text
    return kept


def withdraw(root: Path, adapter: Path, reason: str) -> list[str]:
    """Withdraw the release of an adapter (its folder, or 8 or more letters of its digest); return a line per task.

    The previous release becomes the last one again, with its outputs in place.

    Raises:
        Refused: the ledger knows no such release, or the previous outputs are lost.
    """
    with writing(root):
        ledger = read_ledger(root)
        released = _releases_of(ledger, adapter)
        lines, changes = [], dict[Path, str | None]()
        for event in released:
            before = ledger.live_releases(event.task, without=event.who)
            names = sorted({model_name(each.subject) for each in before})
            if len(names) < 2:
                kept = {unit: sha for unit, sha in event.files.items() if not ledger.retirement(unit)}
                changes |= _brought_back(root, replace(event, files=kept), before)
            last = f"the last release is {' or '.join(names)}" if names else "there is no release now"
            lines.append(f"{event.task}: withdrawn: {model_name(event.subject)}; {last}")
        events = [Event("withdrawn", event.task, event.subject, reason=reason) for event in released]
        changes |= {event_path(root, event.digest): event.text for event in next_events(ledger, events)}
        write_together(root, changes, f"tunegate release --withdraw {show_path(adapter)} --reason TEXT")
    return lines


def _releases_of(ledger: Ledger, adapter: Path) -> list[Event]:
    """Return the newest release of an adapter for each task, unless withdrawn."""
    given = adapter_digest(adapter) if adapter.is_dir() else adapter.name
    events = [
        event for event in ledger.in_order
        if event.kind == "released" and len(given) >= 8 and str(event.subject.get("adapter")).startswith(given)
    ]  # fmt: skip
    if not events:
        raise Refused(
            f"{show_path(adapter)}: expected an adapter that the ledger knows as released (its folder, or 8 letters of "
            "its digest), found none; tunegate ledger lists the releases"
        )
    open_ones = {event.task: event for event in events if not ledger.withdrawal(event.task, event.who)}
    if not open_ones:
        [gone, *_] = [ledger.withdrawal(event.task, event.who) for event in events]
        raise Refused(f"{model_name(events[-1].subject)} is already withdrawn: {shown(gone.reason) if gone else ''}")
    return list(open_ones.values())


def _brought_back(root: Path, gone: Event, before: Sequence[Event]) -> dict[Path, str | None]:
    """Return the changes that restore the previous release's outputs and keep those of the withdrawn one."""
    units = {unit: {event.files[unit] for event in before if unit in event.files} for unit in gone.files}
    found = {unit: _find(root, unit, known, before[-1]) for unit, known in units.items() if known}
    texts = {unit: read_text(each.path) for unit, each in found.items()}
    slug, other = str(gone.subject["model"]), str(before[-1].subject["model"]) if before else ""
    ours = texts if slug == other else {}
    return {
        **replaced_outputs(root, slug, gone.files, ours),
        **{baseline_path(root, slug, unit, released=True): None for unit in gone.files.keys() - ours.keys()},
        **{baseline_path(root, other, unit, released=True): text for unit, text in texts.items()},
    }
