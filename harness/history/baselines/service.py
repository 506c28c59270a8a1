"""The records of what is in service, and of the anchor: what a configuration without an adapter is compared with."""

from __future__ import annotations

import glob
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

from tunegate.harness.cases.model import CHECK_VERSION, Unit
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.history.baselines.diff import question_differences
from tunegate.harness.history.baselines.releases import kept_path
from tunegate.harness.history.baselines.store import Baseline, baseline_path, read_baseline
from tunegate.harness.history.ledger.ledger import Event, Ledger, model_name
from tunegate.harness.history.ledger.store import read_ledger
from tunegate.harness.models.evaluation.scoring import summarize


def records_in_service(
    root: Path, ledger: Ledger, units: Sequence[Unit], supplied: bool, branch: Path | None = None
) -> list[Baseline]:
    """Return the record of the configuration in service of each unit; units that nothing serves yet are absent.

    If the run's outputs are `supplied`, not generated, only such records count, and otherwise none of them. Those of
    the `branch` that a change is to be merged into come first, on the cases that both sides have: the record of all
    cases is then the change's own.

    Raises:
        Refused: a record is lost, or of other questions; names the units, and what to do.
    """
    theirs = records_of_branch(branch, units) if branch else {}
    found, wrong = list(theirs.values()), []
    for unit in (unit for unit in units if unit.key not in theirs or theirs[unit.key].shared is not None):
        event = ledger.in_service(unit.key)
        if event is None:
            continue
        record = stored_record(root, unit.key, event)
        if record is None:
            wrong.append(_lost(root, unit, event))
        elif differs := question_differences(record.questions, unit.questions, unit, record.results):
            wrong.append(
                f"{unit.key}: the record in service ({show_path(record.path)}) has {', '.join(differs)}; "
                "record it again, with the prompt in service: tunegate record"
            )
        elif unit.key not in theirs:
            found.append(record)
    if wrong:
        raise Refused("no record in service to compare with:\n" + "\n".join(f"  {line}" for line in wrong))
    return [each for each in found if each.is_supplied == supplied]


def records_of_branch(root: Path, units: Sequence[Unit]) -> dict[str, Baseline]:
    """Return what is in service of each unit by the baselines of a branch, on the cases that are unchanged."""
    ledger = read_ledger(root)
    events = ((unit, ledger.in_service(unit.key)) for unit in units)
    stored = [(unit, stored_record(root, unit.key, event)) for unit, event in events if event]
    found = {unit.key: part for unit, each in stored if each and (part := shared_part(each, unit))}
    return _with_sources(found, units)


def anchor_records(root: Path, ledger: Ledger, units: Sequence[Unit], serving: Sequence[Baseline]) -> list[Baseline]:
    """Return the anchor of each unit, on the cases that are unchanged, if it is another record than the one in service.

    Raises:
        Refused: its record is lost; names the units, and what to do.
    """
    known = {each.unit: each.digest for each in serving}
    asked = [unit for unit in units if unit.key in known]
    tried = {unit.key: _anchor_or_lost(root, ledger, unit) for unit in asked}
    if lost := [_lost_anchor(root, unit, event) for unit in asked if (event := tried[unit.key][1])]:
        raise Refused("no anchor to compare with:\n" + "\n".join(f"  {line}" for line in lost))
    found = {key: each for key, (each, _) in tried.items() if each}
    kept = {unit.key: found[unit.key] for unit in asked if unit.key in found and _is_of_source(ledger, found, unit)}
    anchors = _with_sources(kept, asked)
    # of the same record, the one in service has as many cases or more
    others = {key for key, each in anchors.items() if each.digest != known[key]}
    sources = {unit.of for unit in asked if unit.key in others}
    return [each for key, each in anchors.items() if key in others | sources]


def _is_of_source(ledger: Ledger, anchors: Mapping[str, Baseline], unit: Unit) -> bool:
    """Whether a unit's anchor, if derived, was recorded with that of its source, whose outputs are scored again."""
    digests = {key: anchors[key].digest for key in (unit.key, unit.of) if key in anchors}
    events = ledger.of(unit.task, "serves", "anchored")
    return not unit.of or (unit.of in digests and any(digests.items() <= event.files.items() for event in events))


