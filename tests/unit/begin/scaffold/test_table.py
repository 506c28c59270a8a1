"""Tables as spreadsheets and logs export them, and what is said of those that are none."""

from __future__ import annotations

import json

import pytest

from tunegate.harness.begin.scaffold.table import read_table
from tunegate.harness.core.errors import AuthoringError, UsageError


def table(tmp_path, content, name="mail.csv", named=()):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path, named)


def cells(table):
    return [dict(row.cells) for row in table.rows]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_any_usual_delimiter_is_found(tmp_path, delimiter):
    read = table(tmp_path, delimiter.join(["text", "team"]) + "\n" + delimiter.join(["a, b; c", "x"]).replace(
        "a, b; c", '"a, b; c"') + "\n")  # fmt: skip

    assert (read.columns, cells(read)) == (("text", "team"), [{"text": "a, b; c", "team": "x"}])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_spreadsheet_may_write_utf_16_with_semicolons(tmp_path, encoding):
    text = "text;team\r\nCafé;x\r\n"
    mark = "\ufeff" if encoding[-2:] in ("le", "be") else ""

    read = table(tmp_path, (mark + text).encode(encoding))

    assert (read.columns, cells(read)) == (("text", "team"), [{"text": "Café", "team": "x"}])


def test_messages_in_a_csv_are_split_like_those_of_jsonl(tmp_path):
    rows = [[{"role": "user", "content": f"m{n}"}, {"role": "assistant", "content": "Yes."}] for n in range(2)]
    lines = ["messages;note", *(f'"{json.dumps(row).replace(chr(34), chr(34) * 2)}";a' for row in rows)]

    assert cells(table(tmp_path, "\n".join(lines)))[1] == {"messages": "m1", "answer": "Yes.", "note": "a"}


def test_a_column_that_is_named_decides_where_the_header_is_ambiguous(tmp_path):
    read = table(tmp_path, "Text, as sent;Team, first;Team, last;\nHello;a;b;\n", named=["Text, as sent"])

    assert cells(read) == [{"Text, as sent": "Hello", "Team, first": "a", "Team, last": "b"}]


def test_an_order_mark_windows_line_ends_and_lines_in_quotes(tmp_path):
    read = table(tmp_path, b'\xef\xbb\xbftext,team\r\n"He said ""go"",\r\nthen went", x \r\n\r\n,\r\n=1+1,y\r\n')

    assert cells(read) == [{"text": 'He said "go",\nthen went', "team": "x"}, {"text": "=1+1", "team": "y"}]
    assert [row.line for row in read.rows] == [2, 6]


def test_an_empty_cell_is_not_there_and_a_delimiter_too_many_does_no_harm(tmp_path):
    assert cells(table(tmp_path, "text,team\na,\n,b,,\n")) == [{"text": "a"}, {"team": "b"}]


def test_values_of_jsonl_are_what_they_are(tmp_path):
    lines = [{"text": " a\r\nb ", "n": 1, "ok": False, "none": None}, {"text": "\u2028", "deep": {"k": [1]}}]
    read = table(tmp_path, "\n".join(map(json.dumps, lines)), "mail.jsonl")

    assert read.columns == ("text", "n", "ok", "none", "deep")
    assert cells(read) == [{"text": "a\nb", "n": 1, "ok": False}, {"deep": {"k": [1]}}]


@pytest.mark.parametrize(("content", "line", "said"), [
    ("text,team\na,b\nc\nd\ne,f\n", 3, "2 cells, as the header has, found 1;"),
    ("text,team\na,b\n\nc, d, e\n", 4, "found 3; put a text with ',' or a line break in quotes"),
    ('text,team\n"a,b\nc,d\n', 2, "is there an unclosed quote?"),
    ('text,team\n"a"b,c\n', 2, "a row of CSV"),
    ("text,team\n" + "a" * 140_000 + ",b\n", 2, "field larger than field limit"),
    ("text,team\n", 1, "expected rows below the header, found none"),
    ("", 1, "expected rows below the header, found none"),
    (b"text,team\nx,y\ncaf\xe9,z\n", 3, "the byte 0xe9"),
    ("text,team\nx,y\n".encode("utf-16")[:-1], 1, "UTF-16 text, found one that ends inside a character"),
    ("text,team\na\0,b\n", 2, "a null byte"),
])  # fmt: skip
def test_what_is_no_table_is_told_with_its_line(tmp_path, content, line, said):
    with pytest.raises(AuthoringError) as caught:
        table(tmp_path, content)

    problem = caught.value.problems[0]
    assert problem.line == line
    assert said in str(problem)


