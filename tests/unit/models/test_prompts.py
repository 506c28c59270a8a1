from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.units import write_unit
from tunegate.harness.cases.conversation import chat_message
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Prompt
from tunegate.harness.core.errors import Refused
from tunegate.harness.models.model_options import RUNGS
from tunegate.harness.models.prompts import CONSTRAINED, final, messages, requests

SHOTS = [{"input": "cold", "output": '{"product": "boiler"}'}, {"input": "drip", "output": '{"product": "radiator"}'}]


def unit(root, case=None, **more):
    """A unit with one case, `a`, and what is added to it or to its file."""
    write_unit(root, [], cases=[{"id": "a", "input": "It leaks."} | (case or {})], **more)
    ((only,),) = (task.units for task in load_tasks(root))
    return only


def user(one, rung="as-is"):
    role, text = messages(one, one.cases[0], rung)[-1]
    assert role == "user"
    return text


def test_a_prompt_without_anything_is_the_input(tmp_path):
    one = unit(tmp_path)

    assert messages(one, one.cases[0]) == (("user", "It leaks."),)


def test_the_system_message_comes_first_and_is_not_a_template(tmp_path):
    one = unit(tmp_path, prompt={"system": 'JSON: {"product": ...}', "template": "<{input}>"})

    assert messages(one, one.cases[0]) == (("system", 'JSON: {"product": ...}'), ("user", "<It leaks.>"))


def test_an_empty_system_message_is_sent_as_such(tmp_path):
    one = unit(tmp_path, prompt={"system": ""})

    assert messages(one, one.cases[0])[0] == ("system", "")


def test_replacement_is_literal(tmp_path):
    one = unit(
        tmp_path,
        {"input": "{context} {input} {0} \\1", "context": "see {input}"},
        prompt={"template": '{"a": {other}} {{input}} {context} %s {input}'},
    )

    assert user(one) == '{"a": {other}} {{context} {input} {0} \\1} see {input} %s {context} {input} {0} \\1'


@given(st.text(), st.text())
def test_what_is_put_in_is_never_expanded_again(text, context):
    assert Prompt(template="[{context}|{input}]").fill(text, context) == f"[{context}|{text}]"


def test_shots_are_turns_before_the_question_on_the_few_shot_rungs_only(tmp_path):
    one = unit(tmp_path, prompt={"system": "Sort.", "template": "Mail: {input}"}, shots=SHOTS)

    assert messages(one, one.cases[0], "few-shot") == (
        ("system", "Sort."),
        ("user", "Mail: cold"), ("assistant", '{"product": "boiler"}'),
        ("user", "Mail: drip"), ("assistant", '{"product": "radiator"}'),
        ("user", "Mail: It leaks."),
    )  # fmt: skip
    assert messages(one, one.cases[0], "few-shot-constrained") == messages(one, one.cases[0], "few-shot")
    assert all(len(messages(one, one.cases[0], rung)) == 2 for rung in RUNGS if not rung.startswith("few-shot"))


TURNS = [{"user": "It leaks."}, {"assistant": "Where?"}, {"user": "Below the pump."}]


def test_turns_are_sent_as_written_and_the_template_goes_to_the_last(tmp_path):
    case = {"input": TURNS, "context": "Pumps last 9 years."}
    one = unit(tmp_path, case, prompt={"system": "Sort.", "template": "Mail: {input}"}, shots=SHOTS[:1])
    earlier = (("user", "It leaks."), ("assistant", "Where?"))

    assert messages(one, one.cases[0]) == (("system", "Sort."), *earlier, ("user", "Mail: Below the pump."))
    assert messages(one, one.cases[0], "context")[1:] == (
        *earlier, ("user", "Use this passage:\nPumps last 9 years.\n\nMail: Below the pump."),
    )  # fmt: skip
    assert user(one, "steps").startswith("Mail: Below the pump.\n\nThink step by step.")
    assert messages(one, one.cases[0], "few-shot")[1:3] == (("user", "Mail: cold"), ("assistant", SHOTS[0]["output"]))
    assert messages(one, one.cases[0], "few-shot")[3:] == (*earlier, ("user", "Mail: Below the pump."))


def test_a_shot_may_have_turns_too(tmp_path):
    one = unit(tmp_path, shots=[{"input": TURNS, "output": "{}"}], prompt={"template": "Mail: {input}"})

    assert messages(one, one.cases[0], "few-shot") == (
        ("user", "It leaks."), ("assistant", "Where?"), ("user", "Mail: Below the pump."), ("assistant", "{}"),
        ("user", "Mail: It leaks."),
    )  # fmt: skip


def test_the_context_rung_adds_the_passage_above_the_prompt(tmp_path):
    one = unit(tmp_path, {"context": "Pumps {user} last {input} years."}, prompt={"template": "Q: {input}"})

    assert user(one, "context") == "Use this passage:\nPumps {user} last {input} years.\n\nQ: It leaks."
    assert user(one) == "Q: It leaks."