def spent_anchors(root: Path, ledger: Ledger, units: Sequence[Unit]) -> Iterator[str]:
    """Yield a line for each unit that is not compared with its anchor: no case of it is left, or other outputs."""
    derived = [unit for unit in units if unit.of]
    asked = [unit for unit in units if unit in derived or unit.key in {each.of for each in derived}]
    found = {unit.key: each for unit in asked if (each := find_anchor(root, ledger, unit))}
    for unit in (unit for unit in derived if unit.key in found and not _is_of_source(ledger, found, unit)):
        yield (
            f"{unit.key}: no record of it is of the outputs of the anchor of {unit.of}, so nothing is compared with "
            "it; approve another one: tunegate record --anchor REASON"
        )
    for unit in (unit for unit in units if not unit.traffic):
        for event in ledger.anchors(unit.key)[:1]:
            record = stored_record(root, unit.key, event)
            if record and not shared_part(record, unit):
                yield (
                    f"{unit.key}: no case is left as the anchor of {event.when[:10]} has it, so nothing is compared "
                    "with it; approve another one: tunegate record --anchor REASON"
                )


def find_anchor(root: Path, ledger: Ledger, unit: Unit) -> Baseline | None:
    """Return the record that later configurations of a unit must hold, on the cases that are unchanged since.

    That is the approved anchor, or the first record in service. Adding, editing or removing other cases does not move
    it: records are skipped only if none of their cases is left as it was.
    """
    return _anchor_or_lost(root, ledger, unit)[0]


def _anchor_or_lost(root: Path, ledger: Ledger, unit: Unit) -> tuple[Baseline | None, Event | None]:
    """Return the anchor, and the first event that may name it if the record of that is lost."""
    lost: Event | None = None
    events = ledger.anchors(unit.key)
    for event in events:
        record = stored_record(root, unit.key, event)
        if record and (part := shared_part(record, unit)):
            return part, lost
        if not record and event is events[0]:
            lost = event
    return None, lost


def first_records(root: Path, ledger: Ledger, unit: Unit) -> Iterator[Baseline]:
    """Yield the anchor, then each later record in service that was the first to have some case, on these cases."""
    left, read = {case.id for case in unit.cases}, cache(read_baseline)  # the files that stand are tried for each event
    for event in ledger.anchors(unit.key):
        record = stored_record(root, unit.key, event, read)
        part = shared_part(record, unit) if record else None
        if part and (ids := left & part.results.keys()):
            yield part if ids == part.results.keys() else _on_cases(part, unit, ids)
            left -= ids
        if not left:
            return


def anchors_among(
    root: Path, ledger: Ledger, units: Sequence[Unit], records: Collection[tuple[str, str]]
) -> list[Baseline]:
    """Return those of some records, by unit and digest, that are the anchor of cases, on these cases."""
    firsts = {unit.key: list(first_records(root, ledger, unit)) for unit in units}
    found = [each for unit in units if not unit.of for each in firsts[unit.key]]
    for unit in (unit for unit in units if unit.of and firsts[unit.key]):
        anchors = {key: firsts[key][0] for key in (unit.key, unit.of or "") if firsts.get(key)}
        if _is_of_source(ledger, anchors, unit):
            found += [each for key, each in _with_sources(anchors, [unit]).items() if key == unit.key]
    return [each for each in found if (each.unit, each.digest) in records]


def added_anchors(root: Path, ledger: Ledger, units: Sequence[Unit], serving: Sequence[Baseline]) -> list[Baseline]:
    """Return the records in service that were the first to have some case that the anchor lacks, on these cases.

    Costs are left out: those of several records are of several outputs. So are units whose added cases have no other
    record than the one in service, here or on the branch.
    """
    known = {each.unit: each.digest for each in serving}
    found: list[Baseline] = []
    for unit in (unit for unit in units if unit.key in known and not unit.of):
        event, parts = ledger.in_service(unit.key), list(first_records(root, ledger, unit))[1:]
        serves = {known[unit.key], event.files[unit.key] if event else ""}
        found += parts if {part.digest for part in parts} - serves else []
    return found


