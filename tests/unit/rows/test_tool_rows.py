"""Rows with tool calls: every form becomes the same turns, tools and canonical output; what is none is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.tools import TICKET, TOOLS, call, output
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import AuthoringError
from tunegate.harness.rows.examples import read_row_files, read_row_inputs

SYSTEM, USER = "You are the desk.", "The lamp is dark."
ARGUMENTS = {"title": "Lamp", "priority": "high"}
CANONICAL = output(call("create_ticket", ARGUMENTS))
ASKED = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": USER}]
CALLING = {"role": "assistant", "content": None, "tool_calls": [call("create_ticket", json.dumps(ARGUMENTS))]}
RESULT = {"role": "tool", "tool_call_id": "c", "content": "ticket 12"}
DONE = {"role": "assistant", "content": "It is ticket 12."}
HERMES = (
    "You are a function calling AI model. You are provided with function signatures within <tools></tools> XML tags:\n"
    "<tools>\n{}\n</tools>\nFor each function call return a JSON object:\n<tool_call>\n{{tool_call}}\n</tool_call>"
)
QWEN = HERMES.format("\n".join(map(json.dumps, TOOLS))).removeprefix("You are a function calling AI model. ")
MAY_CALL = "You may call one or more functions to assist with the user query.\n\n"
WRITTEN = json.dumps({"name": "create_ticket", "arguments": ARGUMENTS})


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Reads rows of a task with a unit of the suite tools."""
    monkeypatch.chdir(tmp_path)
    folder = Path("fixtures/desk")
    folder.mkdir(parents=True)
    (folder / "tools.json").write_text(json.dumps(TOOLS))
    cases = [{"id": "a", "input": "Thanks!", "expect": {"calls": "none"}}]
    unit = {"version": 1, "suite": "tools", "unit": "calls", "tools": "tools.json", "prompt": {"system": SYSTEM}}
    (folder / "calls.yaml").write_text(json.dumps({**unit, "cases": cases}))
    (task,) = load_tasks(Path("fixtures"))

    def read(*rows, name="rows.jsonl", inputs=False, whole=False):
        if name.endswith(".jsonl"):
            Path(name).write_text("\n".join(each if isinstance(each, str) else json.dumps(each) for each in rows))
        if inputs:
            return [row for _, row in read_row_inputs([Path(name)], task)]
        (file,) = read_row_files([Path(name)], task)
        return file if whole else file.rows

    return read


def mistakes(read, *rows, **more):
    with pytest.raises(AuthoringError) as refused:
        read(*rows, **more)
    return [str(problem) for problem in refused.value.problems]


def said(role, value):
    return {"from": role, "value": value}


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [*ASKED, CALLING], "tools": TOOLS},
        {"messages": [*ASKED, CALLING], "tools": json.dumps(TOOLS), "parallel_tool_calls": False},
        {"messages": [*ASKED, {**CALLING, "tool_calls": [call("create_ticket", ARGUMENTS)]}], "tools": TOOLS},
        {"messages": [*ASKED, {**CALLING, "tool_calls": json.dumps(CALLING["tool_calls"])}], "tools": TOOLS},
        {"messages": [{**ASKED[0], "role": "developer"}, ASKED[1], CALLING], "tools": TOOLS},
        {"messages": [*ASKED, {"role": "assistant", "content": None, "function_call": json.loads(WRITTEN)}],
         "functions": [each["function"] for each in TOOLS]},
        {"prompt": ASKED, "completion": [CALLING], "tools": TOOLS},
        {"system": SYSTEM, "conversations": [said("human", USER), said("function_call", WRITTEN)],
         "tools": json.dumps(TOOLS)},
        {"conversations": [said("system", f"{HERMES.format(json.dumps(TOOLS))} {SYSTEM}"), said("human", USER),
                           said("gpt", f"<tool_call>\n{WRITTEN}\n</tool_call>")]},
        {"messages": [{"role": "system", "content": f"{SYSTEM}\n\n# Tools\n\n{MAY_CALL}{QWEN}"}, ASKED[1],
                      {"role": "assistant", "content": f"<tool_call>{WRITTEN}</tool_call>", "weight": 1}]},
    ],
)  # fmt: skip
def test_each_form_becomes_the_same_turns_tools_and_output(read, row):
    (found,) = read(row)

    assert found.messages == (("system", SYSTEM), ("user", USER))
    assert [tool.as_dict() for tool in found.tools] == TOOLS
    assert (found.output, found.request.tools) == (CANONICAL, found.tools)


