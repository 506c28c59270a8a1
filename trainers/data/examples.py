"""Training rows: JSONL files outside the fixtures; rows of a unit use the same prompt as the suites."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from tunegate.harness.authoring.document import Document, show_value
from tunegate.harness.authoring.json_lines import read_json_lines
from tunegate.harness.authoring.validation import did_you_mean
from tunegate.harness.cases.conversation import ASSISTANT, USER, joined, last_turn_problem, read_input
from tunegate.harness.cases.file import collecting
from tunegate.harness.cases.model import Prompt, Task, Unit
from tunegate.harness.cases.template import unfill
from tunegate.harness.core.errors import AuthoringError, Problem
from tunegate.harness.models.api import Messages

_TEXT = {"type": "string", "minLength": 1}
_SAID = [
    {"type": "object", "additionalProperties": False, "required": [role], "properties": {role: _TEXT}}
    for role in (USER, ASSISTANT)
]
_INPUT = {"oneOf": [_TEXT, {"type": "array", "minItems": 2, "items": {"oneOf": _SAID}}]}
_TURN = {
    "type": "object", "additionalProperties": False, "required": ["role", "content"],
    "properties": {"role": {"enum": ["system", "user", "assistant"]}, "content": _TEXT},
}  # fmt: skip
LINE = {
    "type": "object",
    "oneOf": [
        {
            "additionalProperties": False, "required": ["input", "output"],
            "properties": {"unit": _TEXT, "input": _INPUT, "output": _TEXT, "rejected": _TEXT, "context": _TEXT},
        },
        {
            "additionalProperties": False, "required": ["messages"],
            "properties": {
                "unit": _TEXT, "messages": {"type": "array", "minItems": 2, "items": _TURN}, "rejected": _TEXT,
            },
        },
    ],
}  # fmt: skip
INPUT_LINE = {
    "type": "object",
    "oneOf": [
        {
            "additionalProperties": False, "required": ["input"],
            "properties": {"unit": _TEXT, "input": _INPUT, "context": _TEXT},
        },
        {
            "additionalProperties": False, "required": ["unit", "messages"],
            "properties": {"unit": _TEXT, "messages": {"type": "array", "minItems": 1, "items": _TURN}},
        },
    ],
}  # fmt: skip
INPUT_FORMS = 'an object {"unit", "input"} or {"unit", "messages": [..., a user turn]}, without an output'
FORMS = 'an object {"unit", "input", "output"} or {"messages": [..., an assistant turn]}'
_ROW, _ASKING = Draft202012Validator(LINE), Draft202012Validator(INPUT_LINE)
AS_IT_STANDS = "`tunegate prompts` shows what it sends; without unit the row is trained on verbatim"


@dataclass(frozen=True, slots=True)
class Example:
    """One example: the messages up to the output, the output, and its file and line.

    `input` is the input without prompt and template; for a conversation all turns, one per line. In a preference,
    `rejected` is the output that is liked less than `output`.
    """

    messages: Messages
    input: str
    output: str
    file: str
    line: int
    unit: str | None = None
    rejected: str | None = None

    @property
    def place(self) -> str:
        """The file and line of the row."""
        return f"{self.file}:{self.line}"


def read_examples(paths: Sequence[Path], task: Task) -> list[Example]:
    """Read all rows of the files for a task.

    Raises:
        AuthoringError: lines that are not a row, name no unit of the task, or repeat another row.
    """
    return [row for _, row in _read(paths, task, "rows", _row)]


def read_row_inputs(paths: Sequence[Path], task: Task) -> list[tuple[Mapping[str, Any], Example]]:
    """Read files of inputs, which are rows without an output: each line verbatim, and as a row with an empty output.

    Raises:
        AuthoringError: lines that are not an input, name no unit of the task, or repeat another input.
    """
    return _read(paths, task, "inputs", _input)


_Reader = Callable[[Document, Mapping[str, Unit]], Example]


def _read(paths: Sequence[Path], task: Task, what: str, reader: _Reader) -> list[tuple[Mapping[str, Any], Example]]:
    # other units generate no outputs of their own
    units = {unit.name: unit for unit in task.units if unit.check_kind.asks == "generate" and not unit.of}
    found: list[tuple[Mapping[str, Any], Example]] = []
    problems: list[Problem] = []
    for path in paths:
        before = len(found) + len(problems)
        for line in read_json_lines(path, what, problems):
            with collecting(problems):
                found.append((line.data, reader(line, units)))
        if len(found) + len(problems) == before:
            problems.append(Problem(path, 1, "", f"at least one {what.removesuffix('s')}", "an empty file"))
    problems += _repeated([row for _, row in found])
    if problems:
        raise AuthoringError(problems)
    return found


def _row(document: Document, units: Mapping[str, Unit]) -> Example:
    raw = document.data
    if not _ROW.is_valid(raw):
        raise AuthoringError([document.problem((), FORMS, show_value(raw))])
    row = _from_messages(document, units) if "messages" in raw else _from_input(document, units)
    if row.rejected is not None and row.rejected.split() == row.output.split():
        expected, hint = "a text other than the output", "delete it, or write a worse one"
        raise AuthoringError([document.problem(("rejected",), expected, "the same", hint)])
    return row


def _input(document: Document, units: Mapping[str, Unit]) -> Example:
    raw = document.data
    if not _ASKING.is_valid(raw):
        raise AuthoringError([document.problem((), INPUT_FORMS, show_value(raw))])
    if "input" in raw:
        return _from_input(document, units)
    asked = [(turn["role"], turn["content"]) for turn in raw["messages"]]
    return _as_sent(document, _of_messages(document, asked, ""), *_prompt(document, units))


def _from_input(document: Document, units: Mapping[str, Unit]) -> Example:
    raw = document.data
    unit, prompt = _prompt(document, units)
    problems = list(last_turn_problem(raw["input"], document, ("input",)))
    if "{context}" in prompt.template and "context" not in raw:
        problems.append(document.problem((), f"a context, which the prompt of {unit} needs", "none"))
    if problems:
        raise AuthoringError(problems)
    earlier, last = read_input(raw["input"])
    system = (("system", prompt.system),) if prompt.system is not None else ()
    asked = (*system, *earlier, (USER, prompt.fill(last, raw.get("context"))))
    text, rejected = joined(earlier, last), raw.get("rejected")
    return Example(asked, text, raw.get("output", ""), document.name, document.line(()), unit, rejected)


def _from_messages(document: Document, units: Mapping[str, Unit]) -> Example:
    raw = document.data
    *asked, (last, output) = ((turn["role"], turn["content"]) for turn in raw["messages"])
    if last != ASSISTANT:
        raise AuthoringError([document.problem(("messages",), "an assistant turn at the end", repr(last))])
    row = _of_messages(document, asked, output)
    return _as_sent(document, row, *_prompt(document, units)) if "unit" in raw else row


def _of_messages(document: Document, asked: Sequence[tuple[str, str]], output: str) -> Example:
    """A row of messages, without a unit so far."""
    text, rejected = "\n".join(content for role, content in asked if role != "system"), document.data.get("rejected")
    return Example(tuple(asked), text, output, document.name, document.line(()), rejected=rejected)


def _as_sent(document: Document, row: Example, unit: str, prompt: Prompt) -> Example:
    """A row of messages as a row of a unit, if the suites could send these messages."""
    sent = [("system", prompt.system)] if prompt.system is not None else []
    head, turns = [*row.messages[: len(sent)]], row.messages[len(sent) :]
    *earlier, (role, last) = turns or [("", "")]
    found = unfill(prompt.template, last)
    if head != sent or "system" in dict(turns):
        system = show_value(prompt.system) if sent else "no system message"
        expected, wrong = f"{system} first, as in {unit}, and no other", f"{row.messages[0]}"
    elif role != USER:
        expected, wrong = "a user turn before the output", repr(role)
    elif found is None:
        expected, wrong = f"a last turn in the template of {unit}, {show_value(prompt.template)}", show_value(last)
    else:
        return replace(row, input=joined(tuple(earlier), found["input"]), unit=unit)
    raise AuthoringError([document.problem(("messages",), expected, wrong, AS_IT_STANDS)])


def _prompt(document: Document, units: Mapping[str, Unit]) -> tuple[str, Prompt]:
    """The unit that a row names, and the prompt of all its cases; the name is optional if the task has one unit."""
    name = document.data.get("unit") or (next(iter(units)) if len(units) == 1 else "")
    expected, found, hint = f"a unit of the task ({', '.join(units)})", repr(name) if name else "none", ""
    if name in units:
        prompts = {case.prompt for case in units[name].cases}
        if len(prompts) == 1:
            return name, next(iter(prompts))
        expected = f"a unit with one prompt; {name} has {len(prompts)}"
        hint = 'write the row as {"messages": [...]}, without unit'
    raise AuthoringError([document.problem(("unit",), expected, found, hint or did_you_mean(name, units))])


def _repeated(rows: Sequence[Example]) -> list[Problem]:
    # identical rows are a copying mistake; `find_duplicates` reports rows with the same input only
    seen: dict[tuple[object, ...], Example] = {}
    problems = []
    for row in rows:
        first = seen.setdefault((row.messages, row.output, row.rejected), row)
        if first is not row:
            found = f"the row of {first.file}:{first.line}"
            problems.append(Problem(Path(row.file), row.line, "", "each row once", found))
    return problems
