"""An assistant's message with its calls of tools: read from OpenAI's forms, written in one canonical form.

The canonical form is one JSON text, `{"content": TEXT, "tool_calls": [{"name": ..., "arguments": {...}}]}`: keys in
this order, arguments as an object in the model's order, no ids. Nothing is repaired and nothing is lost: arguments
that are not one JSON object stay as `arguments_text`, and what is no call stays as one without a name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tunegate.harness.checks.outputs.finding import Finding
from tunegate.harness.checks.outputs.json_text import (
    MAX_CHARS,
    MAX_DEPTH,
    MAX_FINDINGS,
    equality_key,
    read_json_text,
    show_json,
)
from tunegate.harness.core.escaping import shown, whole
from tunegate.harness.core.files import canonical

CONTENT, CALLS, NAME, ARGUMENTS, ARGUMENTS_TEXT = "content", "tool_calls", "name", "arguments", "arguments_text"
MOST_CALLS = 64  # in one message; more is a loop
_CUT = ("before its JSON is complete", "has no closing quote")
AROUND = 3  # levels of a message around the arguments of a call
MOST_NAME = 60  # characters of a name in a sentence
DOUBLE = "call.double-encoded"  # arguments that are a JSON text of JSON


def show_name(name: str) -> str:
    """The name of a tool or an argument in a sentence: `create_ticket`, on one line and of bounded length."""
    return f"`{shown(name if len(name) <= MOST_NAME else f'{name[:MOST_NAME]}...')}`"


@dataclass(frozen=True)
class ToolCall:
    """One call. `arguments` are None if they are not one JSON object: `text` has them as the model wrote them.

    The name of what is no call is empty. `id` is that of a call in an input; an output has none.
    """

    name: str
    arguments: Mapping[str, Any] | None
    text: str = ""
    id: str = ""

    @cached_property
    def flaws(self) -> tuple[Finding, ...]:
        """Why it is no call, or its arguments are not one JSON object; empty if all is well."""
        if not self.name:
            return (Finding("call.form", f"not a call with a name: {show_json(self.arguments or self.text)}"),)
        if self.arguments is not None:
            return ()
        read = read_json_text(self.text)
        if read.findings:
            cut = any(end in each.message for each in read.findings for end in _CUT)
            message = read.findings[0].message.replace("the output", "the text")
            return (_flawed(self, "call.cut" if cut else "call.arguments", f"are not JSON: {message}"),)
        if isinstance(read.value, str) and isinstance(_inner(read.value), dict):
            return (_flawed(self, DOUBLE, "are JSON inside a JSON text, encoded twice"),)
        return (_flawed(self, "call.arguments", f"are not an object: {show_json(read.value)}"),)

    def as_dict(self, with_id: bool = False) -> dict[str, Any]:
        """Return its canonical form."""
        form = {ARGUMENTS_TEXT: self.text} if self.arguments is None else {ARGUMENTS: dict(self.arguments)}
        return ({"id": self.id} if with_id else {}) | {NAME: self.name} | form

    @property
    def key(self) -> str:
        """A text that is equal for equal calls: the order of arguments does not count, nor do ids."""
        return canonical([self.name, self.text if self.arguments is None else [equality_key(self.arguments)]])

    def __str__(self) -> str:
        """As people read it: `create_ticket(priority="high")`."""
        if self.arguments is None:
            return f"{self.name}({self.text})"
        form = (f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in self.arguments.items())
        return f"{self.name}({', '.join(form)})"


def _flawed(call: ToolCall, rule: str, what: str) -> Finding:
    return Finding(rule, f"the arguments of {show_name(call.name)} {what}")


def _inner(text: str) -> Any:
    read = read_json_text(text)
    return None if read.findings else read.value


@dataclass(frozen=True)
class Message:
    """What an assistant said: a text, which may be empty, and calls. `findings` are what is wrong with its form."""

    content: str = ""
    calls: tuple[ToolCall, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def flaws(self) -> tuple[Finding, ...]:
        """What is wrong with its form and with the arguments of its calls."""
        return (self.findings + tuple(each for call in self.calls for each in call.flaws))[:MAX_FINDINGS]

    def write(self, with_ids: bool = False) -> str:
        """Return the canonical text; `with_ids` for a turn of an input."""
        calls = [call.as_dict(with_ids) for call in self.calls]
        return json.dumps({CONTENT: self.content, CALLS: calls}, ensure_ascii=False, allow_nan=False)

    def key(self, in_order: bool = False) -> str:
        """A text that is equal for the same message: the order of calls counts only `in_order`."""
        keys = [call.key for call in self.calls]
        return canonical([" ".join(self.content.split()), keys if in_order else sorted(keys)])

    def __str__(self) -> str:
        """As people read it: its text, then a call on each line."""
        return "\n".join(filter(None, [self.content, *map(str, self.calls)]))


def read_output(text: str) -> Message:
    """Read the output of a request with tools; a text that is no canonical message is one without calls."""
    if len(text) > MAX_CHARS:
        size = f"the output has {len(text):,} characters; at most {MAX_CHARS:,} are allowed"
        return Message("", (), (Finding("message.size", size),))
    if not text.startswith(f'{{"{CONTENT}": '):
        return Message(text)
    read = read_json_text(text, deepest=MAX_DEPTH + AROUND)
    if read.findings or not (isinstance(read.value, dict) and read.value.keys() == {CONTENT, CALLS}):
        return Message(text)
    message = read_message(read.value)
    return message if message.write() == text else Message(text)


def content_of(text: str) -> str:
    """The text of an output of a request with tools, which suites other than `tools` score."""
    return read_output(text).content


def shown_output(text: str) -> str:
    """An output as people read it: a canonical message as its text and a call on each line, any other as it is."""
    message = read_output(text)
    return text if message == Message(text) or message.findings else str(message)


def listed_completions(value: Any) -> Any:
    """What a page of OpenAI's API lists, `{"object": "list", "data": [...]}`; any other value as it is."""
    is_page = isinstance(value, Mapping) and value.get("object") == "list" and isinstance(value.get("data"), list)
    return value["data"] if is_page else value


