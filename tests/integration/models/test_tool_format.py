"""Tools in a local model's prompt: rendered and read as TRL and transformers do it, or refused with what to do."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from tests.support.tools import TOOLS, tool_set
from tests.support.toy import ENDS, toy, toy_format
from tunegate.harness.cases.conversation import read_turns, template_messages
from tunegate.harness.cases.model import Decoding
from tunegate.harness.checks.outputs.json_text import MAX_FINDINGS
from tunegate.harness.checks.outputs.message import MOST_CALLS, Message, read_message, read_output
from tunegate.harness.checks.tools.validity import Offered
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.models import tool_replies
from tunegate.harness.models.api import Completion, Request
from tunegate.harness.models.cache import Cached, Store
from tunegate.harness.models.identity import identify
from tunegate.harness.models.local.huggingface import Local
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.tokenizer import render_prompt
from tunegate.harness.models.tool_format import format_of, known_formats, named_format, training_format
from tunegate.harness.models.tool_replies import read_reply

NAMES = tuple(ENDS)
OFFERED = tool_set().tools
CHECK = Offered.of(OFFERED)
TICKET = {"title": 'The "lamp" in Łódź\n{7}', "priority": "high", "rooms": [{"floor": 7}]}
CALL = {"assistant": {"tool_calls": [{"name": "create_ticket", "arguments": TICKET}]}}
INPUTS: dict[str, Any] = {
    "a text": "Room 7 is dark.",
    "a system turn": [{"system": "Be brief."}, {"user": "Room 7 is dark."}],
    "a step": [{"user": "Dark."}, CALL, {"tool": {"content": {"ticket": 12}}}],
    "another question": [{"user": "Dark."}, CALL, {"tool": "done"}, {"assistant": "Done."}, {"user": "And room 8?"}],
}
REPLIES: dict[str, dict[str, Any]] = {
    "a text": {"content": "It is on its way."},
    "a call": {"content": "", "tool_calls": [{"name": "create_ticket", "arguments": TICKET}]},
    "no arguments": {"content": "", "tool_calls": [{"name": "cancel_order", "arguments": {}}]},
    "two calls": {"content": "", "tool_calls": [{"name": "create_ticket", "arguments": TICKET},
                                                {"name": "cancel_order", "arguments": {"order": 7}}]},
}  # fmt: skip


def request(written: Any) -> Request:
    return Request("desk/calls/a", tuple(read_turns(written)), Decoding(), tools=OFFERED)


def replied(name: str, message: dict[str, Any], written: Any = "Dark.") -> tuple[str, str]:
    """The prompt of an input, and a reply as the template itself writes it."""
    tokenizer, turns = toy(name), read_turns(written)
    prompt = render_prompt(tokenizer, request(written))
    calls = [{"type": "function", "function": each} for each in message.get("tool_calls", ())]
    said = {"role": "assistant", "content": message["content"]} | ({"tool_calls": calls} if calls else {})
    whole = tokenizer.apply_chat_template([*template_messages(turns), said], TOOLS, tokenize=False)
    assert whole.startswith(prompt)
    return prompt, whole[len(prompt) :]


def trained_row(written: Any) -> list[dict[str, Any]]:
    """The input as a row of TRL's, written by hand."""
    rows: list[dict[str, Any]] = []
    for turn in [{"user": written}] if isinstance(written, str) else written:
        [(role, said)] = turn.items()
        if role == "assistant" and not isinstance(said, str):
            function = {"name": "create_ticket", "arguments": TICKET}
            call = {"id": "call00001", "type": "function", "function": function}
            rows.append({"role": role, "content": "", "tool_calls": [call]})
        elif role == "tool":
            content = said if isinstance(said, str) else json.dumps(said["content"])
            rows.append({"role": role, "name": "create_ticket", "tool_call_id": "call00001", "content": content})
        else:
            rows.append({"role": role, "content": said})
    return rows


@pytest.mark.parametrize("written", INPUTS.values(), ids=INPUTS)
@pytest.mark.parametrize("name", NAMES)
def test_a_prompt_is_token_for_token_what_trl_trains_on(name, written):
    tokenizer, _ = toy_format(name)

    expected = tokenizer.apply_chat_template(
        trained_row(written), tools=TOOLS, add_generation_prompt=True, tokenize=True, return_dict=False
    )

    assert tokenizer(render_prompt(tokenizer, request(written)), add_special_tokens=False).input_ids == expected


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
@pytest.mark.parametrize("name", NAMES)
def test_a_reply_is_read_as_trl_reads_it_and_is_what_was_written(name, reply):
    from trl.chat_template_utils import parse_response

    if name == "llama3_1" and len(reply.get("tool_calls", ())) > 1:
        return  # its template writes one call
    tokenizer, found = toy_format(name)
    prompt, written = replied(name, reply)
    ids = [tokenizer(text, add_special_tokens=False).input_ids for text in (prompt, written)]

    ours = read_reply(tokenizer.decode(ids[1]), prompt, found, OFFERED, [ENDS[name]]).message

    theirs = parse_response(tokenizer, ids[1], prefix=ids[0], tools=TOOLS)
    assert ours == read_message(theirs) == read_message(reply)
    assert read_output(ours.write()) == ours


