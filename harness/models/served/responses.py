"""Responses of servers: their form, text and tokens, and the name of the model version."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tunegate.harness.core.escaping import shown
from tunegate.harness.core.reading import schema_mistakes
from tunegate.harness.models.api import Finish

ENDS: dict[str, Finish] = {
    "stop": "stop", "eos": "stop", "eos_token": "stop", "length": "length", "model_length": "length",
}  # fmt: skip
#: How outputs with calls end. Gemini's last one is a call that it could not read itself: a wrong output, not none.
CALLED = ("tool_calls", "function_call", "malformed_function_call")
FILTERED = "content_filter"
#: What follows an alias in the name of a version: a date, or a version number.
DATED = re.compile(
    r"(?:-preview)?[-@_](?:\d{4}-\d{2}-\d{2}|\d{2}-\d{2}|\d{2}-\d{4}|\d{8}|\d{6}|\d{4}|\d{3})(?:-preview)?"
)
NEWEST = "-latest"  # of an alias
FAILED = "error"  # the finish reason of a gateway whose own server failed
COUNT = {"type": "integer", "minimum": 0}
TEXT = {"type": ["string", "null"]}
MESSAGE = {  # Gemini leaves the content out if the reasoning took all tokens
    "type": "object",
    "properties": {"content": TEXT, "refusal": TEXT, "reasoning_content": TEXT, "reasoning": TEXT},
}  # fmt: skip
CHOICE = {
    "type": "object",
    "anyOf": [{"required": ["text"]}, {"required": ["message"]}],
    "properties": {"text": {"type": "string"}, "message": MESSAGE, "finish_reason": {"type": ["string", "null"]}},
}
RESPONSE = {
    "type": "object",
    "required": ["model", "choices"],
    "properties": {
        "model": {"type": "string", "maxLength": 300},
        "choices": {"type": "array", "minItems": 1, "maxItems": 1, "items": CHOICE},
        "usage": {
            "type": ["object", "null"],
            "properties": {"prompt_tokens": COUNT, "completion_tokens": COUNT, "total_tokens": COUNT},
        },
    },
}


def is_dated(alias: str, served: str) -> bool:
    """Whether a served name is a version of an alias."""
    name = alias.removesuffix(NEWEST)
    version = served.removeprefix(name)
    return served.startswith(name) and (not version or bool(DATED.fullmatch(version)))


def flaw_of(output: dict[str, Any]) -> str:
    """What makes an object an invalid response; empty if it is valid."""
    if mistakes := schema_mistakes(output, RESPONSE):
        return shown("; ".join(mistakes))
    [choice] = output["choices"]
    return f"its finish_reason is {FAILED}" if choice.get("finish_reason") == FAILED else ""


def tokens_written(usage: Mapping[str, Any]) -> int | None:
    """The tokens that were written, hidden reasoning included: some servers count it only in the total."""
    read, written, both = (_count(usage, each) for each in ("prompt", "completion", "total"))
    return written if written is None or read is None or both is None else max(written, both - read)


def tokens_read(usage: Mapping[str, Any]) -> int | None:
    """The tokens of the prompt."""
    return _count(usage, "prompt")


def _count(usage: Mapping[str, Any], name: str) -> int | None:
    found = usage.get(f"{name}_tokens")
    return None if found is None else int(found)  # in JSON Schema 7.0 is an integer


def finish_of(choice: Mapping[str, Any], with_tools: bool) -> Finish | None:
    """How an output ended, None if it is none; where tools are offered, one that calls is one however it ended."""
    reason = choice.get("finish_reason")
    if with_tools and reason not in (*ENDS, FILTERED):
        said = message_of(choice)
        return "stop" if reason in CALLED or said.get("tool_calls") or said.get("function_call") else None
    return ENDS.get(reason) if isinstance(reason, str) else None


def message_of(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message of a choice, from either API."""
    if "message" not in choice:
        return {"content": choice["text"]}
    message = choice["message"]
    content = message.get("content")
    # a refusal instead of constrained JSON is the output, too
    return {**message, "content": content if content is not None else message.get("refusal")}
