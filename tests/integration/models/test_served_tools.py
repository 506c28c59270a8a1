"""Tools behind a server: what it is sent, and how each form of its answer becomes one canonical message."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.fault_server import MODEL, Act, FaultServer, answers, says, serving
from tests.support.tools import ORDER, call, tool_set
from tunegate.harness.cases.conversation import read_turns
from tunegate.harness.cases.model import Decoding
from tunegate.harness.checks.outputs.message import read_output
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Completion, Request
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.served import http_client
from tunegate.harness.models.served.server import Server

TOOLS = tool_set([{"name": "cancel", "parameters": ORDER}]).tools
CANCEL = '{"content": "", "tool_calls": [{"name": "cancel", "arguments": {"order": 7}}]}'
STEP = [
    {"user": "Cancel order 7"},
    {"assistant": {"tool_calls": [{"name": "cancel", "arguments": {"order": 7}}]}},
    {"tool": "done"},
]


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(http_client, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(http_client, "LONGEST_PAUSE", 0.1)


def ended(finish: str | None, **message: Any) -> Act:
    return answers(choices=[{"index": 0, "finish_reason": finish, "message": {"role": "assistant"} | message}])


def streamed(*deltas: dict[str, Any], finish: str | None = "tool_calls", end: str = "data: [DONE]\n\n") -> Act:
    """Answer in pieces, though nobody asked for them."""
    chunks = [{"model": MODEL, "choices": [{"index": 0, "delta": each, "finish_reason": None}]} for each in deltas]
    chunks.append({"model": MODEL, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    chunks.append({"model": MODEL, "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}})
    text = ": keep-alive\n\n" + "".join(f"data: {json.dumps(each)}\n\n" for each in chunks) + end
    return says(text, Content_Type="text/event-stream")


def piece(arguments: str, index: int = 0, **more: Any) -> dict[str, Any]:
    name = {"name": more.pop("name")} if "name" in more else {}
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments, **name}, **more}]}


def asked(server: FaultServer, written: Any = "Cancel order 7", tools: Any = TOOLS) -> Completion:
    model = Server(server.model, quiet(), ModelOptions(deadline=5))
    request = Request("desk/calls/a", tuple(read_turns(written)), Decoding(max_new_tokens=64), tools=tools)
    [found] = model.complete([request])
    return found


def test_tools_and_the_calls_of_a_step_are_sent_in_openais_form():
    with serving(ended("stop", content="Done.")) as server:
        found = asked(server, STEP)

    body = server.asked[-1].body
    assert body["tools"] == [
        {"type": "function", "function": {"name": "cancel", "description": "", "parameters": ORDER}}
    ]
    assert body["tool_choice"] == "auto"
    assert [each["role"] for each in body["messages"]] == ["user", "assistant", "tool"]
    [sent] = body["messages"][1]["tool_calls"]
    assert (sent["id"], sent["function"]["arguments"]) == (body["messages"][2]["tool_call_id"], '{"order": 7}')
    assert found.output == '{"content": "Done.", "tool_calls": []}'
    assert "tools" not in server.asked[0].body


ANSWERS = {
    "text": ended("tool_calls", content=None, tool_calls=[call("cancel", '{"order": 7}')]),
    "object": ended("tool_calls", tool_calls=[call("cancel", {"order": 7})]),
    "ended by itself": ended("stop", content="", tool_calls=[call("cancel", '{"order": 7}')]),
    "another end": ended("tool_use", tool_calls=[call("cancel", '{"order": 7}')]),
    "no end": ended(None, tool_calls=[call("cancel", '{"order": 7}')]),
    "legacy": ended("function_call", content=None, function_call={"name": "cancel", "arguments": '{"order": 7}'}),
    "pieces": streamed(
        {"role": "assistant", "content": None}, piece("", name="cancel", id="c1", type="function"),
        piece('{"ord'), piece('er": 7}'),
    ),
    "legacy pieces": streamed(
        {"function_call": {"name": "cancel", "arguments": ""}}, {"function_call": {"arguments": '{"order"'}},
        {"function_call": {"arguments": ": 7}"}}, finish="function_call",
    ),
}  # fmt: skip


@pytest.mark.parametrize("act", ANSWERS.values(), ids=ANSWERS.keys())
def test_each_form_of_a_call_is_the_same_message(act):
    with serving(act, answers()) as server:
        assert asked(server).output == CANCEL


def test_pieces_of_several_calls_and_of_a_text_are_put_together():
    act = streamed(
        {"content": "One "}, {"content": "moment."}, piece('{"order": 1}', name="cancel"),
        piece('{"ord', 1, name="cancel"), piece('er": 2}', 1),
    )  # fmt: skip
    with serving(act, answers()) as server:
        found = asked(server)
    message = read_output(found.output or "")
    assert message.content == "One moment."
    assert [each.arguments for each in message.calls] == [{"order": 1}, {"order": 2}]
    assert (found.tokens_in, found.tokens_out, found.finish) == (7, 5, "stop")


def test_a_call_that_was_cut_is_kept_as_it_is():
    with serving(ended("length", content=None, tool_calls=[call("cancel", '{"ord')]), answers()) as server:
        found = asked(server)
    assert found.finish == "length"
    [flaw] = read_output(found.output or "").flaws
    assert flaw.rule == "call.cut"


@pytest.mark.parametrize(
    ("finish", "message", "output"),
    [
        ("stop", {"content": None}, None),
        ("length", {}, '{"content": "", "tool_calls": []}'),
        ("malformed_function_call", {}, '{"content": "", "tool_calls": []}'),
        ("stop", {"content": "<think>I see.</think>No."}, '{"content": "No.", "tool_calls": []}'),
        ("stop", {"content": None, "refusal": "I cannot."}, '{"content": "I cannot.", "tool_calls": []}'),
        ("content_filter", {"content": "x"}, None),
        (
            "tool_calls", {"tool_calls": "cancel"},
            '{"content": "", "tool_calls": [{"name": "", "arguments_text": "\\"cancel\\""}]}',
        ),
    ],
)  # fmt: skip
def test_what_calls_nothing_is_a_message_too(finish, message, output):
    with serving(ended(finish, **message), answers()) as server:
        assert asked(server).output == output


def test_pieces_without_an_end_are_asked_again():
    broken = streamed({"content": "Hel"}, finish=None, end="")
    with serving(ended("stop", content="Hello"), answers(), broken) as server:
        assert asked(server).output == '{"content": "Hello", "tool_calls": []}'
    assert len(server.asked) == 3


def test_an_error_in_pieces_is_told():
    error = says('data: {"error": {"message": "no such model", "code": 404}}\n\ndata: [DONE]\n\n')
    with serving(error, answers()) as server, pytest.raises(CouldNotRun, match="no such model"):
        asked(server)


def test_a_server_that_takes_no_tools_is_refused_with_its_words():
    said = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
    refusal = says(json.dumps({"error": {"message": said}}), 400)
    with serving(refusal, answers()) as server, pytest.raises(Refused, match=r"a server that takes tools.*--tool-call"):
        asked(server)


def test_a_server_that_gets_token_ids_is_offered_none(tiny_model):
    options = ModelOptions(deadline=5, tokenizer=str(tiny_model))
    assert Server("openai:http://127.0.0.1:9/v1#x", quiet(), options).can == {"generate", "loglik"}
