"""Load fixture files as tasks, units and cases, and report all mistakes before any heavy import."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from tunegate.harness.cases.file import (
    POLICY,
    UNIQUE,
    FixtureFile,
    collecting,
    derived_problems,
    derived_unit,
    read_fixture_file,
)
from tunegate.harness.cases.json_schemas import task_schema
from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.cases.policy import Policy, read_policy
from tunegate.harness.checks.base import HasParts
from tunegate.harness.checks.registry import CHECKS, Kinds, project_kinds
from tunegate.harness.core.authoring.document import show_value
from tunegate.harness.core.authoring.validation import did_you_mean
from tunegate.harness.core.errors import AuthoringError, Problem, Refused, show_path
from tunegate.harness.core.garbage import no_collection
from tunegate.harness.core.progress import Advance, Watch, quiet

_Found = TypeVar("_Found")
MUCH = 1_000_000  # bytes of fixtures; reading them takes about a second
EXPECTING = 0.5  # the share of a unit's cases with `expect` from which its sealed unit must have them too


def load_tasks(root: Path, only: str = "", watch: Watch | None = None, project: Path | None = None) -> tuple[Task, ...]:
    """Read every task below `root` (one folder each), or the one in the folder called `only`.

    `watch` shows progress for large inputs. `project` is the folder whose settings name further kinds of check:
    see `project_kinds`.

    Raises:
        AuthoringError: lists the mistakes of all files.
        Refused: `root` is missing, is a task's own folder, or has no fixture files.
    """
    if not root.is_dir():
        how = "give the one that holds them: --cases DIR (pytest: --tg-cases DIR)"
        found = "a broken link" if root.is_symlink() else "nothing"
        raise Refused(str(Problem(root, 0, "", "a folder of fixtures", found, how)))
    if (root / POLICY).exists():
        hint = f"name the folder above it, {show_path(root.resolve().parent)}"
        raise Refused(str(Problem(root, 0, "", "a folder of tasks", "one task", hint)))
    kinds, problems = project_kinds(root, project), [] if only else list(_astray(root))
    folders = [folder for folder in sorted(root.iterdir()) if _is_task(folder) and only in ("", folder.name)]
    paths = [path for folder in folders for path in _yaml_files(folder)]
    show = watch if watch and sum(path.stat().st_size for path in paths if path.exists()) > MUCH else quiet()
    with no_collection(), show("Reading fixtures", len(paths)) as done:
        tasks = [_load_task(folder, kinds, problems, done) for folder in folders]
    problems += _alike_tasks(folders)
    if problems:
        raise AuthoringError(problems)
    if not tasks:
        raise Refused(str(Problem(root, 0, "", "<task>/*.yaml fixture files", "none", "nothing to score")))
    return tuple(tasks)


def _astray(root: Path) -> Iterator[Problem]:
    """Files and broken links beside the task folders, where nothing reads them."""
    for path in _yaml_files(root):
        hint = f"move it to {show_path(root)}/<task>/{path.name}"
        yield Problem(path, 1, "", "fixture files inside a task's folder", "one beside them", hint)
    for path in sorted(root.iterdir()):
        if path.is_symlink() and not path.exists() and not is_fixture_file(path):
            found = f"a broken link to {path.readlink()}"
            yield Problem(path, 0, "", "a task's folder", found, "fix or delete the link")


def on_disk(name: str) -> str:
    """Return what a file system may keep of a name: many ignore case, forms of Unicode, and dots or spaces at its end.

    Tasks and units name the folders and files of baselines.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).rstrip(" .")


def _alike_tasks(folders: Sequence[Path]) -> Iterator[Problem]:
    """Folders of tasks that are one folder where case, or the form of a letter, does not count."""
    first: dict[str, Path] = {}
    for folder in folders:
        if (other := first.setdefault(on_disk(folder.name), folder)) is not folder:
            found = f"{folder.name!r} beside {other.name!r}, one folder on many file systems"
            yield Problem(folder, 0, "", "a task whose name differs in more than case or form", found, "rename one")


