"""Anthropic's messages API: what is sent, what is read, and what is refused, by a server with its rules on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.models.test_huggingface import requests
from tests.support.fault_server import Act, FaultServer, Handler, serving
from tests.support.tools import ORDER, tool_set
from tunegate.harness.cases.conversation import read_turns
from tunegate.harness.cases.model import Decoding
from tunegate.harness.checks.base import Constraint
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Completion, Request, Unconstrainable
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.served import http_client
from tunegate.harness.models.served.anthropic import AnthropicServer

NAME, VERSION, KEY = "claude-haiku-4-5", "claude-haiku-4-5-20251001", "sk-ant-of-these-tests"
BODY = {"model", "max_tokens", "temperature", "messages", "system", "output_config", "top_p"}
ROOM = Decoding(max_new_tokens=256)
TOOLS = tool_set([{"name": "cancel", "description": "Cancel an order.", "parameters": ORDER}]).tools
STEP = [
    {"user": "Cancel orders 7 and 8"},
    {"assistant": {"content": "At once.", "tool_calls": [
        {"id": "a", "name": "cancel", "arguments": {"order": 7}},
        {"id": "b", "name": "cancel", "arguments": {"order": 8}},
    ]}},
    {"tool": {"tool_call_id": "a", "content": "done"}},
    {"tool": {"tool_call_id": "b", "content": "no such order"}},
]  # fmt: skip
SCHEMA = {"type": "object", "properties": {"team": {"enum": ["billing"]}}, "required": ["team"]}


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(http_client, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(http_client, "LONGEST_PAUSE", 0.1)


def text(said: str) -> dict[str, str]:
    return {"type": "text", "text": said}


def says(*blocks: dict[str, Any], stop_reason: str = "end_turn", **more: Any) -> Act:
    usage = {"input_tokens": 9, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 2, "output_tokens": 5}
    whole = {"id": "msg_1", "type": "message", "role": "assistant", "model": VERSION, "content": list(blocks)}
    return lambda handler, _: handler.send(json.dumps({**whole, "stop_reason": stop_reason, "usage": usage} | more))


def fails(status: int, kind: str, message: str) -> Act:
    return lambda handler, _: handler.send(
        json.dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}), status
    )


def refusals(body: dict[str, Any]) -> Iterator[str]:
    """What the API says to a body that it does not accept."""
    for name in sorted(body.keys() - BODY):
        yield f"{name}: Extra inputs are not permitted"
    if {"temperature", "top_p"} <= body.keys():
        yield "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
    for each in body["messages"]:
        if each["role"] == "system":
            yield 'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter'


def strict(handler: Handler, body: dict[str, Any]) -> None:
    """Answer with the system prompt and the last message, by the API's own rules."""
    headers = handler.headers
    if (headers.get("x-api-key"), headers.get("anthropic-version")) != (KEY, "2023-06-01") or headers["Authorization"]:
        return fails(401, "authentication_error", "invalid x-api-key")(handler, body)
    if handler.path != "/v1/messages":
        return fails(404, "not_found_error", "Not Found")(handler, body)
    if found := next(refusals(body), ""):
        return fails(400, "invalid_request_error", found)(handler, body)
    if schema := body.get("output_config", {}).get("format", {}).get("schema"):
        [(name, rule)] = schema["properties"].items()
        return says(text(json.dumps({name: rule["enum"][0]})))(handler, body)
    return says(text(f"{body.get('system')}: "), text(body["messages"][-1]["content"]))(handler, body)


def model(server: FaultServer, monkeypatch, **options: Any) -> AnthropicServer:
    monkeypatch.setenv("TUNEGATE_API_KEY", KEY)
    monkeypatch.setenv("TUNEGATE_API_HOST", server.address.removeprefix("http://"))
    return AnthropicServer(
        f"anthropic:{server.address}/v1#{NAME}", quiet(), ModelOptions(**{"deadline": 5} | options)
    )  # fmt: skip


def given(opened: AnthropicServer, asked: list[Request]) -> dict[str, Completion]:
    return {each.key: each for each in opened.complete(asked)}