@pytest.mark.parametrize(("content", "line", "said"), [
    ('{"a": 1}\n{"a": \n[1]\n', 2, "a mistake in column"),
    ('{"a": 1}\n["a"]\n3\n', 2, 'found ["a"]'),
    ('{"a": 1, "a": 2}\n', 1, "the key 'a' twice"),
    ('{"a": NaN}\n', 1, "NaN"),
    ('{"a": "\\ud83d"}\n', 1, "half a character"),
    ("[" * 100_000, 1, "levels of nesting"),
])  # fmt: skip
def test_a_line_that_is_no_object_is_told(tmp_path, content, line, said):
    with pytest.raises(AuthoringError) as caught:
        table(tmp_path, content, "mail.jsonl")

    problem = caught.value.problems[0]
    assert problem.line == line
    assert said in str(problem)


def test_a_json_file_holds_a_list_of_objects(tmp_path):
    assert cells(table(tmp_path, '[{"text": "a", "n": 1}, {"text": ""}]', "mail.json")) == [{"text": "a", "n": 1}, {}]
    for content in ('{"text": "a"}', "[1]", "[{"):
        with pytest.raises(AuthoringError, match=r"mail.json.*: expected a list of objects"):
            table(tmp_path, content, "mail.json")


@pytest.mark.parametrize("name", ["mail.xlsx", "mail.txt", "mail"])
def test_another_kind_of_file_is_a_usage_error_that_says_what_to_do(tmp_path, name):
    with pytest.raises(UsageError, match=r"expected a file that ends in \.csv.*as CSV"):
        table(tmp_path, "x", name)


def test_a_column_that_is_not_there_or_twice(tmp_path):
    read = table(tmp_path, "text,team,team\na,b,c\n")

    with pytest.raises(UsageError, match=r"--input txt: .*\(text, team, team\), found no such.*did you mean 'text'"):
        read.check_columns("--input", ["txt"])
    with pytest.raises(UsageError, match=r"--expect team: expected one column of that name .* found several"):
        read.check_columns("--expect", ["team"])


def chat(*turns):
    return {"messages": [{"role": role, "content": text} for role, text in turns]}


def cells_of(root, *rows):
    return [row.cells for row in table(root, "".join(json.dumps(row) + "\n" for row in rows), "chats.jsonl").rows]


def test_rows_of_messages_become_an_input_a_system_text_and_an_answer(tmp_path):
    talk = (("user", "It drips."), ("assistant", "Where?"), ("user", "Below."))

    plain, full, labelled = cells_of(
        tmp_path,
        chat(("user", "It drips."), ("assistant", "Call us.")),
        chat(("system", "Sort."), *talk, ("assistant", '{"product": "pump"}')),
        chat(*talk) | {"answer": "mine"},
    )

    turns = [{"user": "It drips."}, {"assistant": "Where?"}, {"user": "Below."}]
    assert plain == {"messages": "It drips.", "answer": "Call us."}
    assert full == {"messages": turns, "system": "Sort.", "answer": '{"product": "pump"}'}
    assert labelled == {"messages": turns, "answer": "mine"}


def test_a_prompt_and_a_completion_in_messages_become_an_input_and_its_output(tmp_path):
    asked = chat(("system", "Sort."), ("user", "It drips."))["messages"]
    [row] = cells_of(tmp_path, {"prompt": asked, "completion": chat(("assistant", "repairs"))["messages"]})
    assert row == {"prompt": "It drips.", "completion": "repairs", "system": "Sort."}

    texts = {"prompt": "It drips.", "completion": "repairs"}
    other = {"prompt": asked, "completion": chat(("user", "repairs"))["messages"]}
    assert cells_of(tmp_path, texts, other) == [texts, other]


@pytest.mark.parametrize(
    "turns",
    [[("assistant", "Hello?")], [("user", "a"), ("system", "b"), ("user", "c")], [("tool", "x")], [("system", "S")]],
)
def test_messages_of_another_form_stay_as_they_are(tmp_path, turns):
    assert cells_of(tmp_path, chat(*turns)) == [chat(*turns)]
