"""What a server shows of itself: the prompts that it makes of chat messages, and the LoRA adapters that it applies.

llama.cpp and vLLM show prompts, each in its own way; llama.cpp shows adapters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.reading import schema_mistakes
from tunegate.harness.models.api import Messages
from tunegate.harness.models.backends import split_server
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.served.http_client import HttpClient, Rejected

Show = Callable[[HttpClient, str, list[dict[str, str]]], Awaitable[list[int]]]
LAST = 1 << 31  # beyond any token id
API = "/v1"  # the endpoints below are next to it
TEMPLATE, TOKENIZE, LORAS = "apply-template", "tokenize", "lora-adapters"
SHOWN_LORAS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["path", "scale"],
        "properties": {"path": {"type": "string"}, "scale": {"type": "number"}},
    },
}
#: Statuses of a server that has no such endpoint, or refuses the request there.
NOT_THERE = (400, 404, 405, 422, 501)


def served_prompts(name: str, asked: Sequence[Messages], options: ModelOptions) -> list[list[int]] | None:
    """The token ids that a server reads for each list of messages, with those it adds; None if it does not show them.

    Raises CouldNotRun if it does not respond in time, or not with token ids.
    """
    url, model = split_server(name)
    if not url.endswith(API) or not asked:
        return None
    return asyncio.run(_all(url.removesuffix(API), model, asked, options))


def served_loras(name: str, options: ModelOptions) -> dict[str, float]:
    """The scale of each LoRA adapter that a llama.cpp server applies, by its path; empty for other servers."""
    url, _ = split_server(name)
    return asyncio.run(_loras(url.removesuffix(API), options)) if url.endswith(API) else {}


async def _loras(root: str, options: ModelOptions) -> dict[str, float]:
    client = HttpClient(root, options)
    try:
        found = await client.get(LORAS)
    finally:
        await client.close()
    if schema_mistakes(found, SHOWN_LORAS):
        return {}
    return {str(each["path"]): float(each["scale"]) for each in found}


async def _all(root: str, model: str, asked: Sequence[Messages], options: ModelOptions) -> list[list[int]] | None:
    client, room = HttpClient(root, options), asyncio.Semaphore(options.in_flight)

    async def one(show: Show, messages: Messages) -> list[int]:
        async with room:
            return await show(client, model, [{"role": role, "content": text} for role, text in messages])

    try:
        for show in (_by_llama_cpp, _by_vllm):
            try:
                return [await one(show, asked[0]), *await asyncio.gather(*(one(show, each) for each in asked[1:]))]
            except Rejected as error:
                if error.status not in NOT_THERE:
                    raise
        return None
    finally:
        await client.close()


async def _by_llama_cpp(client: HttpClient, _: str, messages: list[dict[str, str]]) -> list[int]:
    written = await client.post(TEMPLATE, {"messages": messages}, "the prompt")
    # as its chat endpoint reads a prompt: special tokens are parsed, and the first token is added if the file says so
    body = {"content": written.get("prompt"), "add_special": True, "parse_special": True}
    return _ids(client, await client.post(TOKENIZE, body, "the prompt"))


async def _by_vllm(client: HttpClient, model: str, messages: list[dict[str, str]]) -> list[int]:
    return _ids(client, await client.post(TOKENIZE, {"model": model, "messages": messages}, "the prompt"))


def _ids(client: HttpClient, output: Mapping[str, Any]) -> list[int]:
    found = output.get("tokens")
    if not isinstance(found, list) or not found or not all(type(each) is int and 0 <= each < LAST for each in found):
        raise CouldNotRun(
            f"{client.url}/{TOKENIZE}: expected the token ids of a prompt, found {shown(str(found)[:80])}"
        )
    return found
