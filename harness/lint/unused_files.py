"""Files in a task's folder that nothing reads: a copy, a fixture file in the wrong place, a reference nobody names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tunegate.harness.authoring.yaml_reader import read_yaml
from tunegate.harness.core.errors import AuthoringError, Doubt, show_path
from tunegate.harness.fixtures.file import POLICY
from tunegate.harness.fixtures.loader import is_fixture_file
from tunegate.harness.fixtures.model import Task

_NOTES = {".md", ".txt"}
_COPIES = (".bak", ".orig", ".old", ".rej", "~")


def strays(folder: Path, task: Task) -> Iterator[Doubt]:
    """Everything below a task's folder that no fixture file of it names; notes and hidden files aside."""
    read = {path.resolve() for path in _named(folder, task)} | {(folder / POLICY).resolve()}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        hidden = any(part.startswith((".", "_")) for part in inside.parts)
        if hidden or not path.is_file() or path.suffix.lower() in _NOTES or path.resolve() in read:
            continue
        if len(inside.parts) > 1 or not is_fixture_file(path):
            yield Doubt(show_path(path), 1, f"nothing reads this file; {_advice(path, folder)}")


def _named(folder: Path, task: Task) -> Iterator[Path]:
    """The files that checks name, as paths from the folder."""
    asked = (options for unit in task.units for options in unit.asked.values())
    named = {value for options in asked for value in options.values() if isinstance(value, str)}
    yield from (folder / value for value in named)


def _advice(path: Path, folder: Path) -> str:
    if path.name.endswith(_COPIES):
        return "delete the copy"
    if is_fixture_file(path) and _holds_cases(path):
        return f"fixture files stand in {show_path(folder)} itself: move it there"
    return "name it in a check, or delete it"


def _holds_cases(path: Path) -> bool:
    try:
        data = read_yaml(path).data
    except AuthoringError:
        return False
    return isinstance(data, dict) and "suite" in data
