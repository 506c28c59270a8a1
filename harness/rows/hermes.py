"""Rows in the format of Hermes: tools in the system turn, calls and results in marks inside the texts.

Source: NousResearch/Hermes-Function-Calling and its data set hermes-function-calling-v1. Qwen2.5's template writes the
same marks, with one tool a line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import regex

from tunegate.harness.cases.conversation import ASSISTANT, SYSTEM, TOOL, USER
from tunegate.harness.checks.outputs.json_text import read_json_text
from tunegate.harness.core.authoring.document import Document, show_value
from tunegate.harness.core.errors import AuthoringError

Turns = Sequence[Mapping[str, Any]]
_TOOLS = regex.compile(r"<tools>\s*([\[{].*?)\s*</tools>", regex.DOTALL)
#: What stands around the tools and says how to call them; a template writes its own.
_PREAMBLE = regex.compile(
    r"(You are a function calling AI model\.\s*)?(# Tools\s*)?(You may call one or more functions[^.\n]*\.\s*)?"
    r"You are provided with function signatures within\s*<tools>.*</tool_call>",
    regex.DOTALL,
)
_CALL = regex.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", regex.DOTALL)
_RESULT = regex.compile(r"<tool_response>\s*(.*?)\s*</tool_response>", regex.DOTALL)


def from_hermes(document: Document, key: str, turns: Turns) -> tuple[Turns, list[Any]]:
    """Messages with calls and results as turns of their own, and their tools; as they are, and none, if it has none.

    Raises:
        AuthoringError: the tools or a call is not JSON, or other words stand around the tools.
    """
    system = turns[0].get("content") if turns and turns[0].get("role") == SYSTEM else None
    found = _TOOLS.search(system) if isinstance(system, str) else None
    if found is None:
        return turns, []
    place = (key, 0)
    tools, rest = _tools(found[1]), _PREAMBLE.sub("", str(system)).strip()
    if not tools or not all(isinstance(each, Mapping) for each in tools):
        raise AuthoringError([document.problem(place, "tools as JSON between <tools> marks", show_value(found[1]))])
    if "<tools>" in rest:
        hint = "put the tools into a key `tools`, and leave them out of the system turn"
        raise AuthoringError([document.problem(place, "Hermes's words around <tools>", show_value(rest), hint)])
    head = [{**turns[0], "content": rest}] if rest else []
    later = (each for at, turn in enumerate(turns[1:], start=1) for each in _turn(document, (key, at), turn))
    return [*head, *later], tools


def _tools(text: str) -> list[Any]:
    """A JSON list, or a tool on each line; empty if it is neither."""
    read = read_json_text(text)
    if not read.findings:
        return read.value if isinstance(read.value, list) else [read.value]
    lines = [read_json_text(line) for line in text.splitlines() if line.strip()]
    return [] if any(line.findings for line in lines) else [line.value for line in lines]


def _turn(document: Document, where: tuple[str, int], turn: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    role, text = turn.get("role"), turn.get("content")
    if role == ASSISTANT and isinstance(text, str) and "<tool_call>" in text and not turn.get("tool_calls"):
        calls = [_call(document, where, each) for each in _CALL.findall(text)]
        rest = _CALL.sub("", text).strip()
        if not calls or "<tool_call>" in rest:
            hint = "close it with </tool_call>"
            raise AuthoringError([document.problem(where, "a call between its marks", show_value(rest), hint)])
        yield {**turn, "content": rest, "tool_calls": calls}
    elif role in (TOOL, USER) and isinstance(text, str) and (results := _RESULT.findall(text)):
        yield from ({"role": TOOL, "content": each} for each in results)
    else:
        yield turn


def _call(document: Document, where: tuple[str, int], text: str) -> Any:
    read = read_json_text(text)
    if read.findings or not isinstance(read.value, Mapping):
        raise AuthoringError([document.problem(where, "a call as a JSON object", show_value(text))])
    return read.value
