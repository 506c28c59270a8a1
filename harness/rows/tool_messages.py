"""Rows with tool calls: the tools that a row offers, and its messages as turns and a canonical output.

Arrow gives every object of a column the same keys, with null for those that it lacks. So a null argument that its
tool's schema does not take is no argument (huggingface.co/docs/datasets: features are one type a column).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from tunegate.harness.cases.chat_messages import OddMessage, role_of, written_turns
from tunegate.harness.cases.conversation import TOOL, Turns, last_turn_problem, read_turns
from tunegate.harness.cases.json_schemas import snapshot_schema
from tunegate.harness.cases.model import Unit
from tunegate.harness.checks.outputs.json_text import read_json_text
from tunegate.harness.checks.outputs.message import (
    ARGUMENTS,
    ARGUMENTS_TEXT,
    CALLS,
    CONTENT,
    NAME,
    read_message,
    read_output,
)
from tunegate.harness.checks.tools.definitions import Tool, ToolSet, read_tools
from tunegate.harness.core.authoring.document import Document, show_value
from tunegate.harness.core.authoring.validation import validate
from tunegate.harness.core.errors import AuthoringError

FUNCTION, OLDER, TOOLS, MESSAGES = "function", "function_call", "tools", "messages"


def holds_calls(messages: Any) -> bool:
    """Whether messages hold calls, or what a tool returned."""
    return isinstance(messages, list) and any(
        isinstance(each, Mapping) and (role_of(each) == TOOL or each.get(CALLS) or each.get(OLDER)) for each in messages
    )


def from_json(value: Any) -> Any:
    """A value that some data sets hold as JSON text; the text itself if it is not JSON, None if it is empty."""
    if not isinstance(value, str):
        return value
    read = read_json_text(value)
    return value or None if read.findings else read.value


def tools_of_row(document: Document, unit: Unit | None) -> tuple[Tool, ...]:
    """The tools that a row offers: its own, or those of its unit; a row of a unit may offer fewer, but no others.

    Raises:
        AuthoringError: they cannot be used, or a suite would not offer them as the row does.
    """
    raw = document.data.get(TOOLS)
    known = unit.configuration.tools if unit else ()
    if not raw:
        return known
    tools = _read(document, raw).tools
    if unit is None:
        return tools
    written, given = {tool.name: tool.written for tool in known}, {tool.name: tool.written for tool in tools}
    for name, each in given.items():
        if written.get(name) != each:
            how = "with another description or schema" if name in written else "another one"
            expected = f"tools as {unit.name} offers them ({', '.join(written) or 'none'})"
            hint = "leave `tools` out of the row to offer all of them" if written else "leave `unit` out"
            raise AuthoringError([document.problem((TOOLS,), expected, f"{show_value(name)}, {how}", hint)])
    return tuple(tool for tool in known if tool.name in given)


def _read(document: Document, raw: Any) -> ToolSet:
    try:
        return _read_once(json.dumps(raw))
    except (AuthoringError, RecursionError):
        return read_tools(raw, document, (TOOLS,), any_name=True)  # raises, with the row's line


@lru_cache(maxsize=64)  # most rows of a file offer the same
def _read_once(text: str) -> ToolSet:
    return read_tools(json.loads(text), Document(Path(), None, {}), (TOOLS,), any_name=True)


def asked_turns(document: Document, messages: Sequence[Mapping[str, Any]], tools: Sequence[Tool]) -> Turns:
    """The messages before an output as turns.

    Raises:
        AuthoringError: they are no trace: a result without a call, a call without a result, arguments that are not one
            object.
    """
    if not holds_calls(messages):
        return tuple((role_of(each), each[CONTENT]) for each in messages)
    where = (MESSAGES,)
    if holds_calls([messages[-1]]) and role_of(messages[-1]) != TOOL:
        hint = "add a turn of the role tool for each"
        raise AuthoringError([document.problem((*where, len(messages) - 1), "results of its calls", "none", hint)])
    try:
        written = written_turns([_without_fillers(each, tools) for each in messages])
    except OddMessage as error:
        raise AuthoringError([document.problem(where, "messages with texts or calls", str(error))]) from None
    placed = Document(document.path, {"input": written}, {(): document.line(())})
    problems = validate(placed, snapshot_schema()) or [*last_turn_problem(written, placed, where, steps=True)]
    if problems:
        raise AuthoringError(problems[:1])  # the others follow from the first
    return read_turns(written)


def output_text(document: Document, message: Mapping[str, Any], tools: Sequence[Tool], place: int) -> str:
    """An assistant's message as an output: canonical where tools are offered, otherwise its text.

    Raises:
        AuthoringError: it has neither text nor calls, calls that are not one, or calls without tools.
    """
    read = read_message(_without_fillers(message, tools))
    where = (MESSAGES, place)
    if read.calls and not tools:
        hint = "add the tools that were offered, or name a `unit` that offers them"
        raise AuthoringError([document.problem((TOOLS,), "the tools that its calls name", "none", hint)])
    if not (read.calls or read.content.strip()):
        raise AuthoringError([document.problem((*where, CONTENT), "a text or calls", "neither")])
    flawed = [(at, call.flaws[0]) for at, call in enumerate(read.calls) if call.flaws]
    if flawed or read.findings:
        at, flaw = flawed[0] if flawed else (0, read.findings[0])
        expected = "a call: {name: TOOL, arguments: {...}}"
        raise AuthoringError([document.problem((*where, CALLS, at), expected, flaw.message)])
    return read.write() if tools else read.content


def as_canonical(text: str, tools: Sequence[Tool]) -> str:
    """An output that is given as a text: canonical where tools are offered."""
    return read_output(text).write() if tools else text


def _without_fillers(message: Mapping[str, Any], tools: Sequence[Tool]) -> Mapping[str, Any]:
    """A message whose calls have no null arguments that their tool does not take."""
    schemas = {tool.name: tool.parameters for tool in tools}
    calls = message.get(CALLS)
    kept = {CALLS: [_call(each, schemas) for each in calls]} if isinstance(calls, list) else {}
    kept |= {OLDER: _call(message[OLDER], schemas)} if OLDER in message else {}
    return {**message, **kept}


def _call(call: Any, schemas: Mapping[str, Any]) -> Any:
    if not isinstance(call, Mapping):
        return call
    if isinstance(call.get(FUNCTION), Mapping):
        return {**call, FUNCTION: _call(call[FUNCTION], schemas)}
    if not isinstance(call.get(ARGUMENTS), Mapping):
        return call
    try:
        return {**call, ARGUMENTS: _filtered(call[ARGUMENTS], schemas.get(str(call.get(NAME))))}
    except RecursionError:
        return {NAME: call.get(NAME), ARGUMENTS_TEXT: "endless nesting"}


def _filtered(value: Any, schema: Any) -> Any:
    """A value without the nulls that its schema does not take."""
    rules = schema if isinstance(schema, Mapping) else {}
    if isinstance(value, list):
        return [_filtered(each, rules.get("items")) for each in value]
    if not isinstance(value, Mapping):
        return value
    own = rules.get("properties", {})
    return {
        key: _filtered(each, own.get(key))
        for key, each in value.items()
        if each is not None or (key in own and _takes_null(own[key]))
    }


def _takes_null(schema: Any) -> bool:
    if not isinstance(schema, Mapping):
        return bool(schema)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return any(map(_takes_null, schema[key]))
    if "enum" in schema or "const" in schema:
        return None in schema.get("enum", [schema.get("const")])
    types = schema.get("type", "null")
    return "null" in (types if isinstance(types, list) else [types])
