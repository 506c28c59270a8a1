"""The worked examples of a prompt are compared one by one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.records import write_desk
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Shot, Task
from tunegate.harness.review.change.candidate import configuration_changes


@pytest.fixture
def desk(tmp_path) -> list[Task]:
    write_desk(Path(tmp_path), 2)
    return load_tasks(tmp_path)


def shown(tasks: list[Task], inputs: str) -> list[Task]:
    """The tasks with a worked example for each letter."""
    shots = tuple(Shot(each, each.upper()) for each in inputs)
    return [
        replace(task, units=tuple(
            replace(unit, configuration=replace(unit.configuration, shots=shots)) for unit in task.units
        )) for task in tasks
    ]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "changes"), [
    ("abc", "abc", []),
    ("abc", "axc", [("worked example 2", "b\n-> B", "x\n-> X")]),
    ("abc", "xabc", [("worked example 1, added", "", "x\n-> X")]),
    ("abc", "ac", [("worked example 2, removed", "b\n-> B", "")]),
    ("", "a", [("worked example 1, added", "", "a\n-> A")]),
    ("abc", "ax", [("worked example 2", "b\n-> B", "x\n-> X"), ("worked example 3, removed", "c\n-> C", "")]),
])  # fmt: skip
def test_each_edited_added_or_removed_example_is_a_change(desk, old, new, changes):
    found = configuration_changes(shown(desk, old), shown(desk, new), {}, {})
    assert [(each.part, each.before, each.now) for each in found] == changes
