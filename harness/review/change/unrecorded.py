"""Cases of which no output is recorded yet, in units that have records: left out until they are, and never a pass.

Such are only cases that were added, by this change or by an earlier one. A case that any record of either side has is
none, so that no edited or deleted record takes it out, and a case that asks what a recorded one asks is an edit of it.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from tunegate.harness.cases.model import Case, Unit
from tunegate.harness.core.errors import Refused
from tunegate.harness.history.baselines.releases import kept_path
from tunegate.harness.history.baselines.store import Baseline, read_baseline
from tunegate.harness.history.ledger.store import read_ledger

Reader = Callable[[Path, str], Baseline]


def unrecorded(
    units: Mapping[str, Unit], before: Mapping[str, Unit], roots: Iterable[Path], read: Reader = read_baseline
) -> dict[str, list[str]]:
    """Return the ids of the cases without a recorded output, by unit.

    Args:
        units: those of one side of a change.
        before: those of the branch; a unit that it lacks has no such cases.
        roots: the folders of baselines whose records count.
        read: reads a record of a unit.
    """
    asked = [unit for key, unit in units.items() if key in before and not (unit.sealed or unit.traffic or unit.of)]
    found = ((unit.key, sorted(_without(unit, before[unit.key], roots, read))) for unit in asked)
    return {key: cases for key, cases in found if cases}


def _without(unit: Unit, before: Unit, roots: Iterable[Path], read: Reader) -> Iterator[str]:
    """The cases that no record has, if some of the unit have one."""
    left = every = {case.id for case in unit.cases}
    for results in (each for root in roots for each in _records(root, unit.key, read)):
        if not (left := left - results):
            return
    asked = {_question(case) for case in before.cases if case.id not in left}
    if left != every:
        yield from (case.id for case in unit.cases if case.id in left and _question(case) not in asked)


def _question(case: Case) -> tuple[str, ...]:
    return (*(part for turn in case.earlier for part in turn), case.input, case.context or "")


def _records(root: Path, unit: str, read: Reader) -> Iterator[frozenset[str]]:
    """The cases of each record of a unit in a folder of baselines, also of one that was replaced."""
    for path in _files(root, unit):
        with suppress(Refused):  # damaged, which the decision says
            yield frozenset(read(path, unit).results)


def _files(root: Path, unit: str) -> Iterator[Path]:
    for ending in (".json", ".released.json"):
        yield from sorted(root.glob(f"*/{glob.escape(unit)}{ending}"))
    events = read_ledger(root).in_order  # seldom needed: what stands has all cases
    kept = dict.fromkeys(kept_path(root, event.files[unit]) for event in events if unit in event.files)
    yield from filter(Path.is_file, kept)
