"""The check of a unit as a reward, for training loops of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tunegate.harness.authoring.document import show_value
from tunegate.harness.cases.conversation import joined, read_input
from tunegate.harness.cases.model import Task
from tunegate.harness.checks.base import Outcome
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.evaluation.scoring import prepare_checks
from tunegate.trainers.data.validation import why_not_graded


def reward(task: Task, unit: str) -> Callable[[Mapping[str, Any], str], Outcome]:
    """Return a callable `(row, output) -> outcome` that scores outputs as training rows of a unit are scored.

    A row is a training row, `{"input": ..., "output": ...}`. Its `output` is what is expected and may
    be missing: the check then scores form only. The outcome has the `score` from 0 to 1 and the
    `findings`. No case is read: only the check that the unit's cases share.

    `task` is as `load_tasks` returns it, and `unit` is the name of one of its units.

    Raises:
        Refused: there is no such unit, or its check cannot score the output of a row; the callable raises it if its
            check cannot read the row's `output`.
    """
    found = next((each for each in task.units if each.name == unit), None)
    if found is None:
        known = ", ".join(each.name for each in task.units)
        raise Refused(f"{task.name}: expected a unit of the task ({known}), found {unit!r}")
    if reason := why_not_graded(found):
        raise Refused(f"{found.key}: expected a check that can reward an output, found none: {reason}")
    prepare_checks([found], quiet())
    key, check, expect_of = found.key, found.cases[0].check, found.check_kind.expect_of  # no case is held

    def rewarded(row: Mapping[str, Any], output: str) -> Outcome:
        """Score an output for a row."""
        if not isinstance(output, str):
            raise Refused(f"{key}: expected the output to reward as a text, found {type(output).__name__}")
        expected = row.get("output")
        expect = expect_of(check, expected) if expect_of and expected is not None else None
        if expect_of and expected is not None and expect is None:
            found = show_value(expected)
            raise Refused(f"{key}: output: expected one that the check can read, found {found}; correct or delete it")
        return check(output, expect, joined(*read_input(row["input"])))

    return rewarded
