"""A unit of the suite `tools` under pytest: recorded calls, a baseline, a gate, and what a reader sees."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.fault_server import Handler, reply, serving
from tests.support.project import Project
from tests.support.tools import TOOLS, call, ticket
from tunegate.harness.cli.main import app


def cases(lamps: int = 30, hellos: int = 30) -> list[dict[str, object]]:
    return [
        *[{"id": f"lamp{n}", "input": f"No light in room {n}, it is urgent!",
           "expect": {"calls": [{"name": "create_ticket", "arguments": {"title": "Light", "priority": "high"}}]}}
          for n in range(lamps)],
        *[{"id": f"hello{n}", "input": f"Hello, I am number {n}", "expect": {"calls": "none"}} for n in range(hellos)],
    ]  # fmt: skip


STEP = {
    "id": "step",
    "input": [
        {"user": "Cancel order 7"},
        {"assistant": {"tool_calls": [{"name": "cancel_order", "arguments": {"order": 7}}]}},
        {"tool": {"content": {"ok": True}}},
    ],
    "expect": {"calls": "none"},
}


@pytest.fixture
def desk(project: Project) -> Project:
    folder = project.path / "fixtures" / "desk"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tools.json").write_text(json.dumps(TOOLS))
    write_unit(project)
    return project


def write_unit(project: Project, **more: object) -> None:
    data = {"version": 1, "suite": "tools", "unit": "calls", "tools": "tools.json", "cases": [*cases(), STEP]} | more
    (project.path / "fixtures" / "desk" / "calls.yaml").write_text(json.dumps(data))


def write_outputs(project: Project, name: str, lacks: int = 0, needless: int = 0) -> str:
    asked = [json.loads(line) for line in CliRunner().invoke(app, ["prompts"]).stdout.splitlines()]
    lines = [{"case": each["case"], "digest": each["digest"]} | _said(each["case"], lacks, needless) for each in asked]
    (project.path / name).write_text("".join(json.dumps(each) + "\n" for each in lines))
    return f"--tg-model=replay:desk={name}"


def _said(case: str, lacks: int, needless: int) -> dict[str, object]:
    kind, number = re.fullmatch(r"desk/calls/([a-z]+)(\d*)", case).groups()
    if kind == "step":
        return {"output": "It is cancelled."}
    if kind == "lamp":
        return {"tool_calls": [call("create_ticket", '{"title": "Light"}') if int(number) < lacks else ticket()]}
    return {"tool_calls": [ticket()]} if int(number) < needless else {"output": "Hello!", "tool_calls": []}


def test_recorded_calls_are_scored_recorded_and_gated(desk: Project) -> None:
    good = write_outputs(desk, "good.jsonl")
    desk.run(good, "--tg-record").assert_outcomes(passed=61)
    desk.run(good, "--tg-against=baseline").stdout.fnmatch_lines(["*calls: Held*"])

    bad = desk.run(write_outputs(desk, "bad.jsonl", lacks=14, needless=9), "--tg-against=baseline")
    bad.stdout.fnmatch_lines(["*`create_ticket` lacks `priority`*"])
    bad.stdout.fnmatch_lines(["*Blocked: *desk/calls regressed*"])
    bad.stdout.fnmatch_lines(['*create_ticket(title="Light", priority="high")*'])


@pytest.mark.parametrize(
    ("hellos", "needless", "said"),
    [
        (20, 9, "*Regressed: the slice calls=none fell*"),
        (8, 8, "*'(tool)' is never right where null is expected: 0 of 8 cases*"),
    ],
)
def test_calls_where_none_fits_block_however_many_cases_have_one(
    desk: Project, hellos: int, needless: int, said: str
) -> None:
    write_unit(desk, cases=cases(400, hellos))
    desk.run(write_outputs(desk, "good.jsonl"), "--tg-record").assert_outcomes(passed=400 + hellos)
    bad = desk.run(write_outputs(desk, "bad.jsonl", needless=needless), "--tg-against=baseline")
    assert bad.ret != 0
    bad.stdout.fnmatch_lines([said])


def test_a_changed_description_is_a_changed_prompt_and_a_changed_schema_another_question(desk: Project) -> None:
    desk.run(write_outputs(desk, "good.jsonl"), "--tg-record")
    path = desk.path / "fixtures" / "desk" / "tools.json"
    path.write_text(path.read_text().replace("Open a ticket.", "Opens one."))
    asked = CliRunner().invoke(app, ["prompts"])
    first = json.loads(asked.stdout.splitlines()[0])
    assert first["tools"][0]["function"]["description"] == "Opens one."
    good = write_outputs(desk, "good.jsonl")
    desk.run(good, "--tg-against=baseline").stdout.fnmatch_lines(["*calls: Held*"])

    path.write_text(path.read_text().replace('"minimum": 1', '"minimum": 2'))
    good = write_outputs(desk, "good.jsonl")
    changed = desk.run(good, "--tg-against=baseline")
    assert changed.ret != 0
    changed.stderr.fnmatch_lines(["*references*"])


def test_the_request_of_a_step_holds_the_calls_and_their_results(desk: Project) -> None:
    lines = [json.loads(line) for line in CliRunner().invoke(app, ["prompts"]).stdout.splitlines()]
    step = next(each for each in lines if each["case"] == "desk/calls/step")
    assert step["messages"] == [
        {"role": "user", "content": "Cancel order 7"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {
                    "id": "call00001",
                    "type": "function",
                    "function": {"name": "cancel_order", "arguments": '{"order": 7}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call00001", "content": '{"ok": true}'},
    ]
    assert [each["function"]["name"] for each in step["tools"]] == ["create_ticket", "cancel_order"]


def test_another_suite_scores_the_text_of_a_message(desk: Project) -> None:
    folder = desk.path / "fixtures" / "desk"
    data = {
        "version": 1, "suite": "schema", "unit": "texts", "tools": "tools.json",
        "check": {"schema": {"pattern": "^Hello"}, "extract": "text"}, "cases": [{"id": "a", "input": "Hi"}],
    }  # fmt: skip
    (folder / "calls.yaml").write_text(json.dumps(data))
    line = {"case": "desk/texts/a", "output": "Hello!", "tool_calls": [ticket()]}
    (desk.path / "o.jsonl").write_text(json.dumps(line))
    desk.run("--tg-model=replay:o.jsonl").assert_outcomes(passed=1)


def test_calls_of_a_server_and_of_a_function_are_scored(desk: Project) -> None:
    def act(handler: Handler, body: dict[str, Any]) -> None:
        last = body["messages"][-1]
        message: dict[str, Any] = {"role": "assistant", "content": None if "room" in last["content"] else "Hello."}
        if message["content"] is None:
            number = re.search(r"\d+", last["content"])
            cut = number is not None and number[0] == "7"
            message["tool_calls"] = [call("create_ticket", '{"title": "Li') if cut else ticket()]
        handler.send(json.dumps(reply(body) | {"choices": [{"finish_reason": "tool_calls", "message": message}]}))

    with serving(act) as server:
        done = desk.run(f"--tg-model={server.model}")
    done.assert_outcomes(passed=60, failed=1)
    done.stdout.fnmatch_lines(["*call.cut*the arguments of `create_ticket` are not JSON*"])

    (desk.path / "bot.py").write_text(
        "def reply(messages, decoding, tools):\n"
        "    if 'room' not in messages[-1]['content']:\n        return 'Hello.'\n"
        "    arguments = {'title': 'Light', 'priority': 'high'}\n"
        "    return {'tool_calls': [{'name': tools[0]['function']['name'], 'arguments': arguments}]}\n"
    )
    desk.run("--tg-model=python:bot.py:reply").assert_outcomes(passed=61)


def test_calls_of_a_case_without_tools_and_a_model_that_is_offered_none_are_refused(
    desk: Project, tiny_model: Path
) -> None:
    refused = desk.run(f"--tg-model={tiny_model}")
    assert refused.ret != 0
    refused.stderr.fnmatch_lines(["*expected a chat template for tools, found one that shows none*--tg-tool-format=*"])
    with serving(lambda handler, body: handler.send(json.dumps(reply(body)))) as server:
        refused = desk.run(f"--tg-model={server.model}", f"--tg-tokenizer={tiny_model}")
    assert refused.ret != 0
    refused.stderr.fnmatch_lines(["*desk/calls: expected a model that is offered tools*leave out --tg-tokenizer*"])
    folder = desk.path / "fixtures" / "desk"
    (folder / "calls.yaml").write_text(json.dumps({
        "version": 1, "suite": "schema", "unit": "plain", "check": {"schema": {}},
        "cases": [{"id": "a", "input": "Hi"}],
    }))  # fmt: skip
    (desk.path / "o.jsonl").write_text(json.dumps({"case": "desk/plain/a", "tool_calls": [ticket()]}))
    done = desk.run("--tg-model=replay:o.jsonl")
    done.stderr.fnmatch_lines(["*o.jsonl:1: tool_calls: expected an output without tool_calls*"])
