"""A server that replays recorded messages with tools: what it does to their calls is named, what it may do is not."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.fault_server import MODEL, Act, Handler, says, serving
from tests.support.tools import TOOLS
from tests.unit.release.parity.test_outputs import words
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Unit
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.evaluation.record import Record, Result
from tunegate.harness.models.evaluation.scoring import evaluate
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.served.server import Server
from tunegate.harness.release.parity.outputs import OutputParity, output_parity
from tunegate.harness.release.parity.parity import _are_same

Raw = dict[str, Any]


def made(name: str, **arguments: Any) -> Raw:
    return {"name": name, "arguments": arguments}


def recorded() -> list[Raw]:
    """Twelve messages: one call, several, a text beside one, and a text alone."""
    one = [{"content": None, "calls": [made("cancel_order", order=n + 1)]} for n in range(4)]
    rooms = [{"floor": 2, "door": "7"}]
    ticket = made("create_ticket", title="Light", priority="high", rooms=rooms)
    several = [{"content": None, "calls": [ticket, made("cancel_order", order=n + 1)]} for n in range(3)]
    spoken = [{"content": "I do it.", "calls": [made("cancel_order", order=n + 1)]} for n in range(3)]
    return [*one, *several, *spoken, *({"content": f"Hello {n}", "calls": []} for n in range(2))]


@pytest.fixture
def units(tmp_path: Path) -> list[Unit]:
    cases = [
        {"id": f"c{n:02}", "input": f"message {n}", "expect": {"calls": each["calls"] or "none"}}
        for n, each in enumerate(recorded())
    ]
    raw = {
        "version": 1,
        "suite": "tools",
        "unit": "calls",
        "tools": TOOLS,
        "check": {"order": "strict"},
        "cases": cases,
    }
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk/calls.yaml").write_text(json.dumps(raw))
    [task] = load_tasks(tmp_path)
    return list(task.units)


def body_of(raw: Raw) -> Raw:
    """A message in OpenAI's form."""
    calls = [
        {"id": f"call_{n}", "type": "function",
         "function": {"name": each["name"], "arguments": each.get("text") or json.dumps(each["arguments"])}}
        for n, each in enumerate(raw["calls"])
    ]  # fmt: skip
    return {"role": "assistant", "content": raw["content"]} | ({"tool_calls": calls} if calls else {})


def whole(message: Raw) -> Act:
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    choice = {"index": 0, "finish_reason": finish, "message": message}
    usage = {"prompt_tokens": 7, "completion_tokens": 5}
    return says(json.dumps({"model": MODEL, "choices": [choice], "usage": usage}), Content_Type="application/json")


