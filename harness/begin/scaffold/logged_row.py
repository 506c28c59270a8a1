"""Read a row of chat messages with tools: what was asked, which tools were offered, and what the assistant wrote.

The forms are OpenAI's: `{messages, tools}` as in training rows, a stored completion with its messages beside `choices`,
and a `request` beside its `response`. The last assistant's turn is the output, and what stands before it the input.
Nothing is mended: a row of which any of this is uncertain makes no case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunegate.harness.cases.chat_messages import OddMessage, role_of, written_turns
from tunegate.harness.cases.conversation import ASSISTANT, SYSTEM, USER, Written, last_turn_problem
from tunegate.harness.cases.json_schemas import snapshot_schema
from tunegate.harness.checks.outputs.json_text import read_json_text
from tunegate.harness.checks.outputs.message import Message, read_message, show_name
from tunegate.harness.checks.tools.check import ToolsCheck
from tunegate.harness.checks.tools.definitions import Tool, ToolSet, read_tools
from tunegate.harness.checks.tools.expected import NONE, expected_problems
from tunegate.harness.checks.tools.matching import MOST_EXPECTED
from tunegate.harness.checks.tools.validity import Offered
from tunegate.harness.core.authoring.document import Document, show_value
from tunegate.harness.core.authoring.validation import validate
from tunegate.harness.core.errors import AuthoringError
from tunegate.harness.core.files import canonical
from tunegate.harness.core.formatting import quantity

MESSAGES, TOOLS = "messages", "tools"
NO_MESSAGES, NO_ANSWER, FORCED = (
    "without messages",
    "without an output of the assistant",
    "with an output that is forced",
)
UNFIT, OTHER_TOOLS, CUT = "with calls that cannot be run", "with tools that the file lacks", "with an output cut off"
ODD, UNWANTED = "whose conversation is no input of a case", "that are not to be learnt from (weight: 0)"


class NoCase(Exception):
    """Why a row makes no case: its kind, as in `3 rows KIND`, and what was found."""

    def __init__(self, kind: str, found: str) -> None:
        super().__init__(kind, found)
        self.kind, self.found = kind, found


@dataclass(frozen=True, slots=True)
class LoggedRow:
    """What a row asks, offers and outputs. `system` is empty without one; `tools` are names of the file's tools.

    `changed` is whether it offered one of them with another schema than the file has.
    """

    system: str
    input: Written
    tools: tuple[str, ...]
    output: Message
    changed: bool

    @property
    def expect(self) -> dict[str, Any]:
        """The expectation of a case."""
        return {"calls": [call.as_dict() for call in self.output.calls] or NONE}

    @property
    def key(self) -> str:
        """A text that is equal for rows that ask the same."""
        return canonical([self.system, self.input, self.tools])


@dataclass(frozen=True)
class RowReader:
    """Reads rows of a log at `path` against the tools of a file, each list of tools once."""

    path: Path
    tools: ToolSet
    _offers: dict[tuple[str, ...], Offered] = field(default_factory=dict, repr=False, compare=False)
    _known: dict[str, tuple[Tool, ...]] = field(default_factory=dict, repr=False, compare=False)

    def read(self, line: int, raw: Mapping[str, Any]) -> LoggedRow:
        """Read a row.

        Raises:
            NoCase: it makes no case.
        """
        request, response = _part(raw, "request"), _part(raw, "response")
        messages, last = _exchange(request, response)
        tools, changed = self._tools(line, request)
        if request.get("tool_choice") not in (None, "auto"):
            raise NoCase(FORCED, f"tool_choice: {show_value(request['tool_choice'])}")
        output = read_message(last)
        self._check(line, output, tools)
        written = _written(messages)
        self._check_input(line, written)
        system = written.pop(0)[SYSTEM] if SYSTEM in written[0] else ""
        asked = written[0][USER] if len(written) == 1 else written
        return LoggedRow(system, asked, tools, output, changed)

    def _tools(self, line: int, request: Mapping[str, Any]) -> tuple[tuple[str, ...], bool]:
        """The names of the tools that a row offers, and whether one has another schema than in the file."""
        raw = request.get(TOOLS, request.get("functions"))
        if isinstance(raw, str):  # as data sets hold it that have one type a column
            read = read_json_text(raw)
            raw = raw if read.findings else read.value
        if raw is None:
            return self.tools.names, False
        if raw == []:
            raise NoCase(OTHER_TOOLS, "the row offers no tools")
        offered = self._read_tools(line, [raw] if isinstance(raw, str) else raw)  # a text would be a path
        names = tuple(name for name in self.tools.names if any(tool.name == name for tool in offered))
        if unknown := [tool.name for tool in offered if tool.name not in names]:
            raise NoCase(OTHER_TOOLS, f"{show_name(unknown[0])} is not among them")
        ours = [ToolsCheck(offers=each).references for each in (self._offered(names), Offered.of(offered))]
        return names, ours[0] != ours[1]

    def _read_tools(self, line: int, raw: Any) -> tuple[Tool, ...]:
        key = canonical(raw)
        if key not in self._known:
            try:
                self._known[key] = read_tools(raw, Document(self.path, raw, {(): line}), (TOOLS,), any_name=True).tools
            except AuthoringError as error:
                raise NoCase(OTHER_TOOLS, _said(error)) from None
        return self._known[key]

    def _offered(self, names: tuple[str, ...]) -> Offered:
        if names not in self._offers:
            self._offers[names] = Offered.of(self.tools.only(names).tools, self.tools.validators)
        return self._offers[names]

    def _check(self, line: int, output: Message, tools: tuple[str, ...]) -> None:
        """Refuse an output whose calls cannot be run, or cannot be expected."""
        offers = self._offered(tools)
        if found := offers.findings(output):
            raise NoCase(UNFIT, found[0].message)
        if len(output.calls) > MOST_EXPECTED:
            raise NoCase(UNFIT, f"{quantity(len(output.calls), 'call')}, and at most {MOST_EXPECTED} can be expected")
        calls = [call.as_dict() for call in output.calls]
        document = Document(self.path, calls, {(): line})
        if problems := [*expected_problems({"calls": calls}, offers, {}, True, document, ())]:
            raise NoCase(UNFIT, f"{problems[0].where}: expected {problems[0].expected}, found {problems[0].found}")
        if any("any_of" in each for call in output.calls for each in _objects(call.arguments)):
            raise NoCase(UNFIT, "an argument has a key `any_of`, which would be read as alternatives")

    def _check_input(self, line: int, written: list[dict[str, Any]]) -> None:
        if not written:
            raise NoCase(ODD, "the output is the first message")
        asked: Written = written[0][USER] if len(written) == 1 and USER in written[0] else written
        document = Document(self.path, {"input": asked}, {(): line})
        problems = validate(document, snapshot_schema()) or [
            *last_turn_problem(asked, document, ("input",), steps=True)
        ]
        if problems:
            raise NoCase(ODD, _said(AuthoringError(problems)))


def _said(error: AuthoringError) -> str:
    problem = error.problems[0]
    return f"expected {problem.expected}, found {problem.found}"


def _part(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The request or the response of a row, which may have a `body`; the row itself if it is both in one."""
    part = raw.get(name)
    if not isinstance(part, Mapping):
        return raw
    body = part.get("body")
    return body if isinstance(body, Mapping) else part