def test_reasoning_stands_beside_the_message():
    _, found = toy_format("qwen3")
    text = "<think>\nA lamp.\n</think>\n\nDone.<|im_end|>"

    reply = read_reply(text, "<|im_start|>assistant\n", found, OFFERED, ["<|im_end|>"])

    assert (reply.message, reply.reasoning) == (Message("Done."), "A lamp.")


BAD = {
    "cut": lambda call: call[: call.index("priority")],
    "cut in its name": lambda call: call[: call.index("create_ticket") + 5],
    "encoded twice": lambda _: hermes(json.dumps(json.dumps(TICKET))),
    "no JSON": lambda call: call.replace('"priority"', "priority:"),
    "NaN": lambda _: hermes('{"title": NaN}'),
    "a list": lambda _: hermes("[1, 2]"),
    "deep": lambda _: hermes("[" * 50_000),
    "no name": lambda _: '<tool_call>\n{"arguments": {}}\n</tool_call>',
    "a number as its name": lambda _: '<tool_call>\n{"name": 7, "arguments": {}}\n</tool_call>',
    "no object": lambda _: "<tool_call>\n7\n</tool_call>",
    "empty": lambda _: "<tool_call></tool_call>",
    "in prose": lambda _: 'I would call create_ticket(title="x", priority="low").',
    "in a fence": lambda _: f'```json\n{{"name": "create_ticket", "arguments": {json.dumps(TICKET)}}}\n```',
    "bare": lambda _: f'{{"name": "create_ticket", "arguments": {json.dumps(TICKET)}}}',
    "our own form": lambda _: read_message(REPLIES["a call"]).write(),
    "another tool": lambda call: call.replace("create_ticket", "make_ticket"),
    "another type": lambda call: call.replace('"floor": 7', '"floor": "7"'),
    "no argument": lambda _: hermes("{}"),
    "too many": lambda call: call * 80,
    "nothing": lambda _: "",
}


def hermes(arguments: str) -> str:
    return f'<tool_call>\n{{"name": "create_ticket", "arguments": {arguments}}}\n</tool_call>'


def read(name: str, text: str) -> Message:
    prompt, _ = replied(name, REPLIES["a text"])
    return read_reply(text, prompt, named_format(name), OFFERED, [ENDS[name]]).message


@pytest.mark.parametrize("make", BAD.values(), ids=BAD)
def test_a_bad_reply_has_a_finding_and_a_call_beside_it_is_kept(make):
    call = hermes(json.dumps(TICKET))
    bad = make(call)

    alone, beside = read("qwen2_5", bad), read("qwen2_5", f"{call}\n{bad}<|im_end|>")

    assert CHECK.findings(alone)
    assert CHECK.findings(read_output(alone.write())) == CHECK.findings(alone)  # a record has no more than its text
    assert beside.calls[0].arguments == TICKET


def test_a_call_whose_name_is_read_keeps_its_arguments_as_text():
    cut, _ = read("llama3_1", '{"name": "create_ticket", "parameters": {"title": "a'), None
    first, second = read("gemma4", "<|tool_call>call:cancel_order{order<tool_call|><|tool_call>call:cancel_order"
                                   "{order:7}<tool_call|><turn|>").calls  # fmt: skip

    assert [(call.name, call.text) for call in (*cut.calls, first)] == [
        ("create_ticket", '{"title": "a'), ("cancel_order", "{order"),
    ]  # fmt: skip
    assert second.arguments == {"order": 7}


@pytest.mark.parametrize("name", NAMES)
def test_hostile_replies_are_messages_with_bounded_findings(name):
    draw = random.Random(name)
    healthy = [replied(name, reply)[1] for reply in list(REPLIES.values())[:3]]
    marks = ("<tool_call>", "</tool_call>", "<|tool_call>", "\x01\x02", "\ud800", "{{", '"', "<think>", "\\u0000")
    bad = (make(hermes(json.dumps(TICKET))) for kind, make in BAD.items() if kind != "deep")
    pieces = [*healthy, *bad, *marks]

    for _ in range(60):
        text = "".join(draw.choices(pieces, k=draw.randint(1, 4)))
        text = text[: draw.randint(0, len(text))] if draw.random() < 0.5 else text
        message = read(name, text)
        findings = CHECK.findings(message)
        assert len(findings) <= MAX_FINDINGS
        assert all(len(each.message) < 1000 for each in findings)
        assert len(message.calls) <= MOST_CALLS + 1
        assert read_output(message.write()).write() == message.write()