def in_pieces(message: Raw, lost: int | None = None) -> Act:
    """The message as a stream, in pieces of five characters; without the pieces of call number `lost`."""
    deltas: list[Raw] = [{"role": "assistant", "content": message["content"] or ""}]
    for n, each in enumerate(message.get("tool_calls", [])):
        if n == lost:
            continue
        text = each["function"]["arguments"]
        begin = {"name": each["function"]["name"], "arguments": ""}
        deltas.append({"tool_calls": [{"index": n, "id": each["id"], "type": "function", "function": begin}]})
        deltas += [
            {"tool_calls": [{"index": n, "function": {"arguments": text[at : at + 5]}}]}
            for at in range(0, len(text), 5)
        ]
    chunks = [{"model": MODEL, "choices": [{"index": 0, "delta": each, "finish_reason": None}]} for each in deltas]
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    chunks.append({"model": MODEL, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    chunks.append({"model": MODEL, "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}})
    lines = "".join(f"data: {json.dumps(each)}\n\n" for each in chunks)
    return says(f"{lines}data: [DONE]\n\n", Content_Type="text/event-stream")


def replaying(change: Callable[[Raw], Raw] = lambda raw: raw, sent: Callable[[Raw], Act] = whole) -> Act:
    """Answer each case's message; any other request with a text."""
    answers = {f"message {n}": body_of(change(copy.deepcopy(each))) for n, each in enumerate(recorded())}

    def act(handler: Handler, asked: Raw) -> None:
        text = asked["messages"][-1]["content"]
        sent(answers.get(text, {"role": "assistant", "content": "ok"}))(handler, asked)

    return act


def record_of(units: list[Unit], act: Act) -> Record:
    with serving(act) as server:
        return evaluate(units, Server(server.model, quiet(), ModelOptions(deadline=20)), quiet())


def compared(units: list[Unit], act: Act) -> OutputParity:
    return output_parity(words, units, record_of(units, replaying()), record_of(units, act), {})


def each_value(change: Callable[[Any], Any]) -> Callable[[Raw], Raw]:
    def changed(raw: Raw) -> Raw:
        for each in raw["calls"]:
            each["arguments"] = {key: change(value) for key, value in each["arguments"].items()}
        return raw

    return changed


def as_text(value: Any) -> Any:
    return value if isinstance(value, str) else json.dumps(value)


def unparsed(raw: Raw) -> Raw:
    blocks = "".join(f"<tool_call>\n{json.dumps(each)}\n</tool_call>" for each in raw["calls"])
    return {"content": (raw["content"] or "") + blocks, "calls": []}


def cut(raw: Raw) -> Raw:
    return raw | {"calls": [each | {"text": json.dumps(each["arguments"])[:-1]} for each in raw["calls"]]}


def encoded_twice(raw: Raw) -> Raw:
    return raw | {"calls": [each | {"text": json.dumps(json.dumps(each["arguments"]))} for each in raw["calls"]]}


def first_only(raw: Raw) -> Raw:
    return raw | {"calls": raw["calls"][:1]}


def silent(raw: Raw) -> Raw:
    return raw | {"content": None} if raw["calls"] else raw


def backwards(raw: Raw) -> Raw:
    return raw | {"calls": raw["calls"][::-1]}


def empty_thoughts(raw: Raw) -> Raw:
    return raw | {"content": raw["content"] or "Let me see."}


DAMAGES = {
    "no parser": (replaying(unparsed), "calls-in-text"),
    "numbers and lists as texts": (replaying(each_value(as_text)), "arguments-retyped"),
    "cut arguments": (replaying(cut), "arguments-unreadable"),
    "arguments encoded twice": (replaying(encoded_twice), "arguments-unreadable"),
    "parallel calls off": (replaying(first_only), "parallel-calls-off"),
    "a stream that loses the first call": (replaying(sent=lambda each: in_pieces(each, 0)), "calls-dropped"),
    "no text beside calls": (replaying(silent), "content-dropped"),
    "a text beside calls": (replaying(empty_thoughts), "content-added"),
    "the last call first": (replaying(backwards), "calls-reordered"),
}


@pytest.mark.parametrize(("act", "rule"), DAMAGES.values(), ids=DAMAGES.keys())
def test_what_a_server_does_to_calls_is_named(units, act, rule):
    assert [each.rule for each in compared(units, act).findings] == [rule]


def other_keys_first(raw: Raw) -> Raw:
    return raw | {"calls": [each | {"arguments": dict(reversed(each["arguments"].items()))} for each in raw["calls"]]}


HEALTHY = {
    "the same": replaying(),
    "in pieces": replaying(sent=in_pieces),
    "arguments in another order": replaying(other_keys_first),
    "3.0 for 3": replaying(each_value(lambda value: float(value) if isinstance(value, int) else value)),
    "an empty text for none": replaying(lambda raw: raw | {"content": raw["content"] or ""}),
}


@pytest.mark.parametrize("act", HEALTHY.values(), ids=HEALTHY.keys())
def test_what_a_server_may_do_is_the_same(units, act):
    found = compared(units, act)
    assert (found.findings, found.same, found.of) == ((), 12, 12)


def message(*orders: int, content: str = "") -> str:
    calls = [{"name": "cancel_order", "arguments": {"order": each}} for each in orders]
    return json.dumps({"content": content, "tool_calls": calls})


@pytest.mark.parametrize(("order", "same"), [("any", True), ("strict", False)])
def test_one_message_in_another_order_is_the_same_where_calls_have_none(tmp_path, order, same):
    raw = {"version": 1, "suite": "tools", "unit": "calls", "tools": TOOLS, "check": {"order": order},
           "cases": [{"id": "a", "input": "x"}]}  # fmt: skip
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk/calls.yaml").write_text(json.dumps(raw))
    [task] = load_tasks(tmp_path)
    one, other = ({"a": Result(False, 0.0, output=message(*each))} for each in ((1, 2), (2, 1)))
    assert _are_same(task.units[0], one, other) == same
    assert _are_same(task.units[0], one, one)
