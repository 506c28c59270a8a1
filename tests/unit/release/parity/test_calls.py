"""What a server does to calls is named; what changes nothing is the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import pytest

from tunegate.harness.checks.outputs.message import read_message, read_output
from tunegate.harness.release.parity.calls import CallPair, call_findings

Raw = dict
TOOLS = frozenset({"book", "note"})


def call(name: str, **arguments: object) -> Raw:
    return {"name": name, "arguments": arguments}


def evaluated() -> Mapping[str, Raw]:
    """Ten messages: single and parallel calls, typed arguments, text beside calls, and none."""
    single = [{"content": "", "tool_calls": [call("book", room=n, loud=True, rate=1.5)]} for n in range(4)]
    several = [{"content": "", "tool_calls": [call("book", room=n), call("note", text=f"t{n}")]} for n in range(3)]
    spoken = [{"content": "I book it.", "tool_calls": [call("book", room=n, loud=False)]} for n in range(2)]
    return {
        f"c{n}": each for n, each in enumerate([*single, *several, *spoken, {"content": "Hello", "tool_calls": []}])
    }


def pairs(change: Callable[[Raw], Raw], in_order: bool = False) -> dict[str, CallPair]:
    made = {
        key: (read_message(each), read_message(change(json.loads(json.dumps(each)))))
        for key, each in evaluated().items()
    }
    read = {key: tuple(read_output(each.write()) for each in both) for key, both in made.items()}
    return {key: CallPair(old, new, TOOLS, in_order) for key, (old, new) in read.items()}


def each_argument(change: Callable[[object], object]) -> Callable[[Raw], Raw]:
    def changed(raw: Raw) -> Raw:
        for one in raw["tool_calls"]:
            one["arguments"] = {key: change(value) for key, value in one["arguments"].items()}
        return raw

    return changed


def as_text(value: object) -> object:
    return value if isinstance(value, str) else json.dumps(value)


def in_block(raw: Raw) -> Raw:
    texts = "".join(f"<tool_call>{json.dumps(each)}</tool_call>" for each in raw["tool_calls"])
    return {"content": raw["content"] + texts, "tool_calls": []}


def first_only(raw: Raw) -> Raw:
    return raw | {"tool_calls": raw["tool_calls"][:1]}


def without_calls(raw: Raw) -> Raw:
    return raw | {"tool_calls": []}


def without_content(raw: Raw) -> Raw:
    return raw | {"content": ""} if raw["tool_calls"] else raw


def cut(raw: Raw) -> Raw:
    for each in raw["tool_calls"]:
        each["arguments"] = json.dumps(each["arguments"])[:-4]
    return raw


def twice(raw: Raw) -> Raw:
    for each in raw["tool_calls"]:
        each["arguments"] = json.dumps(json.dumps(each["arguments"]))
    return raw


def reversed_calls(raw: Raw) -> Raw:
    return raw | {"tool_calls": raw["tool_calls"][::-1]}


def as_python(value: object) -> object:
    return str(value)


def thinking(raw: Raw) -> Raw:
    return raw | {"content": "<think>\n</think>"} if raw["tool_calls"] and not raw["content"] else raw


DAMAGES = {
    "another parser": (in_block, "calls-in-text", "the text holds `<tool_call>`"),
    "types as text": (each_argument(as_text), "arguments-retyped", '`room` is "0", evaluated 0'),
    "types as Python's text": (each_argument(as_python), "arguments-retyped", '`room` is "0", evaluated 0'),
    "parallel calls off": (first_only, "parallel-calls-off", "of 2 calls only the first comes, `book`"),
    "lost in a stream": (without_calls, "calls-dropped", "a call of `book` does not come"),
    "content dropped": (without_content, "content-dropped", '"I book it." does not come'),
    "arguments cut": (cut, "arguments-unreadable", "the arguments of `book` are not JSON"),
    "encoded twice": (twice, "arguments-unreadable", "encoded twice"),
    "another text beside calls": (thinking, "content-added", "stands beside the calls"),
}


@pytest.mark.parametrize(("change", "rule", "said"), DAMAGES.values(), ids=DAMAGES.keys())
def test_each_damage_is_named_alone(change, rule, said):
    found = [*call_findings(pairs(change))]
    assert [each.rule for each in found] == [rule]
    assert said in found[0].message


def test_another_order_counts_where_calls_have_one():
    assert [each.rule for each in call_findings(pairs(reversed_calls, in_order=True))] == ["calls-reordered"]


def with_ids(raw: Raw) -> Raw:
    calls = [{"id": f"call_{n}", "type": "function", "function": {**each, "arguments": json.dumps(each["arguments"])}}
             for n, each in enumerate(raw["tool_calls"])]  # fmt: skip
    return raw | {"content": raw["content"] or None, "tool_calls": calls}


def other_keys_first(raw: Raw) -> Raw:
    for each in raw["tool_calls"]:
        each["arguments"] = dict(reversed(each["arguments"].items()))
    return raw


def whole_as_float(value: object) -> object:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def spaced(raw: Raw) -> Raw:
    return raw | {"content": f" {raw['content']}\n"}


HEALTHY = {
    "ids, and arguments as text": with_ids,
    "arguments in another order": other_keys_first,
    "calls in another order": reversed_calls,
    "3.0 for 3": each_argument(whole_as_float),
    "white space around a text": spaced,
}


@pytest.mark.parametrize("change", HEALTHY.values(), ids=HEALTHY.keys())
def test_what_changes_nothing_is_the_same(change):
    found = pairs(change)
    assert all(each.is_same for each in found.values())
    assert [*call_findings(found)] == []


def test_a_few_of_the_models_own_differences_have_no_cause():
    def one_wrong(raw: Raw) -> Raw:
        return without_calls(raw) if raw["tool_calls"][:1] == [call("book", room=0, loud=True, rate=1.5)] else raw

    assert [*call_findings(pairs(one_wrong))] == []
    assert [*call_findings(pairs(each_argument(lambda value: f"other {value}")))] == []


@pytest.mark.parametrize("content", ["[" * 100_000, '{"name": "book", "arguments": ' * 20_000, "```json\n" * 50_000])
def test_hostile_texts_are_looked_at_once(content):
    found = [*call_findings(pairs(lambda raw: {"content": content, "tool_calls": []}))]
    assert len(found) == 1
    assert len(found[0].message) < 500


def test_nothing_has_no_cause():
    assert [*call_findings({})] == []