def one(then: Act, monkeypatch, **options: Any) -> Completion:
    """The completion of one request, after a probe that ends well."""
    with serving(then, says(text("Hi"))) as server:
        [found] = given(model(server, monkeypatch, **options), requests(ROOM, ["Where is it?"])).values()
    return found


def test_messages_are_sent_in_its_form_and_texts_are_read(monkeypatch):
    turns = (
        ("system", "Be brief."), ("user", "Hello."), ("assistant", "Yes?"), ("user", "Where is it?")
    )  # fmt: skip
    with serving(strict) as server:
        opened = model(server, monkeypatch)
        [found] = given(opened, [Request("desk/triage/0", turns, ROOM)]).values()
        who = opened.fingerprint

    assert (found.output, found.finish) == ("Be brief.: Where is it?", "stop")
    assert (found.tokens_in, found.tokens_out) == (11, 5)
    assert server.asked[-1].body == {
        "model": NAME, "max_tokens": 256, "temperature": 0.0, "system": "Be brief.",
        "messages": [
            {"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Yes?"},
            {"role": "user", "content": "Where is it?"},
        ],
    }  # fmt: skip
    assert who.engine == {
        "backend": "anthropic", "prompt": "chat messages",
        "sampling": "standard fields but presence_penalty, frequency_penalty, seed, stop, n, stream, top_p",
    }  # fmt: skip
    assert who.names["served"] == VERSION
    assert who.names["model"] == f"anthropic:{server.address}/v1#{NAME}"


def test_the_version_is_sent_without_a_key():
    with serving(says(text("Hi"))) as server:
        opened = AnthropicServer(f"anthropic:{server.address}/v1#{NAME}", quiet(), ModelOptions(deadline=5))
        given(opened, requests(ROOM, ["Hello"]))

    assert {each.headers["anthropic-version"] for each in server.asked} == {"2023-06-01"}
    assert not any("x-api-key" in each.headers or "Authorization" in each.headers for each in server.asked)


def test_thinking_is_kept_apart(monkeypatch):
    thought = {"type": "thinking", "thinking": "It asks for a place.", "signature": "EqQB"}
    found = one(says(thought, text("In the hall.")), monkeypatch)
    assert (found.output, found.reasoning) == ("In the hall.", "It asks for a place.")


@pytest.mark.parametrize(
    ("reason", "output", "finish"),
    [
        ("max_tokens", "In the", "length"),
        ("model_context_window_exceeded", "In the", "length"),
        ("stop_sequence", "In the", "stop"),
        ("refusal", None, None),
        ("pause_turn", None, None),
    ],
)
def test_how_an_output_ended(reason, output, finish, monkeypatch):
    found = one(says(text("In the"), stop_reason=reason), monkeypatch)
    assert (found.output, found.finish) == (output, finish)


def test_an_output_that_was_cut_inside_the_thinking_is_empty(monkeypatch):
    thought = {"type": "thinking", "thinking": "It asks"}
    found = one(says(thought, stop_reason="max_tokens"), monkeypatch)
    assert (found.output, found.finish, found.reasoning) == ("", "length", "It asks")


def test_outputs_are_constrained_to_a_schema_and_the_effort_stays_beside_it(monkeypatch):
    asked = Request("desk/triage/0", (("user", "Where?"),), ROOM, constraint=Constraint(json.dumps(SCHEMA)))
    with serving(strict) as server:
        opened = model(server, monkeypatch, reasoning_effort="low")
        opened._rung = "constrained"
        [found] = given(opened, [asked]).values()
        way = opened.fingerprint.engine["constraint"]

    assert (found.output, way) == ('{"team": "billing"}', "output_config")
    assert server.asked[-1].body["output_config"] == {
        "effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}
    }  # fmt: skip


def test_a_server_that_ignores_the_schema_is_refused(monkeypatch):
    asked = Request("desk/triage/0", (("user", "Where?"),), ROOM, constraint=Constraint(json.dumps(SCHEMA)))
    with serving(says(text("Hi"))) as server, pytest.raises(Unconstrainable, match="output_config: ignored"):
        given(model(server, monkeypatch), [asked])