def _alike_units(files: Sequence[FixtureFile]) -> Iterator[Problem]:
    """Units whose baselines would be one file where case does not count."""
    first: dict[str, FixtureFile] = {}
    for file in files:
        other = first.setdefault(on_disk(file.name), file)
        if other.name != file.name:
            found = f"{file.name!r}, and {other.name!r} in {other.document.name}:{other.document.line(('unit',))}"
            yield file.document.problem(("unit",), "a name that differs in more than case", found, "rename one of them")


def _is_task(folder: Path) -> bool:
    return folder.is_dir() and not folder.name.startswith((".", "_"))


def is_fixture_file(path: Path) -> bool:
    """Whether the name is that of a fixture file or task.yaml."""
    return path.suffix.lower() in {".yaml", ".yml"} and not path.name.startswith(".")


def _yaml_files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if is_fixture_file(path)]


def _load_task(folder: Path, kinds: Kinds, problems: list[Problem], done: Advance) -> Task:
    files: list[FixtureFile] = []
    paths = [path for path in _yaml_files(folder) if path.name != POLICY]
    if not paths:
        problems.append(Problem(folder, 0, "", "at least one fixture file (*.yaml)", "none"))
    for path in paths:
        with collecting(problems):
            files.append(read_fixture_file(path, problems, kinds))
        done(1)
    # a unit named in task.yaml may be in an unreadable file: one mistake makes one message
    policy, complete = Policy(), len(files) == len(paths)
    if os.path.lexists(folder / POLICY):  # a broken link is a mistake, not a missing policy
        scales = {file.name: file.check_kind.kind for file in files}
        with collecting(problems):
            sealed = {file.name for file in files if file.sealed}
            labelled = {file.name for file in files if file.labels}
            parts = partial(_parts, files)
            policy = read_policy(folder / POLICY, task_schema(), scales, sealed, complete, parts, labelled)
        done(1)
    for file in files:
        problems += derived_problems(file, files, policy, folder / POLICY, complete)
    problems += [*_shared_labels(files), *_alike_units(files)]
    task = Task(folder.name, _units(folder.name, files, policy, problems), policy)
    problems += _weaker_seals(task, folder / POLICY)
    return task


def _shared_labels(files: Sequence[FixtureFile]) -> Iterator[Problem]:
    """Files of labels that two units name: an output that is right in one may be wrong in the other."""
    homes: dict[Path, FixtureFile] = {}
    for file in files:
        for path in file.labels.files if file.labels else ():
            first = homes.setdefault(path.resolve(), file)
            if first.name != file.name:
                found, hint = f"{path.name}, as in {first.document.name}", f"write {file.name}.labels.jsonl"
                yield file.document.problem(("labels", "file"), "a file of its own", found, hint)


def _weaker_seals(task: Task, path: Path) -> Iterator[Problem]:
    """Sealed units that expect less than the units that they seal: they would prove the form of an output only."""
    units = {unit.name: unit for unit in task.units}
    for name, declared in task.policy.units.items():
        if name not in units or declared.seals not in units:
            continue
        sealed, unit = units[name], units[declared.seals]
        own, other = _expecting(sealed), _expecting(unit)
        if own < other / 2 and other >= EXPECTING:
            expected = f"`expect` in the cases of {name}, as in those of {unit.name}"
            found = f"it in {100 * own:.0f} % of them, and in {100 * other:.0f} % of those of {unit.name}"
            yield Problem(path, 0, f"units.{name}.seals", expected, found, "write what each sealed case expects")


def _expecting(unit: Unit) -> float:
    return sum(case.expect is not None for case in unit.cases) / max(1, len(unit.cases))


def _parts(files: Sequence[FixtureFile], unit: str) -> set[str]:
    """The parts of a unit's pass rule; empty if its kind of check does not name them."""
    return {
        part for file in files if file.name == unit for case in file.cases
        for part in (case.check.parts(case.expect) if isinstance(case.check, HasParts) else file.check_kind.parts)
    }  # fmt: skip


