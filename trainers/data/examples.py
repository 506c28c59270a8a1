"""Training rows: JSONL, apart from the fixtures, each sent through the prompt that the suites will send."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from tunegate.harness.authoring.document import Document, show_value
from tunegate.harness.authoring.json_lines import read_json_lines
from tunegate.harness.core.errors import AuthoringError, Problem
from tunegate.harness.fixtures.model import Task, Unit
from tunegate.harness.models.api import Messages

_TEXT = {"type": "string", "minLength": 1}
_TURN = {
    "type": "object", "additionalProperties": False, "required": ["role", "content"],
    "properties": {"role": {"enum": ["system", "user", "assistant"]}, "content": _TEXT},
}  # fmt: skip
LINE = {
    "type": "object",
    "oneOf": [
        {
            "additionalProperties": False, "required": ["input", "output"],
            "properties": {"unit": _TEXT, "input": _TEXT, "output": _TEXT, "rejected": _TEXT, "context": _TEXT},
        },
        {
            "additionalProperties": False, "required": ["messages"],
            "properties": {"messages": {"type": "array", "minItems": 2, "items": _TURN}, "rejected": _TEXT},
        },
    ],
}  # fmt: skip
FORMS = 'an object {"unit", "input", "output"} or {"messages": [..., an assistant turn]}'


@dataclass(frozen=True, slots=True)
class Example:
    """One example: the messages up to the answer, the answer, and where it is written.

    In a preference, `rejected` is the answer that is liked less than `output`.
    """

    messages: Messages
    input: str
    output: str
    file: str
    line: int
    unit: str | None = None
    rejected: str | None = None


def read_examples(paths: Sequence[Path], task: Task) -> list[Example]:
    """Read every row of the files for a task.

    Raises:
        AuthoringError: every line that is not a row, names no unit of the task, or repeats another.
    """
    # the others answer nothing of their own
    units = {unit.name: unit for unit in task.units if unit.check_kind.asks == "generate" and not unit.of}
    rows: list[Example] = []
    problems: list[Problem] = []
    validator = Draft202012Validator(LINE)
    for path in paths:
        before = len(rows) + len(problems)
        for line in read_json_lines(path, "rows", problems):
            found = _row(line, units, validator)
            if isinstance(found, Example):
                rows.append(found)
            else:
                problems.append(found)
        if len(rows) + len(problems) == before:
            problems.append(Problem(path, 1, "", "at least one row", "an empty file"))
    problems += _repeated(rows)
    if problems:
        raise AuthoringError(problems)
    return rows


def _row(document: Document, units: Mapping[str, Unit], validator: Draft202012Validator) -> Example | Problem:
    raw, file, line = document.data, document.name, document.line(())
    if not validator.is_valid(raw):
        return document.problem((), FORMS, show_value(raw))
    found = _from_messages(raw, file, line) if "messages" in raw else _from_input(raw, file, line, units)
    if isinstance(found, Example) and found.rejected is not None and found.rejected.split() == found.output.split():
        return Problem(
            Path(file), line, "rejected", "another text than the answer", "the same", "delete it, or write a worse one"
        )
    return found


def _from_messages(raw: Mapping[str, Any], file: str, line: int) -> Example | Problem:
    turns: Sequence[Mapping[str, str]] = raw["messages"]
    if turns[-1]["role"] != "assistant":
        return Problem(Path(file), line, "messages", "an assistant turn at the end", repr(turns[-1]["role"]))
    messages = tuple((turn["role"], turn["content"]) for turn in turns[:-1])
    asked = "\n".join(content for role, content in messages if role == "user")
    return Example(messages, asked, turns[-1]["content"], file, line, rejected=raw.get("rejected"))


def _from_input(raw: Mapping[str, str], file: str, line: int, units: Mapping[str, Unit]) -> Example | Problem:
    name = raw.get("unit") or (next(iter(units)) if len(units) == 1 else "")
    unit = units.get(name)
    if unit is None:
        close = difflib.get_close_matches(name, units, n=1)
        hint = f"did you mean {close[0]!r}?" if close else ""
        found = repr(name) if name else "none"
        return Problem(Path(file), line, "unit", f"a unit of the task ({', '.join(units)})", found, hint)
    prompts = {case.prompt for case in unit.cases}
    if len(prompts) > 1:
        return Problem(Path(file), line, "unit", f"a unit with one prompt; {name} has {len(prompts)}", repr(name),
                       'write the row as {"messages": [...]}')  # fmt: skip
    prompt = next(iter(prompts))
    if "{context}" in prompt.template and "context" not in raw:
        return Problem(Path(file), line, "", f"a context, which the prompt of {name} asks for", "none")
    user = ("user", prompt.fill(raw["input"], raw.get("context")))
    system = (("system", prompt.system),) if prompt.system is not None else ()
    return Example((*system, user), raw["input"], raw["output"], file, line, name, raw.get("rejected"))


def _repeated(rows: Sequence[Example]) -> list[Problem]:
    # the same row twice is a mistake of copying; rows that only ask the same are told by `find_duplicates`
    seen: dict[tuple[object, ...], Example] = {}
    problems = []
    for row in rows:
        first = seen.setdefault((row.messages, row.output, row.rejected), row)
        if first is not row:
            found = f"the row of {first.file}:{first.line}"
            problems.append(Problem(Path(row.file), row.line, "", "each row once", found))
    return problems