def test_each_assistant_turn_of_a_trace_is_learned_and_its_results_are_asked(read):
    trace = {"messages": [*ASKED, CALLING, RESULT, DONE], "tools": TOOLS}
    shared = {"system": SYSTEM, "tools": json.dumps(TOOLS), "conversations": [
        said("human", USER), said("function_call", WRITTEN), said("observation", "ticket 12"),
        said("gpt", DONE["content"])]}  # fmt: skip
    marked = {"conversations": [
        said("system", f"{HERMES.format(json.dumps(TOOLS))} {SYSTEM}"), said("human", USER),
        said("gpt", f"<tool_call>{WRITTEN}</tool_call>"), said("tool", "<tool_response>\nticket 12\n</tool_response>"),
        said("gpt", DONE["content"])]}  # fmt: skip

    rows = [read(each) for each in (trace, shared, marked)]

    assert rows[0][0].messages == (("system", SYSTEM), ("user", USER))
    assert [row.output for row in rows[0]] == [CANONICAL, output(content="It is ticket 12.")]
    assert [role for role, _ in rows[0][1].messages] == ["system", "user", "assistant:calls", "tool:call00001"]
    assert rows[0][1].messages[-1][1] == "ticket 12"
    for other in rows[1:]:
        assert [(row.messages, row.output) for row in other] == [(row.messages, row.output) for row in rows[0]]


def test_nulls_that_arrow_filled_in_are_no_arguments(read):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    cancel = {**CALLING, "tool_calls": [call("cancel_order", {"order": 3})]}
    rows = [
        {"messages": [*ASKED, {**CALLING, "tool_calls": [call("create_ticket", ARGUMENTS)]}], "tools": TOOLS},
        {"messages": [*ASKED, cancel], "tools": TOOLS},
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), "rows.parquet")
    filled = pyarrow.parquet.read_table("rows.parquet").to_pylist()
    assert filled[1]["messages"][2]["tool_calls"][0]["function"]["arguments"]["title"] is None
    assert "order" in filled[0]["tools"][0]["function"]["parameters"]["properties"]
    Path("filled.jsonl").write_text("\n".join(map(json.dumps, filled)))

    for name in ("rows.parquet", "filled.jsonl"):
        found = read(name=name) if name.endswith("parquet") else read(*filled, name=name)
        assert [row.output for row in found] == [CANONICAL, output(call("cancel_order", {"order": 3}))]
        assert [tool.as_dict() for tool in found[0].tools] == TOOLS


def test_a_null_that_its_tool_takes_is_an_argument(read):
    parameters = {"type": "object", "properties": {"due": {"type": ["string", "null"]}, "room": {"type": "string"}}}
    tools = [{"type": "function", "function": {"name": "f", "description": "", "parameters": parameters}}]
    said = {**CALLING, "tool_calls": [call("f", {"due": None, "room": None, "title": None})]}

    assert read({"messages": [*ASKED, said], "tools": tools})[0].output == output(call("f", {"due": None}))


def test_a_row_of_a_unit_offers_its_tools_or_fewer(read):
    whole, fewer, step = read(
        {"unit": "calls", "messages": [*ASKED, CALLING]},
        {"unit": "calls", "messages": [ASKED[0], {"role": "user", "content": "Again."}, CALLING], "tools": TOOLS[:1]},
        {"unit": "calls", "messages": [*ASKED, {**CALLING, "weight": 0}, RESULT, DONE]},
    )

    assert [tool.name for tool in whole.tools] == ["create_ticket", "cancel_order"]
    assert ([tool.name for tool in fewer.tools], fewer.input) == (["create_ticket"], "Again.")
    assert (step.messages[-1], step.unit) == (("tool:call00001", "ticket 12"), "calls")


def test_inputs_and_outputs_of_our_own_are_of_the_unit_tools(read):
    (row,) = read({"unit": "calls", "input": USER, "output": "Hello!", "rejected": CANONICAL})
    assert (row.output, row.rejected) == (output(content="Hello!"), CANONICAL)

    (asked,) = read({"unit": "calls", "messages": ASKED}, inputs=True)
    assert (asked.output, len(asked.tools), asked.input) == ("", 2, USER)


def nested(levels):
    return '{"a": ' * levels + "1" + "}" * levels


