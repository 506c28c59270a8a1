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
CALLS = ("tool_calls", "function_call")
CALLED = (*CALLS, "malformed_function_call")
FILTERED = "content_filter"
#: What follows an alias in the name of a version: a date, or a version number.
DATED = re.compile(
    r"(?:-preview)?[-@_](?:\d{4}-\d{2}-\d{2}|\d{2}-\d{2}|\d{2}-\d{4}|\d{8}|\d{6}|\d{4}|\d{3})(?:-preview)?"
)
NEWEST = "-latest"  # of an alias
FAILED = "error"  # the finish reason of a gateway whose own server failed
LARGEST = 1 << 31  # tokens; a larger count is no count
TEXT = {"type": ["string", "null"]}
MESSAGE = {  # Gemini leaves the content out if the reasoning took all tokens
    "type": "object",
    "properties": {
        "content": TEXT, "refusal": TEXT, "reasoning_content": TEXT, "reasoning": TEXT,
        "role": {"enum": ["assistant", "", None]},
    },
}  # fmt: skip


def _response(field: str) -> dict[str, Any]:
    """The schema of a response whose one choice, the first, has its output in a field."""
    choice = {
        "type": "object",
        "required": [field],
        "properties": {
            "index": {"enum": [0, None]}, "text": {"type": "string"}, "message": MESSAGE,
            "finish_reason": {"type": ["string", "null"]},
        },
    }  # fmt: skip
    return {
        "type": "object",
        "required": ["model", "choices"],
        "properties": {
            "model": {"type": "string", "maxLength": 300},
            "choices": {"type": "array", "minItems": 1, "maxItems": 1, "items": choice},
        },
    }


#: The schemas of responses by the field of the output, which is the API's.
RESPONSES = {field: _response(field) for field in ("text", "message")}


def is_dated(alias: str, served: str) -> bool:
    """Whether a served name is a version of an alias."""
    name = alias.removesuffix(NEWEST)
    version = served.removeprefix(name)
    return served.startswith(name) and (not version or bool(DATED.fullmatch(version)))


def flaw_of(output: dict[str, Any], field: str) -> str:
    """What makes an object an invalid response with its output in a `field`; empty if it is valid."""
    if mistakes := schema_mistakes(output, RESPONSES[field]):
        return shown("; ".join(mistakes))
    [choice] = output["choices"]
    return f"its finish_reason is {FAILED}" if choice.get("finish_reason") == FAILED else ""


def lack_of(output: Mapping[str, Any]) -> str:
    """Why a valid response has no output although it came to its end; empty if it has one.

    Gateways and servers under load give such responses, and so does a model that ends at once. One cannot be
    distinguished from the other, so neither is scored. Calls are an output without a text.
    """
    [choice] = output["choices"]
    said, reason = message_of(choice), choice.get("finish_reason")
    text = said["content"] or ""
    if "\0" in text and not _is_blank(text):
        return "an output with the character NUL"
    has_ended = ENDS.get(reason) == "stop" or reason in CALLS
    return "an empty output" if has_ended and _is_blank(text) and not has_calls(said) else ""


def has_calls(message: Mapping[str, Any]) -> bool:
    """Whether a message calls tools."""
    return bool(message.get("tool_calls") or message.get("function_call"))


def _is_blank(text: str) -> bool:
    """Whether nothing of a text can be seen: white space, NUL, marks without a width."""
    return not any(char.isprintable() and not char.isspace() for char in text)


def usage_of(output: Mapping[str, Any]) -> Mapping[str, Any]:
    """The counts of tokens of a response; empty if it has none."""
    found = output.get("usage")
    return found if isinstance(found, dict) else {}


def tokens_written(usage: Mapping[str, Any]) -> int | None:
    """The tokens that were written, hidden reasoning included: some servers count it only in the total."""
    read, written, both = (_count(usage, each) for each in ("prompt", "completion", "total"))
    return written if written is None or read is None or both is None else max(written, both - read)


def tokens_read(usage: Mapping[str, Any]) -> int | None:
    """The tokens of the prompt."""
    return _count(usage, "prompt")


def _count(usage: Mapping[str, Any], name: str) -> int | None:
    return count_of(usage.get(f"{name}_tokens"))


def count_of(found: Any) -> int | None:
    """A count in a response; None if it is none, which costs the case its price, not the run."""
    is_count = type(found) in (int, float) and 0 <= found < LARGEST and found == int(found)
    return int(found) if is_count else None


def finish_of(choice: Mapping[str, Any], with_tools: bool) -> Finish | None:
    """How an output ended, None if it is none; where tools are offered, one that calls is one however it ended."""
    reason = choice.get("finish_reason")
    if with_tools and reason not in (*ENDS, FILTERED):
        return "stop" if reason in CALLED or has_calls(message_of(choice)) else None
    return ENDS.get(reason) if isinstance(reason, str) else None


def message_of(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message of a choice, from either API."""
    if "message" not in choice:
        return {"content": choice["text"]}
    message = choice["message"]
    content, refusal = message.get("content"), message.get("refusal")
    # a refusal is what the model said instead
    return {**message, "content": refusal if refusal and _is_blank(content or "") else content}