def test_arguments_are_typed_by_the_tool_only_where_the_format_has_no_types():
    typed = '<tool_call>\n{"name": "cancel_order", "arguments": {"order": "7"}}\n</tool_call>'
    untyped = (
        "<tool_call>\n<function=cancel_order>\n<parameter=order>\n7\n</parameter>\n</function>\n</tool_call><|im_end|>"
    )
    prompt = "<|im_start|>assistant\n"

    found = [read_reply(text, prompt, named_format(name), OFFERED).message.calls[0].arguments
             for name, text in (("qwen2_5", typed), ("qwen3_5_nothink", untyped))]  # fmt: skip

    assert found == [{"order": "7"}, {"order": 7}]


def test_a_parser_that_does_not_end_leaves_the_text(monkeypatch):
    monkeypatch.setattr(tool_replies, "TEMPLATE_SECONDS", 0.2)
    endless = {
        "start_anchor": "x",
        "fields": {"tool_calls": {"open_pattern": "(?:a|aa|a?a)+[bc]{2}", "content": "text"}},
    }
    found = replace(named_format("qwen2_5"), parser=endless)

    assert read_reply("a" * 400 + "c", "", found).message == Message("a" * 400 + "c")


def test_text_outside_of_all_marks_is_kept():
    text = "Hello there.<|return|>"

    assert read_reply(text, "<|start|>assistant", named_format("gptoss"), OFFERED, ["<|return|>"]).message.content == (
        "Hello there."
    )


def test_a_tokenizer_without_tools_is_refused_with_the_option_and_the_names():
    plain = toy()
    plain.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"

    with pytest.raises(Refused, match=r"--tg-tool-format=NAME, one of gemma4, .*qwen2_5") as error:
        format_of(plain)
    assert "drops calls" in str(error.value)
    with pytest.raises(Refused, match="did you mean 'qwen2_5'"):
        named_format("qwen25")


def test_a_template_that_shows_tools_needs_a_parser():
    tokenizer = toy("qwen2_5")
    known = tokenizer.chat_template
    try:
        tokenizer.chat_template, tokenizer.response_template = known + " ", None
        with pytest.raises(Refused, match="whose calls no parser reads"):
            format_of(tokenizer)
        tokenizer.chat_template = known  # TRL knows exactly this one
        assert format_of(tokenizer) == named_format("qwen2_5")
    finally:
        tokenizer.chat_template, tokenizer.response_template = known, dict(named_format("qwen2_5").parser)


def test_how_each_format_is_trained():
    found = {name: training_format(*toy_format(name)) for name in NAMES}

    assert {name: (each.is_patched, each.is_prefix_preserving, each.trains_stop) for name, each in found.items()} == {
        "qwen2_5": (True, True, True), "qwen3": (True, True, True),
        "llama3_1": (False, True, False), "gemma4": (False, True, False),
    }  # fmt: skip
    assert toy("qwen3").chat_template == named_format("qwen3").template


def test_a_named_format_is_another_model(tiny_model):
    own, *named = (identify("tiny", tiny_model, None, name) for name in (None, "qwen2_5", "qwen3"))

    assert len({each.slug for each in (own, *named)}) == 3
    assert len({each.base for each in (own, *named)}) == 1
    assert len(known_formats()) > 20


def test_a_local_model_is_refused_before_it_is_loaded(tiny_model, monkeypatch):
    model = Local(str(tiny_model), quiet())
    monkeypatch.setattr(model.base, "_load", lambda _: pytest.fail("loaded"))

    with pytest.raises(Refused, match="expected a chat template for tools"):
        list(model.complete([request("Dark.")]))


def test_a_local_model_writes_a_message_and_its_raw_text_is_read_again_from_the_cache(tiny_model, tmp_path):
    asked = replace(request("Dark."), decoding=Decoding(max_new_tokens=8))
    model = Local(str(tiny_model), quiet(), options=ModelOptions(tool_format="qwen2_5"))
    store = Store(tmp_path / "store.sqlite")

    [first] = Cached(model, store).complete([asked])

    assert first.raw == model.tokenizer.decode(model.tokenizer(first.raw, add_special_tokens=False).input_ids)
    assert read_output(first.output or "").write() == first.output
    key = model.fingerprint.generation(asked)
    store.put(key, replace(first, raw=hermes('{"title": "a", "priority": "low"}'), finish="stop"))
    [again] = Cached(model, store).complete([asked])
    assert [call.name for call in read_output(again.output or "").calls] == ["create_ticket"]
    other = Completion(asked.key, read_message(REPLIES["a call"]).write())  # of a record, which has no raw text
    [known] = Cached(model, Store(tmp_path / "other.sqlite"), {key: other}).complete([asked])
    assert known.output == other.output


def test_a_template_and_a_format_do_not_go_together(tmp_path):
    with pytest.raises(Refused, match="without --tg-chat-template"):
        ModelOptions(tool_format="qwen2_5", chat_template=tmp_path / "chat.jinja")
