"""Hosted models on loopback: what each refuses of a request, in its vendor's words, and how it counts tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from tests.support.fault_server import Handler

Body = dict[str, Any]
Refusal = tuple[int, Any]  # a status and what stands in the body
READ, WRITTEN, THOUGHT = 7, 5, 64  # tokens of each prompt, of each answer, and of the reasoning before it
LEAST = 100  # tokens, below which a reasoning leaves no room for an answer
KEY = "sk-of-these-tests"
OURS = ("top_k", "min_p", "repetition_penalty", "repeat_penalty")  # not every server knows them
EFFORTS = ("minimal", "low", "medium", "high")
UNFINISHED = (
    "Could not finish the message because max_tokens or model output limit was reached. Please try again with higher "
    "max_tokens."
)


@dataclass(frozen=True)
class Hosted:
    """A model as its vendor serves it.

    Attributes:
        name: what it is asked for.
        refusals: what it says to a request that it does not take, the first of them first.
        answers_as: the name of the version that answers.
        usage: what it says of tokens.
        place: where it is, behind the host.
        query: what follows the path.
        lacks_content: whether a message has no content where a reasoning took all tokens.
    """

    name: str
    refusals: Callable[[Body], Iterator[Refusal]]
    answers_as: str
    usage: Mapping[str, Any]
    place: str = "/v1"
    query: str = ""
    lacks_content: bool = False

    def model(self, address: str) -> str:
        """As --tg-model takes it, at an address."""
        return f"openai:{address}{self.place}{self.query}#{self.name}"

    def act(self, handler: Handler, body: Body) -> None:
        """Answer one request, or refuse it."""
        if handler.path != f"{self.place}/chat/completions{self.query}":
            handler.send(json.dumps({"error": {"code": "404", "message": "Resource not found"}}), 404)
        elif not self._is_let_in(handler.headers):
            handler.send(json.dumps(_openai("Incorrect API key provided", code="invalid_api_key")), 401)
        elif refusal := next(self.refusals(body), None):
            handler.send(json.dumps(refusal[1]), refusal[0])
        else:
            handler.send(json.dumps(self._answer(body)))

    def _is_let_in(self, headers: Mapping[str, str]) -> bool:
        """Whether the key is there as the vendor wants it, and in no other header."""
        given = (headers.get("api-key"), headers.get("Authorization"))
        return given == ((KEY, None) if "api-version" in self.query else (None, f"Bearer {KEY}"))

    def _answer(self, body: Body) -> Body:
        message, finish = {"role": "assistant", "content": output_of(body["messages"][-1]["content"])}, "stop"
        if self.lacks_content and body["max_tokens"] < LEAST:
            message, finish = {"role": "assistant"}, "length"
        choice = {"index": 0, "finish_reason": finish, "message": message}
        return {"model": self.answers_as, "choices": [choice], "usage": self.usage}


def output_of(text: str) -> str:
    """The right answer to a text."""
    return json.dumps({"answer": sha256(text.encode()).hexdigest()[:12]})


def tokens(written: int, together: int, **more: Any) -> Body:
    """What a server says of tokens: those that it says were written, and all."""
    return {"prompt_tokens": READ, "completion_tokens": written, "total_tokens": together, **more}


def _openai(message: str, param: str | None = None, code: str | None = None) -> Body:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


def _reasoning(body: Body) -> Iterator[Refusal]:
    """As GPT-5."""
    for name in OURS:
        if name in body:
            yield 400, _openai(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
    if "max_tokens" in body:
        instead = "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        yield 400, _openai(f"Unsupported parameter: {instead}", "max_tokens", "unsupported_parameter")
    for name in ("top_p", "presence_penalty", "frequency_penalty"):
        if name in body:
            refused = f"Unsupported parameter: '{name}' is not supported with this model."
            yield 400, _openai(refused, name, "unsupported_parameter")
    if body.get("temperature", 1) != 1:
        only = f"does not support {body['temperature']} with this model. Only the default (1) value is supported."
        yield 400, _openai(f"Unsupported value: 'temperature' {only}", "temperature", "unsupported_value")
    if (effort := body.get("reasoning_effort", "low")) not in EFFORTS:
        only = f"does not support '{effort}' with this model. Supported values are: {', '.join(EFFORTS)}."
        yield 400, _openai(f"Unsupported value: 'reasoning_effort' {only}", "reasoning_effort", "unsupported_value")


def _o_series(body: Body) -> Iterator[Refusal]:
    yield from _reasoning(body)
    if body["max_completion_tokens"] < LEAST:
        yield 400, _openai(UNFINISHED)


def _azure(body: Body) -> Iterator[Refusal]:
    for name in _among(OURS, body):
        yield 400, _openai(f"Unrecognized request argument supplied: {name}")


def _grok(body: Body) -> Iterator[Refusal]:
    for name, called in (("presence_penalty", "presencePenalty"), ("frequency_penalty", "frequencyPenalty")):
        if name in body:
            refused = f"Argument not supported on this model: {called}"
            yield 400, {"code": "Client specified an invalid argument", "error": refused}


def _mistral(body: Body) -> Iterator[Refusal]:
    if further := _among((*OURS, "seed"), body):
        each = {"type": "extra_forbidden", "msg": "Extra inputs are not permitted"}
        detail = [{**each, "loc": ["body", name], "input": body[name]} for name in further]
        refused = {"object": "error", "message": {"detail": detail}, "type": "invalid_request_error"}
        yield 422, {**refused, "param": None, "code": None}


def _gemini(body: Body) -> Iterator[Refusal]:
    if further := _among((*OURS, "seed", "frequency_penalty", "presence_penalty"), body):
        lines = [f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.' for name in further]
        violations = [{"description": line} for line in lines]
        details = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}]
        error = {"code": 400, "message": "\n".join(lines), "status": "INVALID_ARGUMENT", "details": details}
        yield 400, [{"error": error}]


def _gateway(body: Body) -> Iterator[Refusal]:
    if body.keys() - {"model", "messages", "max_tokens", "temperature", "top_p"}:
        yield 400, {"error": "bad request"}


def _claude(body: Body) -> Iterator[Refusal]:
    if {"temperature", "top_p"} <= body.keys():
        both = "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
        inner = json.dumps({"type": "error", "error": {"type": "invalid_request_error", "message": both}})
        yield 400, {"error": {
            "message": f"litellm.BadRequestError: AnthropicException - {inner}. Received Model Group=claude-sonnet-4-5",
            "type": None, "param": None, "code": "400",
        }}  # fmt: skip


def _none(_: Body) -> Iterator[Refusal]:
    yield from ()


def _among(names: Collection[str], body: Body) -> list[str]:
    return [name for name in names if name in body]


_PLAIN = tokens(WRITTEN, READ + WRITTEN)
_WITHIN = tokens(
    WRITTEN + THOUGHT, READ + WRITTEN + THOUGHT, completion_tokens_details={"reasoning_tokens": THOUGHT}
)  # fmt: skip
_BESIDE = tokens(WRITTEN, READ + WRITTEN + THOUGHT)
HOSTED = {
    "GPT-5": Hosted("gpt-5", _reasoning, "gpt-5-2025-08-07", _WITHIN),
    "o-series": Hosted("o4-mini", _o_series, "o4-mini-2025-04-16", _WITHIN),
    "Azure, classic": Hosted(
        "desk", _azure, "gpt-4o-2024-11-20", _PLAIN, "/openai/deployments/desk", "?api-version=2024-10-21"
    ),
    "Grok": Hosted("grok-4", _grok, "grok-4-0709", _BESIDE),
    "Mistral": Hosted("mistral-large-latest", _mistral, "mistral-large-2512", _PLAIN),
    "Gemini": Hosted("gemini-2.5-pro", _gemini, "gemini-2.5-pro", _BESIDE, "/v1beta/openai", lacks_content=True),
    "vLLM": Hosted("tuned", _none, "tuned", _PLAIN),
    "llama.cpp": Hosted("tuned", _none, "tuned", _PLAIN),
    "a gateway": Hosted("large", _gateway, "large", _PLAIN),
    "Claude by a proxy": Hosted("claude-sonnet-4-5", _claude, "claude-sonnet-4-5-20250929", _PLAIN),
}
#: For each: the probes that it takes, what a record says of the fields, and the tokens that count as written.
EXPECTED = {
    "GPT-5": (
        10, "standard fields but presence_penalty, frequency_penalty, top_p, temperature; max_completion_tokens",
        WRITTEN + THOUGHT,
    ),
    "o-series": (
        11, "standard fields but presence_penalty, frequency_penalty, top_p, temperature; max_completion_tokens",
        WRITTEN + THOUGHT,
    ),
    "Azure, classic": (5, "standard fields", WRITTEN),
    "Grok": (3, "every field but presence_penalty, frequency_penalty", WRITTEN + THOUGHT),
    "Mistral": (6, "standard fields but seed", WRITTEN),
    "Gemini": (8, "standard fields but presence_penalty, frequency_penalty, seed", WRITTEN + THOUGHT),
    "vLLM": (1, "every field", WRITTEN),
    "llama.cpp": (1, "every field", WRITTEN),
    "a gateway": (3, "standard fields but presence_penalty, frequency_penalty, seed, stop, n, stream", WRITTEN),
    "Claude by a proxy": (2, "every field but top_p", WRITTEN),
}  # fmt: skip
