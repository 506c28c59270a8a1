from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Task
from tunegate.harness.core.errors import AuthoringError
from tunegate.harness.models.prompts import messages
from tunegate.harness.rows.examples import read_examples

ROW = {"unit": "triage", "input": "It drips.", "output": "{}"}


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Reads lines as rows of a task with the units `triage` and `replies`."""
    monkeypatch.chdir(tmp_path)
    task = desk(tmp_path)

    def read(*lines):
        text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
        Path("rows.jsonl").write_text(text, "utf-8")
        return read_examples([Path("rows.jsonl")], task)

    return read


def desk(root: Path) -> Task:
    write_unit(root, ["a", "b"], prompt={"system": "Sort it.", "template": "Ticket: {input}"})
    write_unit(root, ["a"], name="replies")
    return load_tasks(root)[0]


def mistakes(read, *lines):
    with pytest.raises(AuthoringError) as refused:
        read(*lines)
    return [str(problem) for problem in refused.value.problems]


def test_a_row_is_asked_through_its_units_prompt(read, tmp_path):
    (row,) = read(ROW)

    unit = load_tasks(tmp_path)[0].units[1]
    asked = messages(unit, unit.cases[0])
    assert unit.name == "triage"
    assert row.messages == (asked[0], ("user", "Ticket: It drips."))
    assert (row.input, row.output, row.unit, row.file, row.line) == ("It drips.", "{}", "triage", "rows.jsonl", 1)


def test_the_only_unit_of_a_task_need_not_be_named(tmp_path):
    write_unit(tmp_path, ["a"])
    (tmp_path / "rows.jsonl").write_text('{"input": "It drips.", "output": "{}"}')

    assert read_examples([tmp_path / "rows.jsonl"], load_tasks(tmp_path)[0])[0].unit == "triage"


def test_a_row_of_messages_goes_as_it_is(read):
    turns = [("system", "S"), ("user", "one"), ("assistant", "two"), ("user", "three"), ("assistant", "four")]

    (row,) = read({"messages": [{"role": role, "content": text} for role, text in turns]})

    assert row.messages == tuple(turns[:-1])
    assert (row.input, row.output, row.unit) == ("one\ntwo\nthree", "four", None)


TURNS = [{"user": "It drips."}, {"assistant": "Where?"}, {"user": "Below."}]


def chat(*turns, **more):
    return {"messages": [{"role": role, "content": text} for role, text in turns]} | more


def test_a_row_may_ask_in_turns_of_which_the_last_goes_through_the_units_prompt(read, tmp_path):
    (row,) = read({**ROW, "input": TURNS})

    write_unit(
        tmp_path, [], cases=[{"id": "a", "input": TURNS}], prompt={"system": "Sort it.", "template": "Ticket: {input}"}
    )
    unit = load_tasks(tmp_path)[0].units[1]
    assert row.messages == messages(unit, unit.cases[0])
    assert row.messages[-1] == ("user", "Ticket: Below.")
    assert (row.input, row.unit) == (unit.cases[0].text, "triage")


def test_messages_that_name_a_unit_are_messages_that_it_could_send(read):
    turns = [("system", "Sort it."), ("user", "It drips."), ("assistant", "Where?"), ("user", "Ticket: Below.")]

    (row,) = read(chat(*turns, ("assistant", "{}"), unit="triage"))

    assert row == replace(read({**ROW, "input": TURNS})[0], line=1)


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        (
            [("system", "Sort them."), ("user", "Ticket: It drips.")],
            "expected 'Sort it.' first, as in triage, and no other, found ('system', 'Sort them.'); "
            "`tunegate prompts` shows what it sends; without unit the row is trained on verbatim",
        ),
        ([("user", "Ticket: It drips.")], "expected 'Sort it.' first, as in triage, and no other"),
        (
            [("system", "Sort it."), ("system", "Sort it."), ("user", "Ticket: It drips.")],
            "expected 'Sort it.' first, as in triage, and no other",
        ),
        (
            [("system", "Sort it."), ("user", "It drips.")],
            "expected a last turn in the template of triage, 'Ticket: {input}', found 'It drips.'; `tunegate prompts`",
        ),
        (
            [("system", "Sort it."), ("user", "Ticket: a"), ("assistant", "Where?")],
            "expected a user turn before the output, found 'assistant'",
        ),
        ([("system", "Sort it.")], "expected a user turn before the output, found ''"),
    ],
)  # fmt: skip
def test_messages_that_a_unit_never_sends_are_told(read, turns, said):
    (mistake,) = mistakes(read, chat(*turns, ("assistant", "{}"), unit="triage"))

    assert mistake.startswith(f"rows.jsonl:1: messages: {said}")


def test_a_unit_that_messages_name_is_one_of_the_task(read):
    (mistake,) = mistakes(read, chat(("user", "Hi."), ("assistant", "{}"), unit="triag"))

    assert "found 'triag'; did you mean 'triage'?" in mistake


def test_a_row_may_hold_a_rejected_answer_in_either_form(read):
    turns = [("user", "one"), ("assistant", "two")]

    plain, preference, messages = read(
        ROW,
        {**ROW, "rejected": "[]"},
        {"messages": [{"role": role, "content": text} for role, text in turns], "rejected": "three"},
    )

    assert (plain.rejected, preference.rejected, messages.rejected) == (None, "[]", "three")
    assert preference.messages == plain.messages


def test_empty_lines_are_skipped_and_lines_are_counted(read):
    assert [row.line for row in read("", ROW, "  ", {**ROW, "input": "Another."}, "")] == [2, 4]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"input": "x"', "expected one JSON object, found"),
        ('{"input": "\\ud800", "output": "y"}', "expected one JSON object, found half a character"),
        ("[1]", 'expected an object {"unit", "input", "output"} or {"messages": [..., an assistant turn]}, found [1]'),
        ({**ROW, "ouput": "y"}, 'expected an object {"unit", "input", "output"} or'),
        ({**ROW, "rejected": ""}, 'expected an object {"unit", "input", "output"} or'),
        ({**ROW, "rejected": " {} "}, "rejected: expected a text other than the output, found the same; delete it"),
        ({**ROW, "output": ""}, 'expected an object {"unit", "input", "output"} or'),
        (
            {**ROW, "unit": "triag"},
            "unit: expected a unit of the task (replies, triage), found 'triag'; did you mean 'triage'?",
        ),
        ({"input": "x", "output": "y"}, "unit: expected a unit of the task (replies, triage), found none"),
        ({**ROW, "input": [{"user": "a"}]}, 'expected an object {"unit", "input", "output"} or'),
        ({**ROW, "input": [{"user": "a"}, {"tool": "b"}]}, 'expected an object {"unit", "input", "output"} or'),
        ({**ROW, "input": [{"user": "a"}, {"assistant": "b"}]}, "input[1]: expected a user turn at the end"),
        (
            {"messages": [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]},
            "messages: expected an assistant turn at the end, found 'user'",
        ),
        ({"messages": [{"role": "tool", "content": "a"}, {"role": "assistant", "content": "b"}]}, "expected a row of"),
    ],
)  # fmt: skip
def test_a_line_that_is_no_row_is_named(read, line, said):
    (mistake,) = mistakes(read, ROW, line)

    assert mistake.startswith(f"rows.jsonl:2: {said}")


def test_a_row_that_repeats_another_is_named_with_the_other(read):
    (mistake,) = mistakes(read, ROW, {**ROW, "input": "Another."}, ROW)

    assert mistake == "rows.jsonl:3: expected each row once, found the row of rows.jsonl:1"


def test_the_same_row_in_the_other_form_is_a_repeat(read):
    turns = [("system", "Sort it."), ("user", "Ticket: It drips."), ("assistant", "{}")]

    (mistake,) = mistakes(read, ROW, {"messages": [{"role": role, "content": text} for role, text in turns]})

    assert mistake.startswith("rows.jsonl:2: expected each row once")


def test_every_mistake_is_told_at_once(read):
    assert [line.split(": ")[0] for line in mistakes(read, "{", ROW, "[]", ROW)] == [
        "rows.jsonl:1", "rows.jsonl:3", "rows.jsonl:4",
    ]  # fmt: skip


def test_a_file_without_rows_is_refused(read):
    assert mistakes(read, "", " ") == ["rows.jsonl:1: expected at least one row, found an empty file"]


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "rows.jsonl").write_bytes(b"\xff\xfe")

    with pytest.raises(AuthoringError, match="expected UTF-8 text"):
        read_examples([tmp_path / "rows.jsonl"], desk(tmp_path))


def test_a_unit_of_several_prompts_wants_messages(tmp_path):
    cases = [
        {"id": "a", "input": "x", "expect": {"product": "boiler"}},
        {"id": "b", "input": "y", "expect": {"product": "boiler"}, "prompt": {"system": "Other."}},
    ]
    write_unit(tmp_path, [], cases=cases)
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROW))

    with pytest.raises(AuthoringError, match=r'a unit with one prompt; triage has 2.*write the row as {"messages"'):
        read_examples([tmp_path / "rows.jsonl"], load_tasks(tmp_path)[0])


def test_a_prompt_with_context_wants_it_in_the_row(tmp_path):
    case = {"id": "a", "input": "x", "context": "Page 3.", "expect": {"product": "boiler"}}
    write_unit(tmp_path, [], cases=[case], prompt={"template": "{context}\n{input}"})
    (task,) = load_tasks(tmp_path)
    rows = tmp_path / "rows.jsonl"

    rows.write_text(json.dumps({**ROW, "context": "Page 9."}))
    assert read_examples([rows], task)[0].messages == (("user", "Page 9.\nIt drips."),)

    rows.write_text(json.dumps(ROW))
    with pytest.raises(AuthoringError, match="expected a context, which the prompt of triage needs, found none"):
        read_examples([rows], task)


def test_a_row_cannot_be_of_a_unit_that_answers_nothing(tmp_path):
    write_unit(tmp_path / "fixtures", ["a"])
    passages = {"version": 1, "suite": "retention", "unit": "passages", "check": {"measure": "passages"}}
    text = json.dumps({**passages, "cases": [{"id": "fog", "input": "Fog came up the river."}]})
    (tmp_path / "fixtures/desk/passages.yaml").write_text(text)
    (tmp_path / "rows.jsonl").write_text(json.dumps({"unit": "passages", "input": "Fog", "output": "Rain"}))

    with pytest.raises(AuthoringError, match=r"expected a unit of the task \(triage\), found 'passages'"):
        read_examples([tmp_path / "rows.jsonl"], load_tasks(tmp_path / "fixtures")[0])
