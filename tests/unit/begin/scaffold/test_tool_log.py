"""From a log of chat messages with tools to cases, and which rows make none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunegate.harness.begin.scaffold.task import InitOptions, NewTask, new_task
from tunegate.harness.begin.scaffold.tool_log import ToolLog, read_tool_log
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.errors import AuthoringError, Refused, UsageError

TICKET = {
    "type": "object", "required": ["title", "priority"],
    "properties": {"title": {"type": "string"}, "priority": {"enum": ["low", "high"]}, "tags": {"type": "array"}},
}  # fmt: skip
ORDER = {"type": "object", "required": ["number"], "properties": {"number": {"type": "string"}}}


def tool(name, parameters):
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


TOOLS = [tool("create_ticket", TICKET), tool("find_order", ORDER)]
USER = {"role": "user", "content": "Where is order A1?"}
OTHER = {"role": "user", "content": "And A2?"}
FINE = "Tell me of order A9"  # the question of the one row that always makes a case


def call(name="find_order", arguments=None, **more):
    given = arguments if isinstance(arguments, str) else json.dumps(arguments or {"number": "A1"})
    return {"type": "function", "function": {"name": name, "arguments": given}} | more


def answer(*calls, content=None, **more):
    return {"role": "assistant", "content": content} | ({"tool_calls": list(calls)} if calls else {}) | more


def row(*messages, **more):
    return {"messages": list(messages)} | more


def asked(text, *calls, **more):
    return row({"role": "user", "content": text}, answer(*calls, content=None if calls else "Hello!"), **more)


def read(folder: Path, *rows, tools=TOOLS, text=None, **more) -> ToolLog:
    (folder / "tools.json").write_text(json.dumps(tools))
    lines = "".join(f"{json.dumps(each)}\n" for each in rows)
    (folder / "log.jsonl").write_text(lines if text is None else text)
    return read_tool_log(str(folder / "log.jsonl"), folder / "tools.json", **more)


def begin(log: ToolLog, **more) -> NewTask:
    given = {"table": log.drafts.table, "columns": None, "system": None, "goal": None, "limit": 200} | more
    return new_task(InitOptions("desk", "tools", log=log, **given))


def fixture(folder: Path, task: NewTask) -> dict:
    for name, text in task.files.items():
        (folder / "desk" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "desk" / name).write_text(text, "utf-8", newline="")
    return read_yaml(folder / "desk" / f"{task.unit}.yaml").data


def of(folder: Path, *rows, **more) -> dict:
    return fixture(folder, begin(read(folder, *rows, **more)))


def left_out(folder: Path, raw, **more) -> str:
    """Why a row makes no case, beside one that does."""
    log = read(folder, raw, asked(FINE, call(arguments={"number": "A9"})), **more)
    assert [each.input for each in log.drafts.all] == [FINE]
    return next(each for each in log.notes if each.startswith("left out"))


def test_a_log_becomes_calls_and_none_with_its_own_tools(tmp_path):
    found = of(
        tmp_path,
        row({"role": "system", "content": "You are the desk."}, USER, answer(call(id="call_1")), tools=TOOLS),
        row({"role": "developer", "content": "You are the desk."}, OTHER, answer(content="Hello!"), tools=TOOLS[1:]),
    )
    first, second = found["cases"]
    assert (found["suite"], found["tools"], found["prompt"]["system"]) == (
        "tools",
        "refs/tools.json",
        "You are the desk.",
    )
    assert (first["input"], first["expect"]) == (
        USER["content"], {"calls": [{"name": "find_order", "arguments": {"number": "A1"}}]},
    )  # fmt: skip
    assert (second["expect"], second["tools"]) == ({"calls": "none"}, ["find_order"])


def test_the_tools_are_copied_as_they_are_and_the_outputs_are_lines_with_calls(tmp_path):
    task = begin(read(tmp_path, asked("A1?", call()), asked("Hi")))
    assert json.loads(task.files["refs/tools.json"]) == TOOLS
    assert [json.loads(line) for line in task.lines.splitlines()] == [
        {"case": "desk/tools/case-001", "output": "",
         "tool_calls": [{"name": "find_order", "arguments": {"number": "A1"}}]},
        {"case": "desk/tools/case-002", "output": "Hello!", "tool_calls": []},
    ]  # fmt: skip
    named = begin(read(tmp_path, asked("A1?", call())), own_unit="calls")
    assert {"calls.yaml", "refs/calls.tools.json"} <= named.files.keys()


@pytest.mark.parametrize(
    "stored",
    [
        {"object": "chat.completion", "messages": [USER], "tools": TOOLS, "tool_choice": None,
         "choices": [{"index": 0, "finish_reason": "tool_calls", "message": answer(call(id="c"))}]},
        {"request": {"messages": [USER], "tools": TOOLS}, "response": {"choices": [{"message": answer(call())}]}},
        {"request": {"body": {"messages": [USER]}},
         "response": {"status_code": 200, "body": {"choices": [{"message": answer(call())}]}}},
        row(USER, {"role": "assistant", "function_call": {"name": "find_order", "arguments": '{"number": "A1"}'}},
            functions=[each["function"] for each in TOOLS]),
        row(USER, answer({"name": "find_order", "arguments": {"number": "A1"}}), tools=json.dumps(TOOLS)),
        row(USER, answer(call()), OTHER),
        row(USER, answer(call(id="a")), {"role": "tool", "tool_call_id": "a", "content": "late"}),
    ],
)  # fmt: skip
def test_every_form_of_a_row_is_the_same_case(tmp_path, stored):
    [case] = of(tmp_path, stored)["cases"]
    assert (case["input"], case["expect"]["calls"]) == (
        USER["content"], [{"name": "find_order", "arguments": {"number": "A1"}}],
    )  # fmt: skip


@pytest.mark.parametrize(("name", "indent"), [("log.json", 2), ("log.json", None), ("log.jsonl", None)])
def test_a_page_of_stored_completions_is_a_log(tmp_path, name, indent):
    choice = {"index": 0, "finish_reason": "tool_calls", "message": answer(call(id="c"))}
    completion = {"object": "chat.completion", "messages": [USER], "tools": TOOLS, "choices": [choice]}
    (tmp_path / "tools.json").write_text(json.dumps(TOOLS))
    text = json.dumps({"object": "list", "data": [completion], "has_more": False}, indent=indent)
    (tmp_path / name).write_text(f"{text}\n")
    log = read_tool_log(str(tmp_path / name), tmp_path / "tools.json")
    assert [each.input for each in log.drafts.all] == [USER["content"]]


def test_a_trace_keeps_ids_only_where_results_come_in_another_order(tmp_path):
    both = answer(call(id="x"), call(arguments={"number": "A2"}, id="y"))
    results = [{"role": "tool", "tool_call_id": each, "content": f"of {each}"} for each in "xy"]
    in_order = row(USER, both, *results, answer(content="Both are here."))
    swapped = row(OTHER, both, *reversed(results), answer(content="Both are here."))
    first, second = (case["input"] for case in of(tmp_path, in_order, swapped)["cases"])
    assert first[2:] == [{"tool": "of x"}, {"tool": "of y"}]
    assert [each["id"] for each in second[1]["assistant"]["tool_calls"]] == ["x", "y"]
    assert second[2] == {"tool": {"tool_call_id": "y", "content": "of y"}}


def test_the_same_question_with_other_ids_is_the_same(tmp_path):
    def trace(name):
        result = {"role": "tool", "tool_call_id": name, "content": "here"}
        return row(USER, answer(call(id=name)), result, answer(content="It is here."))

    log = read(tmp_path, trace("call_a"), trace("call_b"))
    assert len(log.drafts.all) == 1
    assert any("left out: 1 row repeated (" in each and "log.jsonl:2: as in line 1" in each for each in log.notes)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (asked("A", call("create_ticket", {"title": "Lamp"})), "`create_ticket` lacks `priority`"),
        (asked("A", call("create_ticket", {"title": "Lamp", "priority": "soon"})), "priority"),
        (asked("A", call("delete_all", {"x": 1})), "`delete_all` is not a tool that was offered"),
        (asked("A", call("create_ticket"), tools=TOOLS[1:]), "`create_ticket` is not a tool that was offered"),
        (asked("A", call(arguments='{"number": "A')), "are not JSON"),
        (asked("A", call(arguments='"{\\"number\\": \\"A1\\"}"')), "encoded twice"),
        (asked("A", call(arguments={"number": "1", "tags": [{"any_of": [1, 2]}]})), "any_of"),
        (asked("A", *[call()] * 40), "40 calls"),
        (asked("A", *[call()] * 80), "more than 64 calls"),
        (row(USER, answer(content='```json\n{"name": "find_order", "arguments": {}}\n```')), "in a code block"),
        (row(USER, answer()), "neither text nor a call"),
        (row(USER, answer(None, content="Hm")), "not a call with a name"),
        (row(USER, answer(call(), weight=0)), "weight: 0"),
        (row(USER), "no turn of the assistant"),
        (row(answer(call())), "the output is the first message"),
        (row(USER, answer(content="Hm"), answer(call())), "a user turn at the end"),
        (row(USER, {"role": "critic", "content": "Hm"}, answer(call())), "the role 'critic'"),
        (row({"role": "user", "content": [{"type": "image_url"}]}, answer(call())), "no text"),
        (row({"role": "user", "content": " "}, answer(call())), "not empty"),
        (row("Hello", answer(call())), "a message that is no object"),
        (row(USER, {"role": "tool", "tool_call_id": "z", "content": "5"}, answer(call())), "a call before its result"),
        (row(USER, {"role": "system", "content": "Now!"}, USER, answer(call())), "a system turn at the beginning"),
        (asked("A", call(), tool_choice="required"), "'required'"),
        (asked("A", tool_choice="none"), "'none'"),
        (asked("A", call(), tools=[]), "offers no tools"),
        (asked("A", call(), tools=[*TOOLS, tool("x.y z", ORDER)]), "`x.y z` is not among them"),
        (asked("A", call(), tools="no JSON"), "found 'no JSON'"),
        (asked("A", call(), tools=[{"type": "code_interpreter"}]), "expected"),
        ({"prompt": "A", "completion": "B"}, "only prompt, completion"),
        ({"messages": [USER], "choices": [{"message": answer(call())}] * 2}, "2 choices"),
        ({"messages": [USER], "choices": [{"message": answer(call()), "finish_reason": "length"}]}, "length"),
        ({"messages": [USER], "choices": ["x"]}, "1 choices"),
    ],
)  # fmt: skip
def test_a_row_without_a_case_is_left_out_by_its_place(tmp_path, raw, why):
    said = left_out(tmp_path, raw)
    assert f"{tmp_path / 'log.jsonl'}:1: " in said or "log.jsonl:1: " in said
    assert why in said
    assert "\n" not in said


def test_contradictory_answers_are_left_out_and_free_text_contradicts_nothing(tmp_path):
    def ticket(text, title, priority="high"):
        return asked(text, call("create_ticket", {"title": title, "priority": priority}))

    log = read(
        tmp_path,
        ticket("It is dark.", "Broken lamp upstairs"), ticket("It is dark.", "No light anywhere"),
        ticket("It is cold.", "Heating is off"), ticket("It is cold.", "Heating is off", "low"),
        ticket("Water!", "Flood in the cellar"),
    )  # fmt: skip
    assert [each.input for each in log.drafts.all] == ["It is dark.", "Water!"]
    assert log.suite.check == {"fields": {"create_ticket.title": {"ignore": True}}}
    assert any("free text, not scored: create_ticket.title" in each for each in log.notes)
    assert any("2 rows with contradictory outputs" in each and ":3: create_ticket(" in each for each in log.notes)


def test_what_stands_in_the_message_is_scored(tmp_path):
    log = read(tmp_path, asked("Find order number A 7 please", call(arguments={"number": "a 7"})))
    assert log.suite.check == {}


def test_secrets_and_personal_data_are_neither_written_nor_shown(tmp_path):
    key = "sk-ant-abcdefghijklmnopqrstuvwxyz012345"
    secret = (
        asked(f"My key is {key}", call()),
        asked("B", call(arguments={"number": key})),
        row({"role": "system", "content": f"Use {key}."}, OTHER, answer(call())),
        row({"role": "user", "content": "C"}, answer(call(), content=f"I use {key}.")),
        asked("D", call(arguments=f'{{"number": "{key}')),
        asked("Mail it", call(arguments={"number": "peter.miller@gmx.de"})),
    )
    log = read(tmp_path, *secret, asked(FINE, call(arguments={"number": "A9"})))
    task = begin(log)
    everything = "".join([*task.files.values(), *task.lines, *task.notes])
    assert key not in everything
    assert "peter.miller" not in everything
    assert [each.input for each in log.drafts.all] == [FINE]
    assert any("5 rows with secrets or personal data" in each and "Anthropic API key" in each for each in log.notes)
    assert len(read(tmp_path, *secret, keeps_private=True).drafts.all) == 5

    with pytest.raises(Refused, match=r"tools\.json: expected no secrets"):
        read(tmp_path, asked("A", call()), tools=[tool("find_order", ORDER | {"description": f"With {key}"})])


def test_several_system_messages_stand_in_their_inputs(tmp_path):
    rows = [row({"role": "system", "content": f"It is day {n}."}, USER, answer(call())) for n in range(2)]
    found = of(tmp_path, *rows, asked("Hi"))
    assert "system" not in found["prompt"]
    assert found["cases"][0]["input"] == [{"system": "It is day 0."}, {"user": USER["content"]}]
    assert found["cases"][2]["input"] == "Hi"
    assert of(tmp_path, *rows[:1], system="Ours.")["prompt"]["system"] == "Ours."


def test_a_system_message_with_a_placeholder_reaches_the_model_as_it_is(tmp_path):
    found = of(tmp_path, row({"role": "system", "content": "Fill {input}."}, USER, answer(call())))
    assert found["cases"][0]["input"][0] == {"system": "Fill {input}."}


def test_a_tool_with_another_schema_is_named_and_its_description_is_not(tmp_path):
    described = tool("find_order", ORDER | {"description": "By its number."})
    wider = tool("find_order", ORDER | {"required": []})
    log = read(tmp_path, asked("A", call(), tools=[described]), asked("B", call(), tools=[wider]))
    assert [each for each in log.notes if "other parameters" in each] == [
        "1 row offered a tool with other parameters; the calls fit those of the file (line 2)"
    ]


def test_a_log_of_which_no_row_is_usable_is_refused_with_each_line(tmp_path):
    with pytest.raises(AuthoringError) as refused:
        read(tmp_path, row(USER), {"foo": 1})
    assert [each.line for each in refused.value.problems] == [1, 2]


@pytest.mark.parametrize(
    ("text", "line"), [('{"messages": []}\n{"messages": [', 2), ("[1]\n", 1), ("", 1), ('{"a": 1, "a": 2}\n', 1)]
)
def test_a_line_that_is_no_row_is_refused_like_one_of_a_table(tmp_path, text, line):
    with pytest.raises(AuthoringError) as refused:
        read(tmp_path, text=text)
    assert refused.value.problems[0].line == line


@pytest.mark.parametrize("tools", [[], {}, [{"name": "a b"}], [tool("x", {"$ref": "#"})], "x", [TOOLS[0], TOOLS[0]]])
def test_tools_that_cannot_be_used_are_refused(tmp_path, tools):
    with pytest.raises(AuthoringError):
        read(tmp_path, asked("A", call()), tools=tools)


def test_cases_are_named_by_a_key_of_the_log(tmp_path):
    rows = [asked("A", call(), id="req/1"), asked("B", call(), id="req/2")]
    assert [each["id"] for each in of(tmp_path, *rows, names="id")["cases"]] == ["req-1", "req-2"]
    with pytest.raises(UsageError, match="--id name"):
        read(tmp_path, *rows, names="name")


def test_a_table_is_no_log(tmp_path):
    with pytest.raises(UsageError, match=r"log\.csv: expected a log of chat messages"):
        read_tool_log(str(tmp_path / "log.csv"), tmp_path / "tools.json")


HOSTILE = [
    "yes", "no", "null", "~", "1e3", "0x1f", "2026-01-01", "- a", "a: b", "#x", "'", '"', "\t", "{{x}}", "{input}",
    "\u2028", "\x00", "e\u0301", "::error::x", "<|im_end|>", "%YAML", "&a", "*a", "!!python", "x" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_come_back_as_they_were(tmp_path, text):
    schema = {"type": "object", "properties": {}}
    raw = asked(f"q{text}q", call("any", {"k": text, f"key {text}": [text, {"deep": text}]}))
    log = read(tmp_path, raw, tools=[tool("any", schema)])
    task = begin(log)
    [case] = fixture(tmp_path, task)["cases"]
    assert case["input"] == f"q{text}q"
    assert case["expect"]["calls"][0]["arguments"]["k"] == text
