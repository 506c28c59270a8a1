from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.tools import TOOLS, call, ticket
from tunegate.harness.begin.results.pairing import pair_files
from tunegate.harness.begin.results.project import compare_supplied
from tunegate.harness.begin.results.read import NamedFile, read_pair, read_results
from tunegate.harness.begin.results.settings import Settings
from tunegate.harness.begin.results.tool_rows import MISSING, NEEDLESS, RIGHT, VALID, more_mistakes, read_tool_rows
from tunegate.harness.core.errors import Unreadable

LACKS = call("create_ticket", {"title": "Light"})


def row(number, *calls, content=None, **more):
    last = {"role": "assistant", "content": content} | ({"tool_calls": [*calls]} if calls else {})
    return {"messages": [{"role": "user", "content": f"m{number}"}, last], "tools": TOOLS, **more}


def write(name, rows):
    Path(name).write_text("".join(json.dumps(each) + "\n" for each in rows))
    return Path(name)


def compared(old, new):
    return read_pair(NamedFile(write("old.jsonl", old)), NamedFile(write("new.jsonl", new)))


def test_what_new_does_wrong_more_often_is_said_with_its_numbers():
    old = [*[row(n, LACKS if n < 1 else ticket()) for n in range(60)], *[row(60 + n, content="Hi") for n in range(40)]]
    new = [*[row(n, LACKS if n < 14 else ticket()) for n in range(60)]]
    new += [row(60 + n, *([ticket()] if n < 9 else []), content="Hi") for n in range(40)]
    assert more_mistakes(*compared(old, new)) == [
        "`create_ticket` lacks `priority` in 14 of 60 calls (before: 1)",
        "9 of 40 messages that no tool fits are answered with a call",
    ]


SAID = {
    "not offered": ([call("delete", "{}")], "`delete`, which is not offered, is called 2 times (before: 0)"),
    "cut": ([call("create_ticket", '{"title": "x')], "`create_ticket` is cut off in 2 of 2 calls (before: 0)"),
    "not JSON": ([call("create_ticket", "{'a'}")], "`create_ticket` has arguments that are not JSON in 2 of 2 calls"),
    "schema": ([ticket(priority="urgent")], "`priority` of `create_ticket` does not fit its schema in 2 of 2 calls"),
    "nothing": ([], "2 of 2 messages are answered with nothing"),
}


@pytest.mark.parametrize(("calls", "said"), SAID.values(), ids=SAID.keys())
def test_each_kind_of_mistake_has_its_words(calls, said):
    found = more_mistakes(*compared([row(1, ticket()), row(2, ticket())], [row(1, *calls), row(2, *calls)]))
    assert len(found) == 1
    assert found[0].startswith(said)


def test_a_call_in_the_text_of_old_says_that_a_tool_fits():
    block = '```json\n{"name": "create_ticket", "arguments": {}}\n```'
    old, new = compared([row(1, content=block)], [row(1, ticket())])
    assert [each.samples[0].scores for each in (old, new)] == [
        {VALID: 0.0, MISSING: 1.0}, {VALID: 1.0, MISSING: 1.0},
    ]  # fmt: skip
    assert more_mistakes(new, old) == ["a call stands in the text, not as a call, in 1 message (before: 0)"]


def test_an_expected_message_decides_what_is_right():
    right = {"tool_calls": [ticket()]}
    old, new = compared(
        [row(1, content="Hi", expected=right), row(2, ticket(), expected={"content": "Hi"})],
        [row(1, ticket(), expected=right), row(2, content="Hi", expected={"content": "Hi"})],
    )
    assert [each.scores[RIGHT] for each in (*old.samples, *new.samples)] == [0.0, 0.0, 1.0, 1.0]
    assert [each.scores.get(NEEDLESS) for each in (*old.samples, *new.samples)] == [None, 0.0, None, 1.0]


def test_rows_are_paired_by_id_or_by_what_was_asked():
    old, new = compared([row(1, ticket()), row(2, ticket())], [row(2, ticket()), row(1, ticket(), id=7)])
    assert [each.id for each in old.rows][1] == new.rows[0].id
    assert new.rows[1].id == "7"


def test_other_tools_are_noted():
    _, new = compared([row(1, ticket())], [row(1, ticket()) | {"tools": TOOLS[:1]}])
    assert new.notes == ("1 row offer other tools than in OLD: where a schema differs, so does the question",)


WRONG = {
    "a user at the end": row(1) | {"messages": [{"role": "user", "content": "x"}]},
    "no tools": {"messages": [{"role": "assistant", "content": "x"}]},
    "a message of text": row(1) | {"messages": ["x", {"role": "assistant", "content": "x"}]},
    "a tool without a name": row(1) | {"tools": [{}]},
    "a remote reference": row(1) | {"tools": [{"name": "a", "parameters": {"type": "object", "$ref": "http://x/y"}}]},
    "null": None,
}


@pytest.mark.parametrize("line", WRONG.values(), ids=WRONG.keys())
def test_a_line_of_another_form_is_refused_with_its_number(line):
    with pytest.raises(Unreadable, match=r"rows\.jsonl:2"):
        read_tool_rows(write("rows.jsonl", [row(1, ticket()), line]))