def _units(task: str, files: Sequence[FixtureFile], policy: Policy, problems: list[Problem]) -> tuple[Unit, ...]:
    by_unit: dict[str, list[FixtureFile]] = {}
    for file in files:
        by_unit.setdefault(file.name, []).append(file)
    found: dict[str, Unit] = {}
    for name, same in sorted(by_unit.items(), key=lambda each: bool(each[1][0].of)):  # derived units come last
        problems += _clashes(same)
        if not same[0].of:
            found[name] = _unit(task, same)
        elif policy.prices and same[0].of in found:
            found[name] = derived_unit(task, same[0], found[same[0].of], policy.prices)
    return tuple(found[name] for name in by_unit if name in found)


def _unit(task: str, same: Sequence[FixtureFile]) -> Unit:
    first, shots = same[0], tuple(shot for file in same for shot in file.configuration.shots)
    return Unit(
        task, first.name, first.suite, measure=first.measure,
        cases=tuple(case for file in same for case in file.cases),
        configuration=replace(first.configuration, shots=shots),
        sealed=first.sealed,
        asked={case_id: options for file in same for case_id, options in file.asked.items()},
        own_kind=None if first.kind_name in CHECKS else first.check_kind,
        traffic=first.traffic, labels=first.labels,
        tool_files=tuple(file.tools.file for file in same if file.tools.file),
    )  # fmt: skip


def _clashes(files: Sequence[FixtureFile]) -> Iterator[Problem]:
    first, homes = files[0], dict[str, FixtureFile]()
    for file in files:
        if file.of and file is not first and first.of:
            expected = f"one file for a derived unit, which is {first.document.name}"
            yield file.document.problem(("unit",), expected, "a second one", "give this file a unit: of its own")
        if file is not first and (file.labels or first.labels or file.traffic or first.traffic):
            expected = f"one file for a unit {'of traffic' if file.traffic or first.traffic else 'with labels'}"
            yield file.document.problem(("unit",), expected, "a second one", "give this file a unit: of its own")
        for where, mine, theirs in (
            (("suite",), file.suite, first.suite),
            (("check", "measure"), file.measure or "none", first.measure or "none"),
            (("sealed",), file.sealed, first.sealed),
        ):
            if mine != theirs:
                expected = f"{where[-1]}: {_plain(theirs)}, as in {first.document.name} (a unit has one)"
                hint = "give this file a unit: of its own"
                yield file.document.problem(where, expected, _plain(mine), hint)
        for key, part in (("prompt", "prompt"), ("generate", "decoding"), ("tools", "tools")):
            if getattr(file.configuration, part) != getattr(first.configuration, part):
                expected = f"the {key}: of {first.document.name} (the files of a unit share it)"
                yield file.document.problem((key,), expected, "another", "give this file a unit: of its own")
        for case_id in file.ids:
            home = homes.setdefault(case_id, file)
            if home is not file:
                place = f"{home.document.name}:{home.document.line(home.place(case_id))}"
                yield file.document.problem(file.place(case_id), UNIQUE, f"{case_id!r}, also in {place}")


def _plain(value: str | bool) -> str:
    return value if isinstance(value, str) else show_value(value)


def find_unit(tasks: Sequence[Task], key: str) -> Unit:
    """Find the unit called `<task>/<unit>`.

    Raises:
        Refused: there is none; suggests a similar name.
    """
    return _find("unit", key, {unit.key: unit for task in tasks for unit in task.units})


def find_tasks(tasks: Sequence[Task], names: Sequence[str]) -> list[Task]:
    """Find the tasks with these names; all tasks if no name is given.

    Raises:
        Refused: there is no such task; suggests a similar name.
    """
    known = {task.name: task for task in tasks}
    return [_find("task", name, known) for name in names] or list(tasks)


def _find(what: str, name: str, known: Mapping[str, _Found]) -> _Found:
    if name not in known:
        hint = did_you_mean(name, known)
        raise Refused(f"{what} {name!r}: expected one of {', '.join(known)}{hint and '; ' + hint}")
    return known[name]
