"""A model behind Anthropic's messages API: requests in its form, and its responses in that of OpenAI's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunegate.harness.checks.base import Can
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.reading import schema_mistakes
from tunegate.harness.models.served.dialect import OPTIONAL, Dialect
from tunegate.harness.models.served.http_client import HttpClient
from tunegate.harness.models.served.responses import FILTERED, count_of, usage_of
from tunegate.harness.models.served.server import Server
from tunegate.harness.models.served.structured_outputs import OUTPUT_CONFIG

PATH, VERSION = "messages", "2023-06-01"
KNOWN = frozenset({"temperature", "top_p"})  # of the fields that other servers know
#: OpenAI's names of the reasons; any other, such as `pause_turn`, is no end of an output.
ENDS = {
    "end_turn": "stop", "stop_sequence": "stop",
    "max_tokens": "length", "model_context_window_exceeded": "length", "tool_use": "tool_calls",
    "refusal": FILTERED,
}  # fmt: skip
READ = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
BLOCK = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"type": "string"}, "text": {"type": "string"}, "thinking": {"type": "string"},
        "id": {"type": "string"}, "name": {"type": "string"},
    },
    "allOf": [
        {"if": {"properties": {"type": {"const": "text"}}}, "then": {"required": ["text"]}},
        {"if": {"properties": {"type": {"const": "tool_use"}}}, "then": {"required": ["name", "input"]}},
    ],
}  # fmt: skip
RESPONSE = {
    "type": "object",
    "required": ["model", "content", "stop_reason"],
    "properties": {
        "model": {"type": "string", "maxLength": 300},
        "content": {"type": "array", "items": BLOCK},
        "stop_reason": {"type": "string"},
        "role": {"const": "assistant"},
    },
}


class AnthropicServer(Server):
    """A model behind an address with Anthropic's messages API; likelihoods of given texts are not to be had there."""

    can: frozenset[Can] = frozenset({"generate", "tools"})
    first = Dialect(without=frozenset(OPTIONAL) - KNOWN)
    ways = (OUTPUT_CONFIG,)

    @staticmethod
    def signed(_: str, key: str) -> Mapping[str, str]:
        """The headers of each request, with the key if there is one."""
        return {"anthropic-version": VERSION, **({"x-api-key": key} if key else {})}

    async def _post(self, client: HttpClient, asked: Mapping[str, Any], key: str) -> dict[str, Any]:
        body = as_anthropic(asked, key)
        return as_openai(
            await client.post(PATH, body, key, flaw_of_message, lambda said: self.lack(as_openai(said)))
        )  # fmt: skip


def as_anthropic(asked: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A body in OpenAI's form as the API takes it; Refused, with the `key` of the case, if a turn cannot be said."""
    messages, tools = asked["messages"], asked.get("tools")
    effort = {"effort": asked["reasoning_effort"]} if "reasoning_effort" in asked else {}
    own = {
        "system": "\n\n".join(each["content"] for each in messages if each["role"] == "system"),
        OUTPUT_CONFIG: {**effort, **asked.get(OUTPUT_CONFIG, {})},
        "tools": [_tool(each["function"]) for each in tools or ()],
        "tool_choice": {"type": asked["tool_choice"]} if tools else {},
    }
    kept = {name: value for name, value in asked.items() if name not in (*own, "reasoning_effort")}
    return {**kept, "messages": list(_turns(messages, key)), **{name: value for name, value in own.items() if value}}


def _tool(function: Mapping[str, Any]) -> dict[str, Any]:
    schema = function.get("parameters") or {"type": "object"}
    about = {"description": function["description"]} if "description" in function else {}
    return {"name": function["name"], **about, "input_schema": schema}


def _turns(messages: Sequence[Mapping[str, Any]], key: str) -> Iterator[dict[str, Any]]:
    """Yield the turns: results of tools are blocks of one user's turn, calls are blocks of the assistant's."""
    results: list[dict[str, Any]] = []
    for each in messages:
        if each["role"] == "tool":
            results.append({"type": "tool_result", "tool_use_id": each["tool_call_id"], "content": each["content"]})
            continue
        if results:
            yield {"role": "user", "content": results}
            results = []
        if each.get("tool_calls"):
            said = [{"type": "text", "text": each["content"]}] if each["content"] else []
            yield {"role": "assistant", "content": [*said, *(_use(call, key) for call in each["tool_calls"])]}
        elif each["role"] != "system":
            yield {"role": each["role"], "content": each["content"]}
    if results:
        yield {"role": "user", "content": results}


def _use(call: Mapping[str, Any], key: str) -> dict[str, Any]:
    name, text = call["function"]["name"], call["function"]["arguments"]
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise Refused(
            f"{key}: expected earlier calls with arguments in a JSON object, which the messages API takes, found "
            f"{shown(name)} with {shown(text[:80])}"
        )
    return {"type": "tool_use", "id": call["id"], "name": name, "input": given}


def flaw_of_message(said: dict[str, Any]) -> str:
    """What makes an object an invalid response; empty if it is valid."""
    return shown("; ".join(schema_mistakes(said, RESPONSE)))


def as_openai(said: Mapping[str, Any]) -> dict[str, Any]:
    """A valid response as OpenAI's API would give it: texts joined, thinking as the reasoning, tokens counted."""
    blocks, usage, reason = said["content"], usage_of(said), said["stop_reason"]
    texts = [each["text"] for each in blocks if each["type"] == "text"]
    message = {
        "content": "".join(texts) if texts else None,
        "reasoning": "".join(each.get("thinking", "") for each in blocks if each["type"] == "thinking"),
        "tool_calls": [
            {"id": each.get("id", ""), "function": {"name": each["name"], "arguments": each["input"]}}
            for each in blocks if each["type"] == "tool_use"
        ],
    }  # fmt: skip
    read = [count_of(usage.get(name) or 0) for name in READ] if READ[0] in usage else [None]
    tokens = {
        "prompt_tokens": None if None in read else sum(count or 0 for count in read),
        "completion_tokens": count_of(usage.get("output_tokens")),
    }
    return {
        "model": said["model"],
        "choices": [{"message": message, "finish_reason": ENDS.get(reason, reason)}],
        "usage": {name: count for name, count in tokens.items() if count is not None},
    }