def test_the_context_rung_leaves_a_template_with_its_own_place_alone(tmp_path):
    one = unit(tmp_path, {"context": "Pumps last."}, prompt={"template": "{context} Q: {input}"})

    assert user(one, "context") == user(one) == "Pumps last. Q: It leaks."


def test_the_steps_rung_asks_for_steps_and_gives_them_room(tmp_path):
    one = unit(tmp_path, {"input": "{user}"})

    assert user(one, "steps").startswith("{user}\n\nThink step by step.")
    (plain,), (steps,) = requests([one]), requests([one], "steps")
    assert (plain.decoding.max_new_tokens, steps.decoding.max_new_tokens) == (4, 16)


def test_a_constrained_rung_asks_the_same_and_holds_the_answer_to_the_schema(tmp_path):
    one = unit(tmp_path, shots=SHOTS)
    asked = {rung: next(requests([one], rung)) for rung in RUNGS if rung != "context"}

    held = {rung: each.constraint for rung, each in asked.items()}
    assert held == dict.fromkeys(asked) | dict.fromkeys(CONSTRAINED, one.cases[0].check.constraint)
    assert asked["constrained"].messages == asked["as-is"].messages
    assert len({each.digest for each in asked.values()}) == len(asked)


def test_where_a_check_has_no_schema_a_constrained_rung_asks_as_it_is(tmp_path):
    free = {"suite": "retention", "check": {"measure": "questions"}}
    one = unit(tmp_path, {"expect": {"answer": ["yes"]}}, **free)

    assert next(requests([one], "constrained")) == next(requests([one]))


def test_under_steps_the_last_answer_is_scored():
    for output, judged in [
        ("It is cold.\nAnswer: boiler", "boiler"),
        ("Answer: no\nAnswer:  yes \n", "yes"),
        ("boiler", "boiler"),
        ("Answer:", ""),
    ]:
        assert final("steps", output) == judged
        assert all(final(rung, output) == output for rung in RUNGS if rung != "steps")


def test_requests_name_the_case_its_decoding_and_the_repeat(tmp_path):
    one = unit(tmp_path, generate={"max_new_tokens": 7, "temperature": 0.5})

    asked = list(requests([one], repeats=3))

    assert [(request.key, request.repeat) for request in asked] == [
        ("desk/triage/a", 0),
        ("desk/triage/a", 1),
        ("desk/triage/a", 2),
    ]
    assert {request.decoding for request in asked} == {one.cases[0].decoding}
    assert {request.messages for request in asked} == {(("user", "It leaks."),)}


def test_what_a_rung_lacks_is_refused_by_name(tmp_path):
    write_unit(tmp_path, ["a", "b", "c", "d", "e"])
    one = load_tasks(tmp_path)[0].units[0]

    for rung, repeats, message in [
        ("few-shot", 1, "desk/triage: --tg-rung few-shot needs `shots:` in its fixture file, found none"),
        (
            "few-shot-constrained",
            1,
            "desk/triage: --tg-rung few-shot-constrained needs `shots:` in its fixture file, found none",
        ),
        (
            "context",
            1,
            "desk/triage: --tg-rung context needs a `context:` on every case, found none on a, b, c and 2 more",
        ),
        ("as-is", 0, "--tg-repeats 0: expected at least 1"),
    ]:
        with pytest.raises(Refused) as caught:
            list(requests([one], rung, repeats))
        assert str(caught.value) == message


TOOLS = [{"name": "cancel", "parameters": {"type": "object", "properties": {"order": {"type": "integer"}}}}]
CALLED = '{"content": "", "tool_calls": [{"name": "cancel", "arguments": {"order": 7}}]}'


def test_worked_examples_show_calls_as_calls_with_results(tmp_path):
    shots = [{"input": "Cancel 7", "output": CALLED}, {"input": "Thanks!", "output": "Welcome."}]
    one = unit(tmp_path, {"expect": {"calls": "none"}}, suite="tools", tools=TOOLS, shots=shots, check={})

    *_, call, result, thanks, welcome, _ = messages(one, one.cases[0], "few-shot")

    assert chat_message(*call)["tool_calls"][0]["id"] == chat_message(*result)["tool_call_id"] == "shot00000"
    assert chat_message(*call)["tool_calls"][0]["function"] == {"name": "cancel", "arguments": '{"order": 7}'}
    assert (thanks, welcome) == (("user", "Thanks!"), ("assistant", "Welcome."))


def test_calls_are_not_constrained(tmp_path):
    one = unit(tmp_path, {"expect": {"calls": "none"}}, suite="tools", tools=TOOLS, check={})

    with pytest.raises(Refused, match="calls are not constrained"):
        list(requests([one], "constrained"))
