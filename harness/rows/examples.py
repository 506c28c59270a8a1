"""Training rows: files outside the fixtures; rows of a unit use the same prompt as the suites."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from tunegate.harness.cases.conversation import (
    ASSISTANT,
    TOOL,
    USER,
    Turns,
    joined,
    kind_of,
    last_turn_problem,
    read_turns,
)
from tunegate.harness.cases.file import collecting
from tunegate.harness.cases.model import Decoding, Prompt, Task, Unit
from tunegate.harness.cases.template import unfill
from tunegate.harness.checks.tools.definitions import Tool
from tunegate.harness.core.authoring.columnar import hub_name
from tunegate.harness.core.authoring.document import Document, show_value
from tunegate.harness.core.authoring.json_lines import read_json_lines
from tunegate.harness.core.authoring.validation import did_you_mean
from tunegate.harness.core.errors import AuthoringError, Problem, show_path
from tunegate.harness.core.files import digest, file_digest
from tunegate.harness.core.formatting import listed
from tunegate.harness.models.api import Messages, Request
from tunegate.harness.rows.row_files import read_row_documents
from tunegate.harness.rows.row_forms import AUTO, FORMS, OWN, as_own, form_of, unused_columns
from tunegate.harness.rows.tool_messages import as_canonical, asked_turns, output_text, tools_of_row

_TEXT = {"type": "string", "minLength": 1}
SAID = [
    {"type": "object", "additionalProperties": False, "required": [role], "properties": {role: _TEXT}}
    for role in (USER, ASSISTANT)
]
#: Turns of calls and their results, for units that offer tools; `last_turn_problem` checks what they hold.
STEPS = [
    {"type": "object", "additionalProperties": False, "required": [ASSISTANT],
     "properties": {ASSISTANT: {"type": "object", "required": ["tool_calls"]}}},
    {"type": "object", "additionalProperties": False, "required": [TOOL], "properties": {TOOL: {}}},
]  # fmt: skip
_INPUT = {"oneOf": [_TEXT, {"type": "array", "minItems": 2, "items": {"oneOf": [*SAID, *STEPS]}}]}
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
OWN_FORM = 'an object {"unit", "input", "output"} or {"messages": [..., an assistant turn]}'
OTHERS = f"other forms are {', '.join(FORMS)} (docs/training.md)"
_ROW, _ASKING = Draft202012Validator(LINE), Draft202012Validator(INPUT_LINE)
AS_IT_STANDS = "`tunegate prompts` shows what it sends; without unit the row is trained on verbatim"


@dataclass(frozen=True, slots=True)
class Example:
    """One example: the messages up to the output, the output, and its file and line.

    `input` is the input without prompt and template; for a conversation all turns, one per line. In a preference,
    `rejected` is the output that is liked less than `output`. An output that is not `liked` is not to be learned; it
    has no better one beside it. `turn` numbers the rows of one conversation, from 1.
    """

    messages: Messages
    input: str
    output: str
    file: str
    line: int
    unit: str | None = None
    rejected: str | None = None
    liked: bool = True
    turn: int = 0
    tools: tuple[Tool, ...] = ()

    @property
    def place(self) -> str:
        """The file and line of the row, and its number within a conversation."""
        return f"{self.file}:{self.line}" + (f" (turn {self.turn})" if self.turn else "")

    @property
    def request(self) -> Request:
        """The request for its output, decoded greedily."""
        return Request(self.place, self.messages, Decoding(), tools=self.tools)


@dataclass(frozen=True)
class RowFile:
    """A file of rows: the form that it was read in, its SHA-256, its rows, and the columns that no row uses."""

    path: Path
    form: str
    sha256: str
    rows: Sequence[Example]
    unused: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its path, as shown in messages."""
        return hub_name(self.path) or show_path(self.path)

    def render(self) -> Iterator[str]:
        """Yield lines on the form, unless it is our own and every turn of an assistant is trained on."""
        earlier = sum(kind_of(role) == ASSISTANT for row in self.rows if row.unit is None for role, _ in row.messages)
        if self.form != OWN:
            more = f"; columns not used: {listed([*self.unused])}" if self.unused else ""
            yield f"  {self.name}: form {self.form}, {len(self.rows)} row{'s' * (len(self.rows) != 1)}{more}"
        elif earlier:
            yield (
                f"  {self.name}: {earlier} earlier assistant turns are sent, not trained on (`format: chat` trains on "
                "each)"
            )


def read_examples(paths: Sequence[Path], task: Task, form: str = AUTO) -> list[Example]:
    """Read all rows of the files for a task; see `read_row_files`.

    Raises:
        AuthoringError: as there.
    """
    return [row for file in read_row_files(paths, task, form) for row in file.rows]


