"""The records of what is in service, and of the anchor: what a configuration without an adapter is compared with."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tunegate.harness.baselines.diff import question_differences
from tunegate.harness.baselines.releases import kept_path
from tunegate.harness.baselines.store import Baseline, baseline_path, read_baseline
from tunegate.harness.cases.model import CHECK_VERSION, Unit
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.ledger.ledger import Event, Ledger, model_name
from tunegate.harness.ledger.store import read_ledger


def records_in_service(
    root: Path, ledger: Ledger, units: Sequence[Unit], supplied: bool, branch: Path | None = None
) -> list[Baseline]:
    """Return the record of the configuration in service of each unit; units that nothing serves yet are absent.

    If the run's outputs are `supplied`, not generated, only such records count, and otherwise none of them. Those of
    the `branch` that a change is to be merged into count where they have the questions of now.

    Raises:
        Refused: a record is lost, or of other questions; names the units, and what to do.
    """
    theirs = records_of_branch(branch, units) if branch else {}
    found, wrong = list(theirs.values()), []
    for unit in (unit for unit in units if unit.key not in theirs):
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
        else:
            found.append(record)
    if wrong:
        raise Refused("no record in service to compare with:\n" + "\n".join(f"  {line}" for line in wrong))
    return [each for each in found if each.is_supplied == supplied]


def records_of_branch(root: Path, units: Sequence[Unit]) -> dict[str, Baseline]:
    """Return what is in service of each unit by the baselines of a branch, if it has the questions of now."""
    ledger = read_ledger(root)
    events = ((unit, ledger.in_service(unit.key)) for unit in units)
    found = [(unit, stored_record(root, unit.key, event)) for unit, event in events if event]
    return {unit.key: each for unit, each in found if each and _same_questions(each.questions, unit.questions)}


def anchor_records(root: Path, ledger: Ledger, units: Sequence[Unit], serving: Sequence[Baseline]) -> list[Baseline]:
    """Return the anchor of each unit, if it is another record than the one in service."""
    known = {each.unit: each.digest for each in serving}
    found = [(unit, find_anchor(root, ledger, unit.key, unit.questions)) for unit in units if unit.key in known]
    return [each for unit, each in found if each and each.digest != known[unit.key]]


def find_anchor(root: Path, ledger: Ledger, unit: str, questions: Mapping[str, str]) -> Baseline | None:
    """Return the oldest record of a unit that later configurations must hold: approved, or the first in service.

    Records of other questions are skipped, as their outputs are of other cases.
    """
    for event in ledger.anchors(unit):
        record = stored_record(root, unit, event)
        if record and _same_questions(record.questions, questions):
            return record
    return None


def _same_questions(old: Mapping[str, str], new: Mapping[str, str]) -> bool:
    return {**old, CHECK_VERSION: ""} == {**new, CHECK_VERSION: ""}


def stored_record(root: Path, unit: str, event: Event) -> Baseline | None:
    """Return the record of a unit that an event names by its digest, wherever it is now; None if it is lost."""
    for path in _places(root, unit, event):
        with suppress(Refused):  # damaged, or another unit's
            if (found := read_baseline(path, unit)).digest == event.files[unit]:
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
    yield from (path for path in dict.fromkeys([*stands, kept, *moved]) if path.is_file())


def _lost(root: Path, unit: Unit, event: Event) -> str:
    path = show_path(baseline_path(root, str(event.subject.get("model")), unit.key, event.kind == "released"))
    return (
        f"{unit.key}: expected the record of {model_name(event.subject)}, in service since {event.when[:10]}, at "
        f"{path}, found another one or none; bring it back: git log --all --oneline -- {path} lists its commits, "
        f"git checkout COMMIT -- {path}; or record what is in service again: tunegate record"
    )
