"""The check of a unit as a reward, for training loops of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jsonschema import Draft202012Validator

from tunegate.harness.cases.conversation import TOOL, USER, joined, read_input
from tunegate.harness.cases.model import Task
from tunegate.harness.checks.base import Check, Outcome
from tunegate.harness.checks.outputs.message import read_message, read_output
from tunegate.harness.checks.tools.check import ToolsCheck
from tunegate.harness.core.authoring.document import show_value
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.evaluation.scoring import prepare_checks
from tunegate.harness.rows.examples import SAID, STEPS
from tunegate.harness.rows.row_forms import without_nulls
from tunegate.trainers.data.validation import why_not_graded

_TURNS, _STEPS = (
    Draft202012Validator({"type": "array", "minItems": 1, "items": {"oneOf": turns}})
    for turns in (SAID, [*SAID, *STEPS])
)


def reward(task: Task, unit: str) -> Callable[[Mapping[str, Any], str], Outcome]:
    """Return a callable `(row, output) -> outcome` that scores outputs as training rows of a unit are scored.

    A row is a training row, `{"input": ..., "output": ...}`. Its `output` is what is expected and may
    be missing: the check then scores form only. The outcome has the `score` from 0 to 1 and the
    `findings`. No case is read: only the check that the unit's cases share. Of a unit that offers tools,
    outputs are messages in OpenAI's form, or their canonical text, and the row's `tools` may name fewer.

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

    tools = found.configuration.tools

    def rewarded(row: Mapping[str, Any], output: Any) -> Outcome:
        """Score an output for a row."""
        output = as_text(output, bool(tools))
        if not isinstance(output, str):
            raise Refused(f"{key}: expected the output to reward as a text, found {type(output).__name__}")
        asked, expected = _read(row, key, bool(tools))
        expect = expect_of(check, expected) if expect_of and expected is not None else None
        if expect_of and expected is not None and expect is None:
            found = show_value(expected)
            raise Refused(f"{key}: output: expected one that the check can read, found {found}; correct or delete it")
        return offering(check, row)(output, expect, asked)

    def offering(check: Check, row: Mapping[str, Any]) -> Check:
        """The check of the tools that the row names; of all without."""
        names = row.get("tools")
        if not isinstance(check, ToolsCheck):
            return check
        if names is not None and not (isinstance(names, list) and {*names} <= {tool.name for tool in tools}):
            raise Refused(f"{key}: tools: expected names of the unit's tools, found {show_value(names)}")
        return check.offering([tool for tool in tools if names is None or tool.name in names])

    return rewarded


def as_text(output: Any, is_message: bool) -> Any:
    """An output as the check reads it: a message in its canonical form."""
    if is_message and isinstance(output, Mapping):
        return read_message(output).write()
    return read_output(output).write() if is_message and isinstance(output, str) else output


def _read(row: Mapping[str, Any], key: str, tools: bool) -> tuple[str, str | None]:
    """The text of all turns of a row's input, and its output; Refused if it has no input, or another output."""
    if not isinstance(row, Mapping):
        raise Refused(f"{key}: expected a row with `input`, found {show_value(row)}")
    asked = without_nulls(row.get("input"))  # Arrow writes nulls for missing keys
    expected = as_text(row.get("output"), tools)
    schema, ends = (_STEPS, (USER, TOOL)) if tools else (_TURNS, (USER,))
    if not isinstance(asked, str) and not (schema.is_valid(asked) and any(end in asked[-1] for end in ends)):
        raise Refused(f"{key}: input: expected a text, or turns that end with the user's, found {show_value(asked)}")
    if not isinstance(expected, str | None):
        raise Refused(f"{key}: output: expected a text, found {show_value(expected)}")
    return joined(*read_input(asked)), expected
