"""Fixture files to tasks, units and cases; every mistake in them at once, before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from harness import rereads
from harness.document import show_value
from harness.errors import AuthoringError, Problem, Refused, show_path
from harness.parts import POLICY, UNIQUE, Part, collecting, read_part
from harness.policy import Policy, read_policy
from harness.published import schema
from harness.shape import did_you_mean
from harness.units import Case, Decoding, Prompt, Task, Unit

__all__ = ["Case", "Decoding", "Prompt", "Task", "Unit", "find_unit", "is_fixture_file", "load_tasks"]


def load_tasks(root: Path, only: str = "") -> tuple[Task, ...]:
    """Read every task below `root` (one folder each), or the one in the folder called `only`.

    Raises:
        AuthoringError: mistakes in any of the files, all of them.
        Refused: `root` is missing, is a task's own folder, or holds no fixture file.
    """
    shown = show_path(root)
    if not root.is_dir():
        how = "give the one that holds them: --cases DIR (pytest: --tg-cases DIR)"
        raise Refused(f"{shown}: expected a folder of fixtures, found nothing; {how}")
    if (root / POLICY).exists():
        above = show_path(root.resolve().parent)
        raise Refused(f"{shown}: expected a folder of tasks, found one task; name the folder above it, {above}")
    problems: list[Problem] = []
    folders = [folder for folder in sorted(root.iterdir()) if _is_task(folder) and only in ("", folder.name)]
    tasks = [_load_task(folder, problems) for folder in folders]
    problems += [] if only else [
        Problem(show_path(path), 1, "", "fixture files inside a task's folder", "one beside them",
                f"move it to {shown}/<task>/{path.name}")
        for path in _yaml_files(root)
    ]  # fmt: skip
    if problems:
        raise AuthoringError(problems)
    if not tasks:
        raise Refused(f"{shown}: expected <task>/*.yaml fixture files, found none; nothing to judge")
    return tuple(tasks)


def _is_task(folder: Path) -> bool:
    return folder.is_dir() and not folder.name.startswith((".", "_"))


def is_fixture_file(path: Path) -> bool:
    """Whether its name is that of a fixture file, or of task.yaml."""
    return path.suffix.lower() in {".yaml", ".yml"} and not path.name.startswith(".")


def _yaml_files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if is_fixture_file(path)]


def _load_task(folder: Path, problems: list[Problem]) -> Task:
    parts: list[Part] = []
    files = [path for path in _yaml_files(folder) if path.name != POLICY]
    if not files:
        problems.append(Problem(show_path(folder), 1, "", "at least one fixture file (*.yaml)", "none"))
    for path in files:
        with collecting(problems):
            parts.append(read_part(path, problems))
    policy, complete = Policy(), len(parts) == len(files)
    if (folder / POLICY).exists():
        kinds = {part.name: part.row.kind for part in parts}
        with collecting(problems):
            policy = read_policy(folder / POLICY, schema("task"), kinds, complete)
    for part in parts:
        problems += rereads.problems(part, parts, policy, folder / POLICY, complete)
    return Task(folder.name, _units(folder.name, parts, policy, problems), policy)


def _units(task: str, parts: Sequence[Part], policy: Policy, problems: list[Problem]) -> tuple[Unit, ...]:
    files = {name: [part for part in parts if part.name == name] for name in dict.fromkeys(part.name for part in parts)}
    found: dict[str, Unit] = {}
    for name, same in sorted(files.items(), key=lambda each: bool(each[1][0].of)):  # what is reread comes first
        problems += _clashes(same)
        if not same[0].of:
            found[name] = _unit(task, same)
        elif policy.prices and same[0].of in found:
            found[name] = rereads.rereading(task, same[0], found[same[0].of], policy.prices)
    return tuple(found[name] for name in files if name in found)


def _unit(task: str, same: Sequence[Part]) -> Unit:
    first = same[0]
    return Unit(
        task, first.name, first.suite, measure=first.measure,
        cases=tuple(case for part in same for case in part.cases),
        shots=tuple(shot for part in same for shot in part.shots),
        sealed=first.sealed,
        asked={case_id: options for part in same for case_id, options in part.asked.items()},
    )  # fmt: skip


def _clashes(parts: Sequence[Part]) -> Iterator[Problem]:
    first, homes = parts[0], dict[str, Part]()
    for part in parts:
        if part.of and part is not first and first.of:
            expected = f"one file for a unit that rereads, which is {first.document.name}"
            yield part.document.problem(("unit",), expected, "a second one", "give this file a unit: of its own")
        for where, mine, theirs in (
            (("suite",), part.suite, first.suite),
            (("check", "measure"), part.measure or "none", first.measure or "none"),
            (("sealed",), part.sealed, first.sealed),
        ):
            if mine != theirs:
                expected = f"{where[-1]}: {_plain(theirs)}, as in {first.document.name} (a unit has one)"
                hint = "give this file a unit: of its own"
                yield part.document.problem(where, expected, _plain(mine), hint)
        for case_id in part.ids:
            home = homes.setdefault(case_id, part)
            if home is not part:
                place = f"{home.document.name}:{home.document.line(home.place(case_id))}"
                yield part.document.problem(part.place(case_id), UNIQUE, f"{case_id!r}, also in {place}")


def _plain(value: str | bool) -> str:
    return value if isinstance(value, str) else show_value(value)


def find_unit(tasks: Sequence[Task], key: str) -> Unit:
    """The unit called `<task>/<unit>`.

    Raises:
        Refused: there is none; says which one was probably meant.
    """
    units = {unit.key: unit for task in tasks for unit in task.units}
    if key in units:
        return units[key]
    hint = did_you_mean(key, units)
    raise Refused(f"unit {key!r}: expected one of {', '.join(units)}{hint and '; ' + hint}")


def find_tasks(tasks: Sequence[Task], names: Sequence[str]) -> list[Task]:
    """The tasks of these names; all of them where none is named.

    Raises:
        Refused: there is no such task; says which one was probably meant.
    """
    known = {task.name: task for task in tasks}
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise Refused(f"task {name!r}: expected one of {', '.join(known)}{hint and '; ' + hint}")
    return [known[name] for name in names] if names else list(tasks)
