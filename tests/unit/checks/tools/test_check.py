from __future__ import annotations

import itertools
import random
import time

import jsonschema
import pytest

from tests.support.tools import (
    IN_TEXT,
    TICKET,
    TOOLS,
    call,
    check,
    document,
    hostile_outputs,
    output,
    ticket,
    tool_set,
)
from tunegate.harness.checks.outputs.message import read_message
from tunegate.harness.checks.tools.check import KIND
from tunegate.harness.core.authoring.validation import validate
from tunegate.harness.core.errors import AuthoringError

HIGH = {"calls": [{"name": "create_ticket", "arguments": {"title": "Light", "priority": "high"}}]}
NONE = {"calls": "none"}


def cancel(number):
    return call("cancel_order", {"order": number})


def expected(*numbers, **more):
    return {"calls": [{"name": "cancel_order", "arguments": {"order": number}} for number in numbers], **more}


def messages(outcome):
    return [each.message for each in outcome.findings]


RIGHT = [
    (output(ticket()), HIGH),
    (output(ticket(), content="One moment."), HIGH),
    (output(content="Hello"), NONE),
    ("Hello", NONE),
    (output(cancel(2), cancel(1)), expected(1, 2)),
    (output(cancel(1), cancel(2)), expected(1, 2, order="strict")),
    (output(cancel(1), cancel(1)), expected(1, 1)),
    (output(cancel(1.0)), expected(1)),
    (output(content="Which order?"), NONE | {"text": {"pattern": "(?i:which)"}}),
    (output(cancel(3)), {"calls": [{"name": "cancel_order", "arguments": {"order": {"any_of": [2, 3]}}}]}),
    (output(ticket()), {"calls": [HIGH["calls"][0] | {"optional": {"due": "soon"}}]}),
    (output(ticket(due="soon")), {"calls": [HIGH["calls"][0] | {"optional": {"due": "soon"}}]}),
]


@pytest.mark.parametrize(("text", "expect"), RIGHT)
def test_a_right_message_passes(text, expect):
    assert validate(document(expect), KIND.expect) == []
    outcome = check()(text, expect, "")
    assert (outcome.passed, outcome.score, outcome.findings) == (True, 1.0, ())
    assert set(outcome.rates) | set(outcome.fields) >= check().parts(expect)


WRONG = {
    "no call": ("Done!", HIGH, "the message has no call"),
    "a call where none fits": (output(ticket()), NONE, 'the message has a call: "create_ticket"'),
    "lacks": (output(call("create_ticket", {"title": "Light"})), HIGH, "`create_ticket` lacks `priority`"),
    "a wrong value": (output(ticket(priority="low")), HIGH, 'expected "high", found "low"'),
    "an extra argument": (output(ticket(due="now")), HIGH, "expected no key 'due', found \"now\""),
    "another tool": (output(cancel(1)), HIGH, "expected a call of `create_ticket`, found one of `cancel_order`"),
    "too many": (output(ticket(), cancel(1)), HIGH, "found a call of `cancel_order`, which is not expected"),
    "too few": (output(cancel(1)), expected(1, 2), "expected a call of `cancel_order`, found none"),
    "another order": (output(cancel(2), cancel(1)), expected(1, 2, order="strict"), "expected 1, found 2"),
    "not offered": (
        output(call("create_tickets", {})),
        HIGH,
        "`create_tickets` is not a tool that was offered (did you mean 'create_ticket'?)",
    ),
    "nested": (output(ticket(rooms=[{"door": "x"}])), None, "`create_ticket`: rooms[0]: the key 'floor' is missing"),
    "double": (
        output(ticket(rooms='[{"floor": 1}]')),
        None,
        "`rooms` of `create_ticket` is JSON inside a text, encoded twice",
    ),
    "text": (
        output(content="Yes"),
        NONE | {"text": {"pattern": "which"}},
        'the text: "Yes" does not match the pattern "which"',
    ),
}


