from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.checks.outputs.message import DOUBLE, Message, ToolCall, content_of, read_message, read_output

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(st.text(), VALUES, max_size=4)


def as_openai(name, arguments, **more):
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}, **more}


MESSAGES = st.builds(
    lambda content, calls: {"role": "assistant", "content": content, "tool_calls": calls},
    st.none() | st.text(),
    st.lists(
        st.builds(lambda name, given: as_openai(name, json.dumps(given)), st.text(min_size=1), ARGUMENTS)
        | st.builds(as_openai, st.text(min_size=1), ARGUMENTS | st.text()),
        max_size=3,
    ),
)


@given(MESSAGES)
def test_what_is_written_is_read_back(raw):
    message = read_message(raw)
    text = message.write()
    assert read_output(text).write() == text
    assert read_message(json.loads(text)).write() == text
    assert list(json.loads(text)) == ["content", "tool_calls"]


@given(st.lists(ARGUMENTS, max_size=3), st.randoms(use_true_random=False))
def test_the_order_of_arguments_and_of_calls_does_not_count(given_arguments, order):
    def message(shuffled):
        calls = []
        for number, each in enumerate(given_arguments):
            items = list(each.items())
            if shuffled:
                order.shuffle(items)
            calls.append({"name": f"tool{number % 2}", "arguments": dict(items)})
        if shuffled:
            order.shuffle(calls)
        return read_message({"content": "", "tool_calls": calls})

    assert message(False).key() == message(True).key()


def test_strict_order_counts():
    one, other = ({"name": name, "arguments": {}} for name in "ab")
    there, back = (read_message({"tool_calls": calls}) for calls in ([one, other], [other, one]))
    assert there.key() == back.key()
    assert there.key(in_order=True) != back.key(in_order=True)


FORMS = {
    "arguments as text": {"tool_calls": [as_openai("a", '{"x": 1, "b": null}')]},
    "arguments as an object": {"tool_calls": [as_openai("a", {"x": 1, "b": None})]},
    "flat": {"tool_calls": [{"type": "function_call", "call_id": "c", "name": "a", "arguments": '{"x":1,"b":null}'}]},
    "legacy": {"content": None, "function_call": {"name": "a", "arguments": '{"x": 1, "b": null}'}},
    "both": {"tool_calls": [as_openai("a", {"x": 1, "b": None})], "function_call": {"name": "a", "arguments": "{}"}},
    "canonical": {"content": "", "tool_calls": [{"name": "a", "arguments": {"x": 1, "b": None}}]},
}


@pytest.mark.parametrize("raw", FORMS.values(), ids=FORMS.keys())
def test_each_form_of_openai_is_one_canonical_message(raw):
    assert read_message(raw).write() == (
        '{"content": "", "tool_calls": [{"name": "a", "arguments": {"x": 1, "b": null}}]}'
    )


@pytest.mark.parametrize(("arguments", "rule"), [
    ('{"x": 1', "call.cut"),
    ("", "call.arguments"),
    ("{'x': 1}", "call.arguments"),
    ('{"x": 1, "x": 2}', "call.arguments"),
    ('{"x": NaN}', "call.arguments"),
    ('{"x": 1e999}', "call.arguments"),
    ("[1]", "call.arguments"),
    ("null", "call.arguments"),
    (json.dumps(json.dumps({"x": 1})), DOUBLE),
    ("[" * 100_000, "call.arguments"),
    ('{"x":' * 65 + "1" + "}" * 65, "call.arguments"),
])  # fmt: skip
def test_arguments_that_are_no_object_stay_as_text_and_the_other_calls_are_kept(arguments, rule):
    message = read_message({"tool_calls": [as_openai("a", arguments), as_openai("b", "{}")]})
    assert [call.name for call in message.calls] == ["a", "b"]
    assert json.loads(message.write())["tool_calls"][0] == {"name": "a", "arguments_text": arguments}
    assert [each.rule for each in message.flaws] == [rule]
    assert read_output(message.write()).flaws == message.flaws


@pytest.mark.parametrize("raw", ["x", 1, {}, {"name": 1}, {"function": "f"}, {"function": {"name": None}}, [], None])
def test_what_is_no_call_is_kept_as_one_without_a_name(raw):
    message = read_message({"tool_calls": [raw]})
    assert [each.rule for each in message.flaws] == ["call.form"]
    assert read_output(message.write()).flaws[0].rule == "call.form"


def test_arguments_as_deep_as_is_allowed_are_read_back():
    message = read_message({"tool_calls": [as_openai("a", '{"x":' * 64 + "1" + "}" * 64)]})
    assert message.flaws == ()
    assert read_output(message.write()).write() == message.write()
    assert read_output(message.write()).flaws == ()


@pytest.mark.parametrize("text", [
    "Hello", "", '{"a": 1}', '{"content": "x"}', '{"content": "x", "tool_calls": "y"}',
    '{"content": "x", "tool_calls": [], "more": 1}', '{"tool_calls": []}', '{"content":"x","tool_calls":[]}',
])  # fmt: skip
def test_any_other_text_is_a_message_without_calls(text):
    assert read_output(text) == Message(text)


def test_a_message_that_quotes_a_message_does_not_call():
    quoted = Message("", (ToolCall("pay", {"sum": 1}),)).write()
    assert read_output(Message(quoted).write()).calls == ()
    assert content_of(Message(quoted).write()) == quoted


@pytest.mark.parametrize(("content", "text"), [
    (None, ""), ("a", "a"), ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab"),
    ([{"type": "image_url"}], '[{"type": "image_url"}]'), (5, "5"), ({"a": 1}, '{"a": 1}'), ("\ud800", "\ufffd"),
])  # fmt: skip
def test_content_is_always_a_text(content, text):
    assert read_message({"content": content}).content == text


def test_sizes_are_bounded():
    assert [each.rule for each in read_output("x" * (1 << 20) + "x").flaws] == ["message.size"]
    many = read_message({"tool_calls": [as_openai("a", "{}")] * 1000})
    assert len(many.calls) == 65
    assert [each.rule for each in read_output(many.write()).flaws] == ["call.number"]


def test_people_read_a_call_as_a_call():
    call = ToolCall("create_ticket", {"title": "No\nlight", "n": 2})
    assert str(Message("One moment.", (call,))) == 'One moment.\ncreate_ticket(title="No\\nlight", n=2)'


@pytest.mark.parametrize("seed", range(50))
def test_a_damaged_message_is_read_without_an_error(seed):
    rng = random.Random(seed)
    text = json.dumps({"content": "x", "tool_calls": [as_openai("a", '{"b": [1, {"c": "d"}]}')] * 2})
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(text))
        text = text[:place] + rng.choice(['"', "{", "}", "\\", "[", "", "\x00", "9" * 50]) + text[place + 1 :]
    try:
        raw = json.loads(text)
    except ValueError:
        raw = {"content": text}
    message = read_message(raw if isinstance(raw, dict) else {"tool_calls": raw})
    assert read_output(message.write()).write() == message.write()
