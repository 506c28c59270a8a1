"""Rows of the field: each form becomes our own row, and what is mixed, ambiguous or of no form is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import AuthoringError
from tunegate.harness.rows.examples import read_row_files
from tunegate.harness.rows.row_forms import AUTO, FORM_NAMES, FORMS, OWN, without_nulls

SYSTEM, USER, OUTPUT, WORSE = "Sort it.", "It drips.", '{"product": "tap"}', "A tap, I think."


def turns(*said: tuple[str, str], **last: object) -> list[dict[str, object]]:
    """Messages; `last` are further keys of the last one."""
    made: list[dict[str, object]] = [{"role": role, "content": text} for role, text in said]
    made[-1] |= last
    return made


ASKED, ANSWER = turns(("system", SYSTEM), ("user", USER)), turns(("assistant", OUTPUT))
BAD = turns(("assistant", WORSE))
TALK = turns(("user", "Hello."), ("assistant", "Hello!"), ("user", USER), ("assistant", OUTPUT))


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Reads rows of a task with one unit, whose prompt has the system message above."""
    monkeypatch.chdir(tmp_path)
    write_unit(tmp_path / "fixtures", ["a"], prompt={"system": SYSTEM})
    (task,) = load_tasks(tmp_path / "fixtures")

    def read(*rows: object, form: str = AUTO, name: str = "rows.jsonl"):
        if name.endswith(".jsonl"):
            Path(name).write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
        (file,) = read_row_files([Path(name)], task, form)
        return file

    return read


def mistakes(read, *rows, **more):
    with pytest.raises(AuthoringError) as refused:
        read(*rows, **more)
    return [str(problem) for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("form", "row", "rejected", "liked"),
    [
        ("prompt-completion", {"prompt": USER, "completion": OUTPUT}, None, True),
        ("prompt-completion", {"prompt": ASKED, "completion": ANSWER}, None, True),
        ("preference", {"prompt": USER, "chosen": OUTPUT, "rejected": WORSE}, WORSE, True),
        ("preference", {"prompt": ASKED, "chosen": ANSWER, "rejected": BAD}, WORSE, True),
        ("preference", {"chosen": [*ASKED, *ANSWER], "rejected": [*ASKED, *BAD]}, WORSE, True),
        ("kto", {"prompt": USER, "completion": OUTPUT, "label": True}, None, True),
        ("kto", {"prompt": ASKED, "completion": ANSWER, "label": False}, None, False),
        ("chat", {"messages": [*ASKED, *ANSWER], "tools": [], "parallel_tool_calls": False}, None, True),
        ("chat", {"messages": [*ASKED, *turns(("assistant", OUTPUT), weight=1)]}, None, True),
        ("kto", {"prompt": USER, "completion": OUTPUT, "label": False, "chosen": None, "rejected": None}, None, False),
        (
            "openai-preference",
            {"input": {"messages": ASKED, "tools": []}, "preferred_output": ANSWER, "non_preferred_output": BAD},
            WORSE,
            True,
        ),
        (
            "sharegpt",
            {"system": SYSTEM, "conversations": [{"from": "human", "value": USER}, {"from": "gpt", "value": OUTPUT}]},
            None,
            True,
        ),
        ("alpaca", {"instruction": USER, "input": "", "output": OUTPUT}, None, True),
        ("alpaca", {"instruction": USER, "output": OUTPUT, "system": SYSTEM}, None, True),
    ],
)
def test_each_form_becomes_the_same_row(read, form, row, rejected, liked):
    file = read(row)

    (found,) = file.rows
    assert file.form == form
    assert (found.messages, found.output) == ((("system", SYSTEM), ("user", USER)), OUTPUT)
    assert (found.rejected, found.liked, found.line, found.turn) == (rejected, liked, 1, 0)
    assert read(row, form=form).rows == file.rows
    assert list(file.render()) == [f"  rows.jsonl: form {form}, 1 row"]


def test_an_alpaca_input_follows_its_instruction(read):
    assert read({"instruction": "Sort it.", "input": "It drips.", "output": "tap"}).rows[0].input == (
        "Sort it.\n\nIt drips."
    )


