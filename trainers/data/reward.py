"""The check of a unit as a reward, for training loops of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jsonschema import Draft202012Validator

from tunegate.harness.authoring.document import show_value
from tunegate.harness.cases.conversation import USER, joined, read_input
from tunegate.harness.cases.model import Task
from tunegate.harness.checks.base import Outcome
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.evaluation.scoring import prepare_checks
from tunegate.harness.rows.examples import SAID
from tunegate.harness.rows.row_forms import without_nulls
from tunegate.trainers.data.validation import why_not_graded

_TURNS = Draft202012Validator({"type": "array", "minItems": 1, "items": {"oneOf": SAID}})


def reward(task: Task, unit: str) -> Callable[[Mapping[str, Any], str], Outcome]:
    """Return a callable `(row, output) -> outcome` that scores outputs as training rows of a unit are scored.

    A row is a training row, `{"input": ..., "output": ...}`. Its `output` is what is expected and may
    be missing: the check then scores form only. The outcome has the `score` from 0 to 1 and the
    `findings`. No case is read: only the check that the unit's cases share.

    `task` is as `load_tasks` returns it, and `unit` is the name of one of its units.

    Raises:
        Refused: there is no such unit, or its check cannot score the output of a row; the callable raises it if the
            row has no `input` as in the fixtures, or an `output` that the check cannot read.
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
        asked, expected = _read(row, key)
        expect = expect_of(check, expected) if expect_of and expected is not None else None
        if expect_of and expected is not None and expect is None:
            found = show_value(expected)
            raise Refused(f"{key}: output: expected one that the check can read, found {found}; correct or delete it")
        return check(output, expect, asked)

    return rewarded


def _read(row: Mapping[str, Any], key: str) -> tuple[str, str | None]:
    """The text of all turns of a row's input, and its output; Refused if it has no input, or another output."""
    if not isinstance(row, Mapping):
        raise Refused(f"{key}: expected a row with `input`, found {show_value(row)}")
    asked, expected = without_nulls(row.get("input")), row.get("output")  # Arrow writes nulls for missing keys
    if not isinstance(asked, str) and not (_TURNS.is_valid(asked) and USER in asked[-1]):
        raise Refused(f"{key}: input: expected a text, or turns that end with the user's, found {show_value(asked)}")
    if not isinstance(expected, str | None):
        raise Refused(f"{key}: output: expected a text, found {show_value(expected)}")
    return joined(*read_input(asked)), expected