@pytest.mark.parametrize(("text", "expect", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_message_fails_and_says_why(text, expect, said):
    outcome = check()(text, expect, "")
    assert (outcome.passed if expect else outcome.score == 1.0, outcome.score) == (False, 0.0)
    assert said in messages(outcome)


def test_one_mistake_is_one_finding():
    outcome = check()(output(call("create_ticket", {"title": "Light"})), HIGH, "")
    assert messages(outcome)[0] == "`create_ticket` lacks `priority`"
    assert outcome.rates == {"valid": False, "called": True, "number": True}
    assert outcome.fields["create_ticket.priority"].is_right is False
    assert outcome.fields["(tool)"].is_right


def test_the_matching_is_the_best_one_whatever_the_order():
    wanted = expected(1, 2, 3, 4)
    for numbers in itertools.permutations([1, 2, 3, 9]):
        outcome = check()(output(*map(cancel, numbers)), wanted, "")
        count = outcome.fields["cancel_order.order"]
        assert (count.right, count.expected) == (3, 4)
        assert messages(outcome) == ["expected 4, found 9"]


@pytest.mark.parametrize("name", IN_TEXT)
@pytest.mark.parametrize("expect", [HIGH, NONE, None])
def test_a_call_in_the_text_is_a_failure_of_that_name(name, expect):
    for text in (IN_TEXT[name], output(content=IN_TEXT[name])):
        outcome = check()(text, expect, "")
        assert outcome.score == 0.0
        assert outcome.findings[0].rule == "call.in-text"


@pytest.mark.parametrize(
    "text",
    [
        "I can create_ticket() for you if you tell me the room.",
        '```json\n{"name": "Anna"}\n```',
        '{"name": "create_ticket"}',
        '{"title": "create_ticket"}',
        "```\nls\n```",
        "Use create_ticket.",
        '[{"name": "other", "arguments": {}}]',
    ],
)
def test_a_text_about_tools_is_a_text(text):
    assert check()(output(content=text), NONE, "").passed


HOSTILE = hostile_outputs()


def test_there_are_two_hundred_hostile_outputs():
    assert len(HOSTILE) >= 200


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_output_fails_with_a_finding_in_bounded_time(name):
    before = time.process_time()
    outcome = check()(HOSTILE[name], HIGH, "")
    assert time.process_time() - before < 10
    assert (outcome.passed, outcome.score) == (False, 0.0)
    assert outcome.findings
    assert all(each.message.isprintable() and len(each.message) < 500 for each in outcome.findings)


@pytest.mark.parametrize("name", [name for name in HOSTILE if "right call" not in name and name != "nothing"])
def test_a_hostile_output_fails_also_where_nothing_is_expected_or_is_a_text(name):
    outcome = check()(HOSTILE[name], None, "")
    assert outcome.score == 0.0 or not read_message({"content": HOSTILE[name]}).calls


def test_fields_are_compared_as_in_the_schema_suite():
    dated = {"create_ticket.due": {"as": "date"}, "create_ticket.title": {"ignore": True}}
    found = check(fields=dated)(
        output(ticket(due="1 March 2026", title="x")),
        {"calls": [{"name": "create_ticket", "arguments": {"priority": "high", "due": "2026-03-01", "title": "y"}}]},
        "",
    )
    assert found.passed
    rooms = {"create_ticket.rooms": {"order": "any"}}
    wanted = {
        "calls": [
            {
                "name": "create_ticket",
                "arguments": {"title": "Light", "priority": "high", "rooms": [{"floor": 1}, {"floor": 2}]},
            }
        ]
    }
    assert check(fields=rooms)(output(ticket(rooms=[{"floor": 2}, {"floor": 1}])), wanted, "").passed
    with pytest.raises(AuthoringError, match=r"did you mean 'create_ticket\.due'"):
        check(fields={"create_ticket.dew": {"as": "date"}})


def test_match_subset_leaves_other_arguments_free():
    assert check(match="subset")(output(ticket(due="x")), HIGH, "").passed


def test_words_of_a_tool_are_no_rule_and_its_schema_is_one():
    reworded = [
        {
            "name": each["function"]["name"],
            "description": "Other.",
            "parameters": each["function"]["parameters"] | {"title": "T"},
        }
        for each in TOOLS
    ]
    looser = [*TOOLS[:1], {"name": "cancel_order", "parameters": {"type": "object"}}]
    one, same, other = (
        KIND.load({}, document(), ()).offered(tool_set(each), document(), ()) for each in (TOOLS, reworded, looser)
    )
    assert one.references == same.references != other.references


def test_the_same_message_is_one_whatever_its_order():
    one, other = output(cancel(1), cancel(2)), output(cancel(2), cancel(1))
    assert check().canonical_output(one) == check().canonical_output(other)
    assert check(order="strict").canonical_output(one) != check(order="strict").canonical_output(other)


def test_the_expectation_of_a_right_output():
    assert KIND.expect_of(check(), output(ticket())) == HIGH
    assert KIND.expect_of(check(), "Hello") == NONE
    assert check()(output(ticket()), KIND.expect_of(check(), output(ticket())), "").passed


IMPOSSIBLE = {
    "a tool that is not offered": ({"calls": [{"name": "creat_ticket"}]}, "did you mean 'create_ticket'"),
    "a value that the tool refuses": (
        {"calls": [{"name": "create_ticket", "arguments": {"title": "x", "priority": "urgent"}}]},
        "calls[0].arguments.priority: expected what `create_ticket` takes, found 'urgent'",
    ),
    "a required argument is missing": (
        {"calls": [{"name": "create_ticket", "arguments": {"title": "x"}}]},
        "expected the argument 'priority', found none",
    ),
    "one of several values": (
        {"calls": [{"name": "cancel_order", "arguments": {"order": {"any_of": [1, -1]}}}]},
        "any_of[1]",
    ),
    "named twice": (
        {"calls": [{"name": "cancel_order", "arguments": {"order": 1}, "optional": {"order": 2}}]},
        "does not name, found order",
    ),
    "a text rule": ({"calls": "none", "text": {"pattern": "("}}, "expected a regular expression"),
}


@pytest.mark.parametrize(("expect", "said"), IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_an_expectation_that_no_call_could_meet_is_refused(expect, said):
    problems = check().expect_problems(expect, document(), ("cases", 0, "expect"))
    assert len(problems) == 1
    assert said in str(problems[0])


@pytest.mark.parametrize(
    "expect",
    [
        {"calls": []},
        {"calls": "any"},
        {},
        {"calls": [{"arguments": {}}]},
        {"calls": [{"name": "a", "args": {}}]},
        {"call": []},
    ],
)
def test_an_expectation_of_another_form_is_refused(expect):
    assert validate(document(expect), KIND.expect)


def _pairs():
    """A hundred arguments, half of them damaged in one place."""
    rng = random.Random(7)
    for number in range(100):
        value = {"title": f"t{number}", "priority": rng.choice(["low", "high"])}
        if rng.random() < 0.5:
            value["rooms"] = [{"floor": n} for n in range(rng.randint(0, 3))]
        for _ in range(number % 2):
            damage = rng.choice(["drop", "type", "enum", "extra", "nested", "required"])
            match damage:
                case "drop":
                    value.pop(rng.choice(["title", "priority"]))
                case "type":
                    value["title"] = rng.choice([1, None, [], {}, True])
                case "enum":
                    value["priority"] = rng.choice(["LOW", "", "urgent", None])
                case "extra":
                    value["colour"] = "red"
                case "nested":
                    value["rooms"] = [{"floor": rng.choice(["1", 1.5, None])}]
                case "required":
                    value["rooms"] = [{"door": "a"}]
        yield value


@pytest.mark.parametrize("value", list(_pairs()))
def test_a_call_is_valid_as_jsonschema_says(value):
    outcome = check()(output(call("create_ticket", value)), None, "")
    assert bool(outcome.score) is jsonschema.Draft202012Validator(TICKET).is_valid(value)


@pytest.mark.parametrize("expect", [HIGH, NONE, None])
@pytest.mark.parametrize("text", ["", " \n", output(), output(content=" ")])
def test_a_message_with_neither_text_nor_a_call_is_a_failure(text, expect):
    outcome = check()(text, expect, "")
    assert outcome.score == 0.0
    assert outcome.findings[0].rule == "message.empty"
