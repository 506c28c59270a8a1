"""A lenient reader of calls: one in a code block, or as bare JSON, is counted as if it were in its template's form.

Only this benchmark reads so. The suite `tools` fails such a message, since no program sees its call.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunegate.harness.cases.model import Case
from tunegate.harness.checks.outputs.message import Message, read_message, read_output
from tunegate.harness.models.evaluation.record import Result

MOST = 64  # calls of a message, as in a product's message
MOST_SEARCHED = 10_000  # characters of a text
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Seen:
    """An output: whether its form is right, its calls whatever their form, and both; and whether it calls at all."""

    form: bool
    right: bool
    both: bool
    calls: bool


def seen(case: Case, result: Result) -> Seen:
    """An output of a case, as both readers see it."""
    message = lenient(read_output(result.output or ""), {tool.name for tool in case.tools})
    scored = case.check(message.write(), case.expect, "")
    form = all(result.rates.get(name, True) for name in ("valid", "called"))
    return Seen(form, bool(scored.passed), bool(result.passed), bool(message.calls))


def lenient(message: Message, offered: Collection[str]) -> Message:
    """The message as it is if it has calls, or else with those that stand in its text."""
    if message.calls:
        return message
    calls = list(_calls(message.content[:MOST_SEARCHED], offered))[:MOST]
    return read_message({"content": "", "tool_calls": calls}) if calls else message


def _calls(text: str, offered: Collection[str]) -> Iterator[Mapping[str, Any]]:
    """The calls of offered tools among the JSON values of a text, in their order."""
    at = 0
    while (at := _next(text, at)) >= 0:
        try:
            value, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        yield from _of_value(value, offered)


def _next(text: str, at: int) -> int:
    places = [found for mark in "{[" if (found := text.find(mark, at)) >= 0]
    return min(places, default=-1)


def _of_value(value: Any, offered: Collection[str]) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        for each in value:
            yield from _of_value(each, offered)
    elif isinstance(value, dict):
        inner = value["function"] if isinstance(value.get("function"), dict) else value
        arguments = inner.get("arguments", inner.get("parameters", {}))
        if inner.get("name") in offered and isinstance(arguments, dict):
            yield {"name": inner["name"], "arguments": arguments}
        elif isinstance(value.get("tool_calls"), list):
            yield from _of_value(value["tool_calls"], offered)