@pytest.mark.parametrize(
    "body",
    [
        {"content": [{"type": "text"}]},
        {"content": "In the hall."},
        {"stop_reason": None},
        {"model": 4},
        {"role": "user"},
    ],
)
def test_an_invalid_response_is_asked_for_again_and_then_told(body, monkeypatch):
    with pytest.raises(CouldNotRun, match="an invalid response"):
        one(says(text("In the hall."), **body), monkeypatch)


def test_an_account_without_credit_is_told_at_once(monkeypatch):
    message = "Your credit balance is too low to access the Anthropic API."
    with serving(fails(400, "invalid_request_error", message)) as server:
        opened = model(server, monkeypatch)
        with pytest.raises(CouldNotRun, match="the account has no quota left"):
            opened.fingerprint  # noqa: B018

    assert len(server.asked) <= 2


def test_an_overloaded_server_is_asked_again(monkeypatch):
    busy = fails(529, "overloaded_error", "Overloaded")
    with serving(strict, busy, busy) as server:
        [found] = given(model(server, monkeypatch), requests(ROOM, ["Where is it?"])).values()
    assert found.output is not None


def test_another_model_is_refused(monkeypatch):
    with pytest.raises(Refused, match=r"expected outputs of claude-haiku-4-5-20251001, found outputs of claude-opus-5"):
        one(says(text("Hi"), model="claude-opus-5"), monkeypatch)


def called(written: Any, then: Act, monkeypatch) -> tuple[FaultServer, Completion]:
    request = Request("desk/calls/a", tuple(read_turns(written)), ROOM, tools=TOOLS)
    with serving(then, says(text("Hi"))) as server:
        [found] = given(model(server, monkeypatch), [request]).values()
    return server, found


def test_tools_calls_and_results_are_sent_as_blocks(monkeypatch):
    server, found = called(STEP, says(text("Order 7 is cancelled.")), monkeypatch)

    body = server.asked[-1].body
    assert body["tools"] == [{"name": "cancel", "description": "Cancel an order.", "input_schema": ORDER}]
    assert body["tool_choice"] == {"type": "auto"}
    assert body["messages"] == [
        {"role": "user", "content": "Cancel orders 7 and 8"},
        {"role": "assistant", "content": [
            {"type": "text", "text": "At once."},
            {"type": "tool_use", "id": "a", "name": "cancel", "input": {"order": 7}},
            {"type": "tool_use", "id": "b", "name": "cancel", "input": {"order": 8}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": "done"},
            {"type": "tool_result", "tool_use_id": "b", "content": "no such order"},
        ]},
    ]  # fmt: skip
    assert found.output == '{"content": "Order 7 is cancelled.", "tool_calls": []}'
    assert "tools" not in server.asked[0].body


@pytest.mark.parametrize(("reason", "finish"), [("tool_use", "stop"), ("max_tokens", "length")])
def test_calls_are_read(reason, finish, monkeypatch):
    use = {"type": "tool_use", "id": "toolu_1", "name": "cancel", "input": {"order": 7}}
    _, found = called("Cancel order 7", says(use, stop_reason=reason), monkeypatch)

    assert found.output == '{"content": "", "tool_calls": [{"name": "cancel", "arguments": {"order": 7}}]}'
    assert found.finish == finish


def test_a_call_without_a_name_is_an_invalid_response(monkeypatch):
    with pytest.raises(CouldNotRun, match="an invalid response"):
        called("Cancel order 7", says({"type": "tool_use", "input": {}}, stop_reason="tool_use"), monkeypatch)


def test_an_earlier_call_that_is_no_object_is_refused(monkeypatch):
    cut = [STEP[0], {"assistant": {"tool_calls": [{"id": "a", "name": "cancel", "arguments": '{"order": '}]}},
           {"tool": {"tool_call_id": "a", "content": "done"}}]  # fmt: skip
    with pytest.raises(Refused, match=r"desk/calls/a: expected earlier calls with arguments in a JSON object"):
        called(cut, says(text("Hi")), monkeypatch)