def read_message(raw: Mapping[str, Any]) -> Message:
    """Read a message in a form of OpenAI's, or in the canonical one.

    `tool_calls` hold `function` or its keys directly, with arguments as a text or an object; `function_call` is the
    older form of one call. Content is a text, nothing, or parts with texts; other values stay as their JSON.
    """
    calls = tuple(_read_call(each) for each in _raw_calls(raw))
    findings = (Finding("call.number", f"more than {MOST_CALLS} calls"),) if len(calls) > MOST_CALLS else ()
    return Message(_text(raw.get(CONTENT)), calls[: MOST_CALLS + 1], findings)  # one more: it is read so again


def _raw_calls(raw: Mapping[str, Any]) -> Sequence[Any]:
    calls, older = raw.get(CALLS), raw.get("function_call")
    if calls:
        return calls if isinstance(calls, list) else [calls]
    return [] if older is None else [older]


def _read_call(raw: Any) -> ToolCall:
    inner = raw.get("function", raw) if isinstance(raw, Mapping) else None
    if not isinstance(inner, Mapping) or not isinstance(inner.get(NAME), str):
        return ToolCall("", None, _json(raw))
    given = raw.get("id") or raw.get("call_id")
    name, found = whole(inner[NAME]), whole(given) if isinstance(given, str) else ""
    if ARGUMENTS not in inner and isinstance(inner.get(ARGUMENTS_TEXT), str):
        return ToolCall(name, None, whole(inner[ARGUMENTS_TEXT]), found)
    arguments = inner.get(ARGUMENTS)
    text = arguments if isinstance(arguments, str) else "{}" if arguments is None else _json(arguments)
    read = read_json_text(text)
    if not name or read.findings or not isinstance(read.value, dict):
        return ToolCall(name, None, whole(text), found)
    return ToolCall(name, read.value, "", found)


def _text(content: Any) -> str:
    """The text of a message: a text, nothing, or parts with texts."""
    if content is None or isinstance(content, str):
        return whole(content or "")
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, Mapping) else part for part in content]
        texts = [each for each in parts if isinstance(each, str)]
        if len(texts) == len(parts):
            return whole("".join(texts))
    return _json(content)


def _json(value: Any) -> str:
    """A value as JSON; NaN stays what it is, a mistake that a reader finds, and so does endless nesting."""
    try:
        return whole(json.dumps(value, ensure_ascii=False))
    except (RecursionError, TypeError, ValueError) as error:
        return f"({type(error).__name__})"