def _exchange(
    request: Mapping[str, Any], response: Mapping[str, Any]
) -> tuple[list[Mapping[str, Any]], Mapping[str, Any]]:  # fmt: skip
    """The messages before the output, and the output."""
    messages = request.get(MESSAGES, request.get("input"))
    if not isinstance(messages, list) or not messages:
        raise NoCase(NO_MESSAGES, f"only {', '.join(list(request)[:6]) or 'nothing'}")
    if odd := [each for each in messages if not isinstance(each, Mapping)]:
        raise NoCase(ODD, f"a message that is no object: {show_value(odd[0])}")
    if choices := response.get("choices"):
        return messages, _choice(choices)
    places = [at for at, each in enumerate(messages) if role_of(each) == ASSISTANT]
    if not places:
        raise NoCase(NO_ANSWER, "no turn of the assistant")
    last = messages[places[-1]]
    if last.get("weight") == 0:
        raise NoCase(UNWANTED, "weight: 0")
    return messages[: places[-1]], last


def _choice(choices: Any) -> Mapping[str, Any]:
    """The message of the only choice of a response."""
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], Mapping):
        raise NoCase(NO_ANSWER, f"{len(choices) if isinstance(choices, list) else 'no list of'} choices, expected one")
    [choice] = choices
    if choice.get("finish_reason") in ("length", "content_filter"):
        raise NoCase(CUT, f"finish_reason: {choice['finish_reason']}")
    if not isinstance(choice.get("message"), Mapping):
        raise NoCase(NO_ANSWER, "a choice without a message")
    return choice["message"]  # type: ignore[no-any-return]


def _written(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    try:
        return written_turns(messages)
    except OddMessage as error:
        raise NoCase(ODD, str(error)) from None


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every object in a value, itself included."""
    if isinstance(value, Mapping):
        yield value
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    for each in inner:
        yield from _objects(each)