def read_row_files(paths: Sequence[Path], task: Task, form: str = AUTO, once: bool = True) -> list[RowFile]:
    """Read files of rows, or data sets of the Hub by their names, for a task.

    All rows have one `form` of `FORM_NAMES`; by default it is recognized by the keys, file by file.
    `once` makes a row that repeats another a mistake.

    Raises:
        AuthoringError: lines that are not a row, name no unit of the task, or repeat another row; or a file with rows
            of several forms.
    """
    units, problems = _units(task), list[Problem]()
    files, lines = list[RowFile](), list[list[Example]]()
    for path in paths:
        before = len(problems)
        documents = list(read_row_documents(path, "rows", problems))
        if not documents and len(problems) == before:
            problems.append(Problem(path, 1, "", "at least one row", "an empty file"))
        with collecting(problems):
            name = form_of(documents) if form == AUTO else form
            found = _rows_of(documents, name, units, problems)
            unused = unused_columns(documents, name) if name != OWN else {}
            rows = [row for each in found for row in each]
            files.append(RowFile(path, name, _digest(path, rows), rows, unused))
            lines += found
    problems += _repeated(lines) if once else []
    if problems:
        raise AuthoringError(problems)
    return files


def parsed_output(text: str) -> Any:
    """The value of an output that is JSON; the text itself if it is not."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _digest(path: Path, rows: Sequence[Example]) -> str:
    """The SHA-256 of a file, or of the rows of a data set of the Hub."""
    return digest(list(map(asdict, rows))) if hub_name(path) else file_digest(path)


def _rows_of(
    documents: Sequence[Document], form: str, units: Mapping[str, Unit], problems: list[Problem]
) -> list[list[Example]]:
    """The rows of each line; mistakes are appended to `problems`."""
    found = list[list[Example]]()
    for document in documents:
        with collecting(problems):
            if form == OWN:
                found.append([_row(document, units)])
                continue
            rows = [_made(each, units) for each in as_own(document, form)]
            numbered = [replace(row, turn=number) for number, row in enumerate(rows, start=1)]
            found.append(numbered if len(rows) > 1 else rows)
    return found


def read_row_inputs(paths: Sequence[Path], task: Task) -> list[tuple[Mapping[str, Any], Example]]:
    """Read files of inputs, which are rows without an output: each line verbatim, and as a row with an empty output.

    Raises:
        AuthoringError: lines that are not an input, name no unit of the task, or repeat another input.
    """
    units, problems = _units(task), list[Problem]()
    found: list[tuple[Mapping[str, Any], Example]] = []
    for path in paths:
        before = len(found) + len(problems)
        for line in read_json_lines(path, "inputs", problems):
            with collecting(problems):
                found.append((line.data, _input(line, units)))
        if len(found) + len(problems) == before:
            problems.append(Problem(path, 1, "", "at least one input", "an empty file"))
    problems += _repeated([[row] for _, row in found])
    if problems:
        raise AuthoringError(problems)
    return found


def _units(task: Task) -> dict[str, Unit]:
    """The units by name, without those that generate no outputs of their own."""
    return {unit.name: unit for unit in task.units if unit.check_kind.asks == "generate" and not unit.of}


def _row(document: Document, units: Mapping[str, Unit]) -> Example:
    raw = document.data
    if not _ROW.is_valid(raw):
        raise AuthoringError([document.problem((), OWN_FORM, show_value(raw), OTHERS)])
    return _made(document, units)


def _made(document: Document, units: Mapping[str, Unit]) -> Example:
    """A valid row of our own form."""
    raw = document.data
    row = _from_messages(document, units) if "messages" in raw else _from_input(document, units)
    row = replace(row, liked=raw.get("liked", True))
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
    unit, prompt = _prompt(document, units)
    tools = tools_of_row(document, units[unit])
    asked = asked_turns(document, raw["messages"], tools)
    return _as_sent(document, _of_messages(document, asked, "", tools), unit, prompt)


def _from_input(document: Document, units: Mapping[str, Unit]) -> Example:
    raw = document.data
    unit, prompt = _prompt(document, units)
    tools = tools_of_row(document, units[unit])
    if has_steps(raw["input"]) and not tools:
        raise AuthoringError([document.problem((), OWN_FORM, show_value(raw), OTHERS)])
    problems = list(last_turn_problem(raw["input"], document, ("input",), steps=bool(tools)))
    if "{context}" in prompt.template and "context" not in raw:
        problems.append(document.problem((), f"a context, which the prompt of {unit} needs", "none"))
    if problems:
        raise AuthoringError(problems)
    *earlier, (role, last) = read_turns(raw["input"])
    system = (("system", prompt.system),) if prompt.system is not None else ()
    asked = (*system, *earlier, (role, prompt.fill(last, raw.get("context")) if role == USER else last))
    text, output, rejected = joined(tuple(earlier), last), raw.get("output", ""), _rejected(document, tools)
    output = as_canonical(output, tools) if output else ""
    return Example(asked, text, output, document.name, document.line(()), unit, rejected, tools=tools)


def has_steps(written: Any) -> bool:
    """Whether an input holds calls, or what a tool returned."""
    turns = written if isinstance(written, list) else []
    return any(TOOL in each or isinstance(each.get(ASSISTANT), Mapping) for each in turns)


def _rejected(document: Document, tools: tuple[Tool, ...]) -> str | None:
    given = document.data.get("rejected")
    if isinstance(given, Mapping):
        return output_text(document, given, tools, 0)
    return None if given is None else as_canonical(given, tools)


def _from_messages(document: Document, units: Mapping[str, Unit]) -> Example:
    raw = document.data
    *asked, last = raw["messages"]
    if last["role"] != ASSISTANT:
        raise AuthoringError([document.problem(("messages",), "an assistant turn at the end", repr(last["role"]))])
    unit, prompt = _prompt(document, units) if "unit" in raw else (None, None)
    tools = tools_of_row(document, units[unit] if unit else None)
    output = output_text(document, last, tools, len(asked))
    row = _of_messages(document, asked_turns(document, asked, tools), output, tools)
    return _as_sent(document, row, unit, prompt) if unit and prompt else row


def _of_messages(document: Document, asked: Turns, output: str, tools: tuple[Tool, ...]) -> Example:
    """A row of messages, without a unit so far."""
    text, rejected = "\n".join(content for role, content in asked if role != "system"), _rejected(document, tools)
    return Example(asked, text, output, document.name, document.line(()), rejected=rejected, tools=tools)


def _as_sent(document: Document, row: Example, unit: str, prompt: Prompt) -> Example:
    """A row of messages as a row of a unit, if the suites could send these messages."""
    sent = [("system", prompt.system)] if prompt.system is not None else []
    head, turns = [*row.messages[: len(sent)]], row.messages[len(sent) :]
    *earlier, (role, last) = turns or [("", "")]
    is_step = kind_of(role) == TOOL  # what a tool returned stands as it is
    found = {"input": last} if is_step else unfill(prompt.template, last)
    if head != sent or "system" in dict(turns):
        system = show_value(prompt.system) if sent else "no system message"
        expected, wrong = f"{system} first, as in {unit}, and no other", f"{row.messages[0]}"
    elif role != USER and not is_step:
        expected, wrong = "a user turn before the output", repr(role)
    elif found is None:
        expected, wrong = f"a last turn in the template of {unit}, {show_value(prompt.template)}", show_value(last)
    else:
        return replace(row, input=joined(tuple(earlier), found["input"]), unit=unit)
    raise AuthoringError([document.problem(("messages",), expected, wrong, AS_IT_STANDS)])


def _prompt(document: Document, units: Mapping[str, Unit]) -> tuple[str, Prompt]:
    """The unit that a row names, and the prompt of all its cases; the name is optional if the task has one unit."""
    name = document.data.get("unit") or (next(iter(units)) if len(units) == 1 else "")
    expected, found = f"a unit of the task ({', '.join(units)})", repr(name) if name else "none"
    hint = "" if name else 'name one in each row: "unit": "..."'
    if name in units:
        prompts = {case.prompt for case in units[name].cases}
        if len(prompts) == 1:
            return name, next(iter(prompts))
        expected = f"a unit with one prompt; {name} has {len(prompts)}"
        hint = 'write the row as {"messages": [...]}, without unit'
    raise AuthoringError([document.problem(("unit",), expected, found, hint or did_you_mean(name, units))])


def _repeated(lines: Sequence[Sequence[Example]]) -> list[Problem]:
    # identical rows are a copying mistake; `find_duplicates` reports rows with the same input only. Conversations may
    # begin alike, so they are compared as a whole.
    seen: dict[tuple[object, ...], Example] = {}
    problems = []
    for rows in lines:
        row = rows[-1]
        tools = tuple(tool.written for tool in row.tools)
        first = seen.setdefault((len(rows), row.messages, row.output, row.rejected, tools), row)
        if first is not row:
            found = f"the row of {first.file}:{first.line}"
            problems.append(Problem(Path(row.file), row.line, "", "each row once", found))
    return problems
