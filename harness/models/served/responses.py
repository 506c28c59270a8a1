"""What servers answer with: the form of it, its text, its tokens, and the name of the version that answered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tunegate.harness.core.escaping import shown
from tunegate.harness.core.reading import schema_mistakes
from tunegate.harness.models.api import Finish

ENDS: dict[str, Finish] = {"stop": "stop", "eos": "stop", "eos_token": "stop", "length": "length"}
#: What follows an alias in the name of the version that answers: a date, or the number of a version.
DATED = re.compile(
    r"(?:-preview)?[-@_](?:\d{4}-\d{2}-\d{2}|\d{2}-\d{2}|\d{2}-\d{4}|\d{8}|\d{6}|\d{4}|\d{3})(?:-preview)?"
)
NEWEST = "-latest"  # of an alias
FAILED = "error"  # a reason to end, of a gateway whose own server failed
COUNT = {"type": "integer", "minimum": 0}
TEXT = {"type": ["string", "null"]}
MESSAGE = {  # Gemini leaves the content out where a reasoning took all tokens
    "type": "object",
    "properties": {"content": TEXT, "refusal": TEXT, "reasoning_content": TEXT, "reasoning": TEXT},
}  # fmt: skip
CHOICE = {
    "type": "object",
    "anyOf": [{"required": ["text"]}, {"required": ["message"]}],
    "properties": {"text": {"type": "string"}, "message": MESSAGE, "finish_reason": {"type": ["string", "null"]}},
}
ANSWER = {
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


def is_dated(alias: str, answered: str) -> bool:
    """Whether a name is that of the version that an alias leads to at present."""
    name = alias.removesuffix(NEWEST)
    version = answered.removeprefix(name)
    return answered.startswith(name) and (not version or bool(DATED.fullmatch(version)))


def flaw_of(output: dict[str, Any]) -> str:
    """Say what keeps an object from being an answer; empty where nothing does."""
    if mistakes := schema_mistakes(output, ANSWER):
        return shown("; ".join(mistakes))
    [choice] = output["choices"]
    return f"it ended for {FAILED}" if choice.get("finish_reason") == FAILED else ""


def tokens_written(usage: Mapping[str, Any]) -> int | None:
    """Return the tokens that were written, hidden reasoning included: some count that in the total alone."""
    read, written, both = (_count(usage, each) for each in ("prompt", "completion", "total"))
    return written if written is None or read is None or both is None else max(written, both - read)


def tokens_read(usage: Mapping[str, Any]) -> int | None:
    """Return the tokens of the prompt."""
    return _count(usage, "prompt")


def _count(usage: Mapping[str, Any], name: str) -> int | None:
    found = usage.get(f"{name}_tokens")
    return None if found is None else int(found)  # JSON Schema takes 7.0 for an integer


def message_of(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the message of a choice, whichever way it was asked."""
    if "message" not in choice:
        return {"content": choice["text"]}
    message = choice["message"]
    content = message.get("content")
    # what a model says instead of the JSON that it is held to is its answer, too
    return {**message, "content": content if content is not None else message.get("refusal")}