def test_names_with_dots_are_as_the_log_has_them():
    dotted = row(1, call("math.add", {})) | {"tools": [{"name": "math.add"}]}
    assert read_results(write("rows.jsonl", [dotted])).tool == "chat messages with tools"
    assert read_tool_rows(write("rows.jsonl", [dotted])).rows[0].findings == ()


def test_many_messages_that_a_tool_fits_hide_no_call_where_none_fits():
    new = [row(n, ticket()) for n in range(1000)] + [row(n, ticket()) for n in range(1000, 1040)]
    old = new[:1000] + [row(n, content="Hi") for n in range(1000, 1040)]
    paired = pair_files(*compared(old, new), Settings())
    record = compare_supplied(paired, "").record
    assert [record.verdicts[f"results/{name}"].verdict for name in (VALID, NEEDLESS)] == ["held", "regressed"]
    assert sum(key.startswith(f"results/{NEEDLESS}/") for key in record.cases) == 40


def test_a_call_in_the_text_is_a_call_where_none_fits():
    block = '```json\n{"name": "create_ticket", "arguments": {}}\n```'
    old, new = compared([row(1, content="Hi"), row(2, ticket())], [row(1, content=block), row(2, ticket())])
    assert new.samples[0].scores == {NEEDLESS: 0.0}
    assert more_mistakes(old, new) == ["1 of 1 messages that no tool fits are answered with a call"]


def test_a_text_where_a_tool_fits_is_no_call():
    old = [row(n, ticket()) for n in range(3)]
    new = [old[0], *[row(n, content="Hi") for n in (1, 2)]]
    assert more_mistakes(*compared(old, new)) == ["2 of 3 messages that a tool fits are answered without a call"]


def test_what_breaks_two_rules_of_a_field_is_one_mistake_of_a_call():
    schema = {"type": "object", "properties": {"n": {"type": "integer", "enum": [1]}}}
    old, new = ([row(1, call("a", {"n": n})) | {"tools": [{"name": "a", "parameters": schema}]}] for n in (1, "x"))
    assert more_mistakes(*compared(old, new)) == ["`n` of `a` does not fit its schema in 1 of 1 calls (before: 0)"]


def test_a_laxer_schema_in_new_is_another_question_and_other_words_are_not():
    old = [row(n, ticket()) for n in range(100)]
    lax = [row(n, LACKS) | {"tools": [{"name": "create_ticket"}, TOOLS[1]]} for n in range(100)]
    said = json.loads(json.dumps(old).replace("Open a ticket.", "Opens one."))
    for new, verdict in ((lax, "inconclusive"), (said, "held")):
        paired = pair_files(*compared(old, new), Settings())
        assert compare_supplied(paired, "").record.verdicts[f"results/{VALID}"].verdict == verdict
        assert "100 rows offer other tools than in OLD" in paired.new.notes[0]


def stored(number, *calls, content=None, **more):
    """A stored completion of OpenAI's, with its messages."""
    made = row(number, *calls, content=content)
    *asked, last = made["messages"]
    choice = {"index": 0, "finish_reason": "tool_calls" if calls else "stop", "message": last}
    return {"object": "chat.completion", "id": f"chatcmpl-{more}", "messages": asked, "tools": TOOLS,
            "choices": [choice], **more}  # fmt: skip


def page(name, completions, indent=None):
    raw = {"object": "list", "data": completions, "first_id": "a", "last_id": "b", "has_more": False}
    Path(name).write_text(json.dumps(raw, indent=indent))
    return Path(name)


@pytest.mark.parametrize("indent", [None, 2])
def test_a_page_of_stored_completions_is_a_file_of_rows(indent):
    old = page("old.json", [stored(1, ticket(), id="a"), stored(2, content="Hi", id="b")], indent)
    new = page("new.json", [stored(2, ticket(), id="c"), stored(1, LACKS, id="d")], indent)
    assert more_mistakes(*read_pair(NamedFile(old), NamedFile(new))) == [
        "`create_ticket` lacks `priority` in 1 of 1 calls (before: 0)",
        "1 of 1 messages that no tool fits are answered with a call",
    ]


def test_stored_completions_stand_beside_rows():
    old = write("old.jsonl", [stored(1, ticket(), id="a"), stored(2, tools=None, content="Hi")])
    new = write("new.jsonl", [row(1, ticket()), row(2, content="Hi") | {"tools": []}])
    one, other = read_pair(NamedFile(old), NamedFile(new))
    assert [each.id for each in one.samples] == [each.id for each in other.samples]
    assert [each.question for each in one.samples] == [each.question for each in other.samples]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"choices": [{}, {}]}, "expected one choice with a message, found 2 choices"),
        ({"choices": [{"message": "Hi"}]}, "expected one choice with a message"),
        ({"choices": [{"message": {"role": "user", "content": "Hi"}}]}, "expected the assistant's output"),
    ],
)
def test_a_stored_completion_without_one_output_is_refused(more, said):
    with pytest.raises(Unreadable, match=said):
        read_results(page("old.json", [stored(1, ticket()), stored(2, **more)]))


def test_a_page_without_the_messages_that_were_asked_is_named():
    completions = [{key: value for key, value in stored(1, ticket()).items() if key != "messages"}]
    with pytest.raises(Unreadable, match="stored completions without their messages"):
        read_results(page("old.json", completions))