def test_each_assistant_turn_of_a_chat_is_learned_but_those_of_weight_0(read):
    weighed = [*TALK, *turns(("user", "Thanks."), ("assistant", "Bye."))]
    weighed[1] = {**weighed[1], "weight": 0}

    file = read({"messages": weighed}, {"messages": TALK})

    assert file.form == "chat"
    assert [(row.line, row.turn, len(row.messages), row.output) for row in file.rows] == [
        (1, 1, 3, OUTPUT), (1, 2, 5, "Bye."), (2, 1, 1, "Hello!"), (2, 2, 3, OUTPUT),
    ]  # fmt: skip
    assert [row.place for row in file.rows][:2] == ["rows.jsonl:1 (turn 1)", "rows.jsonl:1 (turn 2)"]


def test_conversations_may_begin_alike_and_not_be_the_same(read):
    other = [*TALK[:2], *turns(("user", "It drips again."), ("assistant", OUTPUT))]

    assert len(read({"messages": TALK}, {"messages": other}, form="chat").rows) == 4
    assert mistakes(read, {"messages": TALK}, {"messages": TALK}, form="chat") == [
        "rows.jsonl:2: expected each row once, found the row of rows.jsonl:1"
    ]


def test_messages_alone_are_our_own_form_and_say_what_is_not_trained_on(read):
    file = read({"messages": TALK})

    assert (file.form, len(file.rows)) == (OWN, 1)
    assert list(file.render()) == [
        "  rows.jsonl: 1 earlier assistant turns are sent, not trained on (`format: chat` trains on each)"
    ]


def test_columns_that_are_not_used_are_named(read):
    file = read({"prompt": USER, "completion": OUTPUT, "id": 1, "score": None})

    assert file.unused == {"id": 1}
    assert list(file.render()) == ["  rows.jsonl: form prompt-completion, 1 row; columns not used: id"]

    named = [{**each, "name": "Ann", "refusal": None} for each in TALK]
    assert read({"messages": named}, form="chat").unused == {"messages[].name": 1}


def test_mixed_and_ambiguous_rows_are_refused_with_their_lines(read):
    kto, plain = {"prompt": USER, "completion": OUTPUT, "label": True}, {"prompt": USER, "completion": OUTPUT}
    both = {"messages": TALK, "conversations": []}

    assert mistakes(read, plain, kto, kto) == [
        f"rows.jsonl:{line}: expected a row of the form prompt-completion, as line 1, found one of the form kto; "
        "put each form into a file of its own"
        for line in (2, 3)
    ]
    assert mistakes(read, both) == [
        "rows.jsonl:1: expected the keys of one form, found those of sharegpt and tunegate (messages, conversations); "
        "name one with `format:` in the recipe, or delete the other keys"
    ]
    assert "other forms are chat, prompt-completion," in mistakes(read, {"question": USER, "reply": OUTPUT})[0]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": USER, "completion": OUTPUT, "label": "yes"}, "label: expected true or false, found 'yes'"),
        ({"prompt": USER, "completion": ANSWER}, "expected prompt and completion: all text, or all messages, found"),
        ({"prompt": ASKED, "completion": TALK}, "completion: expected one assistant turn, found user, assistant"),
        ({"chosen": TALK, "rejected": BAD}, "expected a prompt, or two conversations that differ in their last turn"),
        ({"prompt": USER, "chosen": "", "rejected": WORSE}, "chosen: expected text, or a list of messages, found ''"),
        ({"prompt": USER, "chosen": OUTPUT, "rejected": OUTPUT}, "rejected: expected a text other than the output"),
        ({"messages": TALK, "tools": [{"type": "function"}]}, "tools[0]: expected the key 'name', found only type"),
        ({"messages": TALK, "tools": '[{"type": "function"}]'}, "tools[0]: expected the key 'name', found only type"),
        ({"messages": [*ASKED, *turns(("assistant", "Hm"), function_call={"name": "f"}, weight=1)]},
         "tools: expected the tools that its calls name, found none; add the tools"),
        ({"messages": turns(("user", USER), ("tool", "21"), weight=1)}, "expected an assistant turn at the end"),
        ({"messages": turns(("user", USER), ("assistant", OUTPUT), weight=0.5)}, "weight: expected one of 0, 1"),
        ({"messages": turns(("user", USER), ("assistant", OUTPUT), weight=0)}, "expected an assistant turn to learn"),
        ({"messages": turns(("assistant", "Hi"), ("user", USER), weight=1)}, "expected an assistant turn at the end"),
        ({"messages": [*turns(("user", USER), weight=1), *ANSWER]}, "expected weights of assistant turns only"),
        ({"messages": turns(("assistant", "Hi"), ("assistant", "Yes"), weight=1)}, "expected a turn before the one to"),
        ({"conversations": [{"from": "human", "value": USER}, {"from": "observation", "value": "x"}]},
         "conversations: expected an assistant turn at the end, found 'tool'"),
        ({"conversations": [{"from": "human", "value": USER}, {"from": "robot", "value": "x"}]},
         "conversations[1].from: expected one of system, human, gpt,"),
        ({"instruction": USER, "output": OUTPUT, "history": [["a", "b"]]}, "history: expected none: write a"),
        ({"input": {"messages": ASKED}, "preferred_output": TALK, "non_preferred_output": BAD},
         "preferred_output: expected one assistant turn, found user, assistant, user, assistant"),
    ],
)  # fmt: skip
def test_a_row_that_is_not_of_its_form_is_refused_with_its_place(read, row, said):
    (mistake, *_) = mistakes(read, row)

    assert mistake.startswith("rows.jsonl:1: ")
    assert said in mistake


