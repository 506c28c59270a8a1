"""A model behind Anthropic's messages API: requests in its form, and its responses in that of OpenAI's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunegate.harness.checks.base import Can
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.reading import schema_mistakes
from tunegate.harness.models.api import Request
from tunegate.harness.models.served.dialect import OPTIONAL, Dialect
from tunegate.harness.models.served.http_client import HttpClient
from tunegate.harness.models.served.responses import COUNT
from tunegate.harness.models.served.server import Server
from tunegate.harness.models.served.structured_outputs import OUTPUT_CONFIG

PATH, VERSION = "messages", "2023-06-01"
KNOWN = frozenset({"temperature", "top_p"})  # of the fields that other servers know
#: OpenAI's names of the reasons; any other, such as `refusal` of a filter, is no end of an output.
ENDS = {
    "end_turn": "stop", "stop_sequence": "stop",
    "max_tokens": "length", "model_context_window_exceeded": "length",
}  # fmt: skip
READ = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
BLOCK = {
    "type": "object",
    "required": ["type"],
    "properties": {"type": {"type": "string"}, "text": {"type": "string"}, "thinking": {"type": "string"}},
    "if": {"properties": {"type": {"const": "text"}}},
    "then": {"required": ["text"]},
}
RESPONSE = {
    "type": "object",
    "required": ["model", "content", "stop_reason"],
    "properties": {
        "model": {"type": "string", "maxLength": 300},
        "content": {"type": "array", "items": BLOCK},
        "stop_reason": {"type": "string"},
        "usage": {
            "type": "object",
            "properties": {**{name: {**COUNT, "type": ["integer", "null"]} for name in READ}, "output_tokens": COUNT},
        },
    },
}


class AnthropicServer(Server):
    """A model behind an address with Anthropic's messages API; likelihoods of given texts are not to be had there."""

    can: frozenset[Can] = frozenset({"generate"})
    first = Dialect(without=frozenset(OPTIONAL) - KNOWN)
    ways = (OUTPUT_CONFIG,)

    @staticmethod
    def signed(_: str, key: str) -> Mapping[str, str]:
        """The headers of each request, with the key if there is one."""
        return {"anthropic-version": VERSION, **({"x-api-key": key} if key else {})}

    async def _post(self, client: HttpClient, body: Mapping[str, Any], request: Request) -> dict[str, Any]:
        return as_openai(await client.post(PATH, as_messages(body, request), request.key, flaw_of_message))


def as_messages(body: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """The body of a request: the system prompt is a field, and so is the effort of the reasoning."""
    system = "\n\n".join(text for role, text in request.messages if role == "system")
    turns = [{"role": role, "content": text} for role, text in request.messages if role != "system"]
    effort = {"effort": body["reasoning_effort"]} if "reasoning_effort" in body else {}
    config = {**effort, **body.get(OUTPUT_CONFIG, {})}
    kept = {name: value for name, value in body.items() if name not in ("reasoning_effort", OUTPUT_CONFIG)}
    optional = {"system": system, OUTPUT_CONFIG: config}
    return {**kept, "messages": turns, **{name: value for name, value in optional.items() if value}}


def flaw_of_message(said: dict[str, Any]) -> str:
    """What makes an object an invalid response; empty if it is valid."""
    return shown("; ".join(schema_mistakes(said, RESPONSE)))


def as_openai(said: Mapping[str, Any]) -> dict[str, Any]:
    """A valid response as OpenAI's API would give it: texts joined, thinking as the reasoning, tokens counted."""
    blocks, usage = said["content"], said.get("usage") or {}
    texts = [each["text"] for each in blocks if each["type"] == "text"]
    thought = "".join(each.get("thinking", "") for each in blocks if each["type"] == "thinking")
    reason = said["stop_reason"]
    message = {"content": "".join(texts) if texts else None, **({"reasoning": thought} if thought else {})}
    tokens = {
        "prompt_tokens": sum(usage.get(name) or 0 for name in READ) if READ[0] in usage else None,
        "completion_tokens": usage.get("output_tokens"),
    }
    return {
        "model": said["model"],
        "choices": [{"message": message, "finish_reason": ENDS.get(reason, reason)}],
        "usage": {name: count for name, count in tokens.items() if count is not None},
    }
