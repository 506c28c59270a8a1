"""The cases that training rows of an adapter come near: found by a search of its rows, or only listed by its record.

The record is a file of the change, so what it lists is its word. Its rows are searched where they are: the search is
the training's, whatever the recipe exempts. A case is near if a row comes near it or the record says so; what
only the record says is claimed. Without the rows, or what the search needs, all of it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.checks.embeddings import PACKAGE as EMBEDDER
from tunegate.harness.checks.embeddings import embedder_digest
from tunegate.harness.core.authoring.columnar import hub_name
from tunegate.harness.core.errors import AuthoringError, CouldNotRun, Refused, TunegateError
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.extras import check_installed
from tunegate.harness.core.files import digest, file_digest
from tunegate.harness.core.formatting import quantity
from tunegate.harness.core.progress import Watch
from tunegate.harness.core.project import find_root
from tunegate.harness.core.reading import MOST_BYTES
from tunegate.harness.models.adapters import training_record
from tunegate.harness.models.api import Completion
from tunegate.harness.models.cache import Store, store_path
from tunegate.harness.rows.examples import Example, read_row_files
from tunegate.harness.rows.row_forms import AUTO
from tunegate.harness.rows.translations import PACKAGE as ENCODER
from tunegate.harness.rows.translations import encoder_digest

ByUnit = Mapping[str, Sequence[str]]  # ids of cases, by the key of their unit


@dataclass(frozen=True)
class NearCases:
    """The cases that training rows come near, by unit.

    Attributes:
        cases: all of them.
        claimed: those among them that only the training record names, a file of the change.
        among: the share of the rows that come near another row; None if none comes near a case, or none was searched.
        why_not: why they were not searched; empty if they were, or if there is no training record.
    """

    cases: ByUnit = field(default_factory=dict)
    claimed: ByUnit = field(default_factory=dict)
    among: float | None = None
    why_not: str = ""

    def of(self, units: Sequence[str]) -> dict[str, Any]:
        """What a record holds of these units."""
        near, claimed = ({key: side[key] for key in units if key in side} for side in (self.cases, self.claimed))
        return {"near": near, "near_claimed": claimed, "near_among_rows": self.among}


class NotHere(TunegateError):
    """The rows of a training cannot be searched here; the message says why."""


def find_near_cases(adapter: Path, tasks: Sequence[Task], watch: Watch, fresh: bool = False) -> NearCases:
    """The cases of the tasks that training rows of an adapter come near; none if it has no training record.

    The result of a search is cached with the outputs; `fresh` searches again.

    Raises:
        Refused: its training record was edited.
    """
    record = training_record(adapter)
    if record is None:
        return NearCases()
    listed = {each["case"] for each in record.get("decontamination", {}).get("near", ())}
    try:
        found = _searched(_search_of(record, tasks, watch), fresh)
    except (NotHere, AuthoringError, CouldNotRun, Refused) as error:
        claimed = _by_unit(listed, tasks)
        why = str(error.problems[0]) if isinstance(error, AuthoringError) else str(error)
        return NearCases(claimed, claimed, why_not=why.partition("\n")[0])
    near = set(found.cases)
    return NearCases(_by_unit(near | listed, tasks), _by_unit(listed - near, tasks), found.among)


def among_sentence(near: int, share: float) -> str:
    """How many cases are near, and how common it is among the rows themselves: then it is no sign of a leak."""
    return f"Training rows come near {quantity(near, 'case')}; {100 * share:.0f} % of the rows come near another row."


def claim_lines(name: str, near: NearCases, tasks: Sequence[Task], most: float) -> Iterator[str]:
    """Yield a line per unit of which only the adapter's own record says that more than a share of cases is near.

    Each line has the digest of its list, so that an approval is of exactly these cases.
    """
    for unit in (unit for task in tasks for unit in task.units):
        ids, n = {case.id for case in unit.cases}, len(unit.cases)
        claimed = [case for case in near.claimed.get(unit.key, ()) if case in ids]
        if len(claimed) > most * n:
            yield (
                f"{unit.key}: {len(claimed)} of {n} cases are near by this change's own record ({name}, list "
                f"{digest(claimed)[:12]}), and no search of its rows here finds them"
            )


def _by_unit(keys: set[str], tasks: Sequence[Task]) -> dict[str, list[str]]:
    """The cases with these keys, by unit, as far as the tasks have them."""
    units = (unit for task in tasks for unit in task.units)
    found = {unit.key: sorted(case.id for case in unit.cases if case.key in keys) for unit in units}
    return {key: cases for key, cases in found.items() if cases}


@dataclass(frozen=True)
class _Rows:
    """A file of rows as a training record names it, and where it is; `dropped` are the lines not trained on."""

    path: Path
    sha256: str
    form: str
    task: str
    dropped: frozenset[str]


@dataclass(frozen=True)
class _Search:
    """A search of all rows of an adapter and of those that it continues from; equal if its `key` is.

    The trainings are searched one by one, as they were when they were made.
    """

    key: str
    trainings: Sequence[Sequence[_Rows]] = field(compare=False)
    tasks: Sequence[Task] = field(compare=False)
    watch: Watch = field(compare=False)


@dataclass(frozen=True)
class _Found:
    """The keys of the cases that rows come near or repeat, and the share of the rows that come near another row."""

    cases: Sequence[str]
    among: float | None


def _search_of(record: Mapping[str, Any], tasks: Sequence[Task], watch: Watch) -> _Search:
    """The search of the rows of a training record.

    Raises:
        NotHere: rows are missing or others.
        CouldNotRun: what the search needs is not installed.
        Refused: the embedding model is not the known one.
    """
    trainings = [*_trainings(record)]
    check_installed("torch", "sentence_transformers", EMBEDDER, "py3langid", ENCODER)
    rows = [[[each.sha256, each.form, each.task, sorted(each.dropped)] for each in one] for one in trainings]
    held = [_held(unit) for task in tasks for unit in task.units]
    return _Search(digest([_code(), embedder_digest(), encoder_digest(), rows, held]), trainings, tasks, watch)


def _held(unit: Unit) -> list[Any]:
    """All of a unit that decides what comes near its cases, as JSON data."""
    cases = [
        [case.id, case.turns, case.context, case.expect, unit.texts(case), asdict(case.prompt)] for case in unit.cases
    ]
    return [unit.key, unit.suite, cases]


def _trainings(record: Mapping[str, Any]) -> Iterator[list[_Rows]]:
    """Yield the rows of a training, then of the trainings that it continues from."""
    training: Mapping[str, Any] | None = record
    while training:
        if not training["rows"]:
            raise NotHere("its training rows are unknown")
        clean = {} if "adoption" in training else training.get("decontamination", {})  # an adoption drops nothing
        dropped = clean.get("dropped", {}).get("rows", ())
        yield [_rows_of(each, training.get("task", record["task"]), dropped) for each in training["rows"]]
        training = training.get("start")


def _rows_of(file: Mapping[str, Any], task: str, dropped: Sequence[str]) -> _Rows:
    """A file of rows, found here with the digest that the record has."""
    name, sha = file["file"], file.get("sha256", "")
    if hub_name(Path(name)):
        raise NotHere(f"{shown(name)} is not fetched")
    path = next((path for path in (Path(name), find_root(Path.cwd()) / name) if _is_readable(path)), None)
    if path is None:
        raise NotHere(f"{shown(name)} is not here")
    if file_digest(path) != sha:
        raise NotHere(f"{shown(name)} is not the file that it was trained on")
    of_file = frozenset(place.removeprefix(f"{name}:") for place in dropped if place.startswith(f"{name}:"))
    return _Rows(path, sha, file.get("form", AUTO), task, of_file)


def _is_readable(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size <= MOST_BYTES
    except OSError:  # such as a name that is too long
        return False


@lru_cache(maxsize=1)
def _code() -> str:
    """The digest of the code that decides what is near: results of other code do not count."""
    home = Path(__file__).parent.parent
    files = [path for room in ("rows", "checks/text", "rows/privacy") for path in sorted((home / room).glob("*.py"))]
    return digest([file_digest(path) for path in files])


@lru_cache(maxsize=8)
def _searched(search: _Search, fresh: bool) -> _Found:
    """The result of a search, from the cache of outputs if it was made before."""
    with closing(Store(store_path())) as store:
        known = None if fresh else store.get(search.key)
        if known and known.output:
            return _Found(**json.loads(known.output))
        found = _find(search)
        store.put(search.key, Completion(search.key, json.dumps(asdict(found))))
        return found


def _find(search: _Search) -> _Found:
    from tunegate.harness.rows.search import near_among
    from tunegate.harness.rows.search import search as compare

    near = set[str]()
    trainings = [[(_read(file, search.tasks), file) for file in training] for training in search.trainings]
    for training in trainings:
        rows = [row for found, _ in training for row in found]
        dropped = {(row.file, row.line) for found, file in training for row in found if str(row.line) in file.dropped}
        for pair in compare(rows, search.tasks, search.watch).pairs:
            if pair.pair[:2] not in dropped:
                near |= {case.key for case in (pair.eval_text.case, *pair.eval_text.same)}
    own = [row for found, _ in trainings[0] for row in found]
    return _Found(sorted(near), near_among(own, search.tasks, search.watch) if near else None)


def _read(file: _Rows, tasks: Sequence[Task]) -> Sequence[Example]:
    """The rows of a file, read as for the training."""
    task = next((task for task in tasks if task.name == file.task), None)
    if task is None:
        raise NotHere(f"{shown(file.task)}, the task that it was trained for, is not here")
    [found] = read_row_files([file.path], task, file.form, once=False)
    return found.rows