DEEP = [*ASKED, {**CALLING, "tool_calls": [call("create_ticket", "DEEP")]}]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"messages": [*ASKED, RESULT, DONE], "tools": TOOLS}, "expected a call before its result, found none"),
        ({"messages": [*ASKED, CALLING, DONE], "tools": TOOLS},
         "messages[2]: expected results of its calls, found none"),
        ({"messages": [*ASKED, CALLING, {**RESULT, "tool_call_id": "x"}, DONE], "tools": TOOLS},
         "expected the id of a call that has no result yet (c), found 'x'"),
        ({"messages": [*ASKED, {**CALLING, "tool_calls": [call("create_ticket", ARGUMENTS)] * 2}, RESULT,
                       {**RESULT, "tool_call_id": "d"}, DONE], "tools": TOOLS}, "expected each id once, found 'c'"),
        ({"messages": [*ASKED, CALLING]}, "tools: expected the tools that its calls name, found none"),
        ({"messages": [*ASKED, {**CALLING, "tool_calls": [call("create_ticket", "{")]}], "tools": TOOLS},
         "messages[2].tool_calls[0]: expected a call: {name: TOOL, arguments: {...}}, found"),
        ({"messages": [*ASKED, {**CALLING, "tool_calls": [{"id": "c"}]}], "tools": TOOLS},
         "found not a call with a name"),
        ({"messages": [*ASKED, {"role": "assistant", "content": None, "tool_calls": []}], "tools": TOOLS},
         "messages[2]: expected the key 'content'"),
        ({"messages": [*ASKED, CALLING], "tools": "tools.json"},
         "tools: expected a list of tools, or its JSON text"),
        ({"messages": [*ASKED, CALLING], "tools": [{"name": "a", "parameters": {"type": "array"}}]}, "tools[0]"),
        ({"messages": [*ASKED, CALLING], "tools": [{"name": f"t{n}"} for n in range(129)]}, "at most 128 tools"),
        ({"messages": [*ASKED, CALLING], "tools": [{"name": "a", "description": "x" * 200_000}]},
         "at most 100,000 characters of JSON for a tool"),
        ({"unit": "calls", "messages": [*ASKED, CALLING], "tools": [{"name": "other"}]},
         "tools: expected tools as calls offers them (create_ticket, cancel_order), found 'other', another one"),
        ({"unit": "calls", "messages": [*ASKED, CALLING], "tools": [{"name": "create_ticket", "parameters": TICKET}]},
         "found 'create_ticket', with another description or schema; leave `tools` out"),
        ({"conversations": [said("human", USER), said("function_call", "create_ticket")], "tools": TOOLS},
         "conversations[1].value: expected a call as JSON"),
        ({"conversations": [said("system", HERMES.format("[1]")), said("human", USER), said("gpt", "Hi")]},
         "conversations[0]: expected tools as JSON between <tools> marks"),
        ({"conversations": [said("system", f"Tools: <tools>{json.dumps(TOOLS)}</tools>"), said("human", USER),
                            said("gpt", "Hi")]}, "conversations[0]: expected Hermes's words around <tools>"),
        ({"conversations": [said("system", HERMES.format(json.dumps(TOOLS))), said("human", USER),
                            said("gpt", "<tool_call>{'name': 'f'}</tool_call>")]},
         "conversations[2]: expected a call as a JSON object"),
        ({"conversations": [said("system", HERMES.format(json.dumps(TOOLS))), said("human", USER),
                            said("gpt", f"<tool_call>{WRITTEN}")]},
         "conversations[2]: expected a call between its marks"),
        (json.dumps({"messages": DEEP, "tools": TOOLS}).replace('"DEEP"', nested(1000)), "rows.jsonl:1: "),
        (json.dumps({"messages": DEEP, "tools": TOOLS}).replace('"DEEP"', nested(150)), "rows.jsonl:1: "),
        ({"messages": [*ASKED, {**CALLING, "tool_calls": [call("create_ticket", nested(1000))]}], "tools": TOOLS},
         "expected a call: {name: TOOL"),
        (f'{{"messages": {json.dumps([*ASKED, CALLING])}, "tools": {nested(1000)}}}', "rows.jsonl:1: "),
        ({"messages": [*ASKED, CALLING], "tools": "[" * 1000}, "tools: expected a list of tools"),
    ],
)  # fmt: skip
def test_what_is_no_row_is_refused_in_one_line_with_its_place(read, row, said):
    (mistake,) = mistakes(read, row)

    assert mistake.startswith("rows.jsonl:1: ")
    assert said in mistake
    assert "\n" not in mistake


def test_results_out_of_order_are_matched_by_their_ids(read):
    both = [call("create_ticket", ARGUMENTS) | {"id": "a"}, call("cancel_order", {"order": 1}) | {"id": "b"}]
    results = [{**RESULT, "tool_call_id": "b", "content": "off"}, {**RESULT, "tool_call_id": "a"}]

    *_, last = read({"messages": [*ASKED, {**CALLING, "tool_calls": both}, *results, DONE], "tools": TOOLS})

    assert last.messages[-2:] == (("tool:b", "off"), ("tool:a", "ticket 12"))


def test_what_tools_and_calls_hold_is_no_unused_column(read):
    row = {"messages": [*ASKED, CALLING, RESULT, DONE], "tools": TOOLS, "source": "log"}

    assert read({**row, "format": "chat"}, whole=True).unused == {"source": 1, "format": 1}