def test_a_form_that_is_named_holds_for_every_row(read):
    assert "expected the key 'conversations'" in mistakes(read, {"messages": TALK}, form="sharegpt")[0]
    assert mistakes(read, ["a"], form="alpaca") == [
        'rows.jsonl:1: expected alpaca: {instruction, input, output, system}, found ["a"]'
    ]


def test_a_recipe_may_name_each_form_and_no_other():
    assert (AUTO, OWN, *FORMS) == FORM_NAMES


@pytest.mark.parametrize("name", ["rows.json", "rows.parquet"])
def test_lists_and_parquet_count_their_rows(read, name):
    rows = [{"prompt": USER, "completion": OUTPUT}, {"prompt": "It leaks.", "completion": OUTPUT, "unit": None}]
    if name == "rows.parquet":
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(rows), name)
    else:
        Path(name).write_text(json.dumps(rows))

    file = read(name=name)

    assert (file.form, [row.place for row in file.rows]) == ("prompt-completion", [f"{name}:1", f"{name}:2"])


def test_a_list_may_begin_with_an_order_mark(read):
    rows = [{"prompt": USER, "completion": OUTPUT}]
    Path("rows.json").write_text(json.dumps(rows), "utf-8-sig")

    assert [row.place for row in read(name="rows.json").rows] == ["rows.json:1"]


def test_columns_of_parquet_that_are_not_json_are_not_used(read):
    pyarrow = pytest.importorskip("pyarrow")
    row = {"prompt": USER, "completion": OUTPUT, "when": datetime(2026, 1, 1, tzinfo=UTC), "image": b"\xff"}
    pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist([row]), "rows.parquet")

    assert read(name="rows.parquet").unused == {"when": 1, "image": 1}


def test_a_file_that_is_not_parquet_is_refused(read):
    pytest.importorskip("pyarrow")
    Path("rows.parquet").write_text("PAR1 and no more")

    assert mistakes(read, name="rows.parquet")[0].startswith("rows.parquet:1: expected a Parquet file, found")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "from", "value", "weight", "messages", "tools"]) | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
KEYS = sorted({key for form in FORMS.values() for key in form.schema["properties"]} | {"rejected", "output"})


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=5), min_size=1, max_size=3))
def test_any_rows_are_read_or_refused(tmp_path_factory, rows):
    folder = tmp_path_factory.getbasetemp() / "any_rows"
    if not folder.exists():
        write_unit(folder / "fixtures", ["a"])
    (task,) = load_tasks(folder / "fixtures")
    (folder / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))

    for form in FORM_NAMES:
        with suppress(AuthoringError):
            assert read_row_files([folder / "rows.jsonl"], task, form)


@given(JSON)
def test_no_null_is_left_in_a_mapping(value):
    def nulls(each):
        inner = [*each.values()] if isinstance(each, dict) else each if isinstance(each, list) else []
        return any(one is None for one in inner if isinstance(each, dict)) or any(map(nulls, inner))

    assert not nulls(without_nulls(value))