def shared_part(record: Baseline, unit: Unit) -> Baseline | None:
    """Return a record of a unit on the cases that have the same question now; None if there is none.

    Of traffic, nothing is left of another snapshot.
    """
    if _same_questions(record.questions, unit.questions):
        return record
    asked = unit.case_questions
    ids = {case for case, question in record.case_questions.items() if asked.get(case) == question}
    return _on_cases(record, unit, ids) if ids and not unit.traffic else None


def _on_cases(record: Baseline, unit: Unit, ids: Collection[str]) -> Baseline:
    part = unit.with_cases(ids)
    results = {case.id: record.results[case.id] for case in part.cases}
    is_less = len(part.cases) < len(unit.cases)
    noise = record.noise
    if noise:
        kept = tuple(case for case in noise.flips if case in results)
        noise = replace(noise, asked=min(noise.asked, len(results)), flips=kept)
    return replace(
        record, results=results, noise=noise, summary=summarize(part, list(results.values())),
        questions={**part.questions, CHECK_VERSION: record.questions.get(CHECK_VERSION, "")},
        shared=frozenset(results) if is_less else None,
    )  # fmt: skip


def _with_sources(found: Mapping[str, Baseline], units: Sequence[Unit]) -> dict[str, Baseline]:
    """Return records in which those of derived units have no case without an output of their source unit."""
    kept = dict(found)
    for unit in units:
        if unit.of and unit.key in found and unit.of in found:
            ids = found[unit.key].results.keys() & found[unit.of].results.keys()
            if not ids:
                del kept[unit.key]
            elif len(ids) < len(found[unit.key].results):
                kept[unit.key] = _on_cases(found[unit.key], unit, ids)
    return kept


def _same_questions(old: Mapping[str, str], new: Mapping[str, str]) -> bool:
    return {**old, CHECK_VERSION: ""} == {**new, CHECK_VERSION: ""}


def stored_record(
    root: Path, unit: str, event: Event, read: Callable[[Path, str], Baseline] = read_baseline
) -> Baseline | None:
    """Return the record of a unit that an event names by its digest, wherever it is now; None if it is lost."""
    for path in _places(root, unit, event):
        with suppress(Refused):  # damaged, or another unit's
            if (found := read(path, unit)).digest == event.files[unit]:
                return found
    return None


def lost_outputs(root: Path, event: Event) -> list[str]:
    """Return the units of a release whose outputs, as its event names them, are missing here."""
    return [unit for unit in sorted(event.files) if stored_record(root, unit, event) is None]


def _places(root: Path, unit: str, event: Event) -> Iterator[Path]:
    slug = str(event.subject.get("model"))
    stands = [baseline_path(root, slug, unit, released) for released in (False, True)]
    kept = kept_path(root, event.files[unit])
    names = (f"*/{glob.escape(unit)}{ending}" for ending in (".json", ".released.json"))
    moved = [path for name in names for path in sorted(root.glob(name))]  # the folder was renamed
    # what is kept has the digest in its name: no other record is read first
    yield from (path for path in dict.fromkeys([kept, *stands, *moved]) if path.is_file())


def _lost_anchor(root: Path, unit: Unit, event: Event) -> str:
    path = show_path(baseline_path(root, str(event.subject.get("model")), unit.key))
    return (
        f"{unit.key}: expected the record of the anchor, {model_name(event.subject)} of {event.when[:10]}, at {path} "
        f"or {show_path(kept_path(root, event.files[unit.key]))}, found another one or none; bring it back: git log "
        f"--all --oneline -- {path} lists its commits; or approve another anchor: tunegate record --anchor REASON"
    )


def _lost(root: Path, unit: Unit, event: Event) -> str:
    path = show_path(baseline_path(root, str(event.subject.get("model")), unit.key, event.kind == "released"))
    return (
        f"{unit.key}: expected the record of {model_name(event.subject)}, in service since {event.when[:10]}, at "
        f"{path}, found another one or none; bring it back: git log --all --oneline -- {path} lists its commits, "
        f"git checkout COMMIT -- {path}; or record what is in service again: tunegate record"
    )
