"""Rows with tool calls, from a file to a gate, on the embedded model with one of TRL's tool formats."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tools import TOOLS, call

pytestmark = pytest.mark.real

THINGS = ("lamp", "door", "tap", "heater", "window", "printer", "chair", "lift", "screen", "fan")
UNSEEN = ("couch", "stove", "bell", "shelf")
FORMAT = "--tg-tool-format=qwen2_5"
RECIPE = """
version: 1
task: desk
rows: [rows.jsonl]
tool_format: qwen2_5
diagnosis: {override: a test}
optim: {epochs: 1, lr: 1.0e-3}
output: adapters/desk
"""


def said(name: str, arguments: object) -> dict[str, object]:
    return {"role": "assistant", "content": None, "tool_calls": [call(name, json.dumps(arguments))]}


def rows():
    for number, thing in enumerate(THINGS):
        ticket = {"title": thing, "priority": "high"}
        yield f"The {thing} in room {number + 20} is broken, hurry!", said("create_ticket", ticket)
        yield f"Somebody may look at the {thing} upstairs.", said("create_ticket", {**ticket, "priority": "low"})
        yield f"Please cancel my order {number + 310} today.", said("cancel_order", {"order": number + 310})
        yield f"Thank you for the {thing}, you were so kind!", {"role": "assistant", "content": "You are welcome."}


def write_project(folder: Path) -> None:
    cases = []
    for number, thing in enumerate(UNSEEN):
        ticket = {"name": "create_ticket", "arguments": {"title": thing, "priority": "high"}}
        cases.append({"id": f"t{number}", "input": f"My {thing} fell apart at once.", "expect": {"calls": [ticket]}})
        cases.append({"id": f"n{number}", "input": f"What a lovely {thing}.", "expect": {"calls": "none"}})
    unit = {"version": 1, "suite": "tools", "unit": "calls", "tools": TOOLS, "generate": {"max_new_tokens": 48}}
    (folder / "fixtures/desk").mkdir(parents=True)
    (folder / "fixtures/desk/calls.yaml").write_text(json.dumps({**unit, "cases": cases}))
    lines = ({"unit": "calls", "messages": [{"role": "user", "content": text}, out]} for text, out in rows())
    (folder / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "recipe.yaml").write_text(RECIPE)


def test_rows_with_tool_calls_become_an_adapter_that_is_scored_and_gated(tmp_path):
    write_project(tmp_path)

    def run(*words: str, codes: tuple[int, ...] = (0,)) -> str:
        done = subprocess.run([sys.executable, "-m", *words], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode in codes, done.stdout + done.stderr
        return done.stdout + done.stderr

    run("pytest", "fixtures", "--tg-record", FORMAT)
    run("tunegate", "diagnose", "desk", "--sample=10", "--tool-format=qwen2_5")
    trained = run("tunegate", "train", "recipe.yaml")
    run("pytest", "fixtures", "--tg-adapter=adapters/desk", FORMAT, codes=(0, 1))
    gated = run("tunegate", "gate", "--adapter=adapters/desk", "--tool-format=qwen2_5", codes=(0, 1))

    assert "tool calls in the form qwen2_5" in trained
    assert "calls: 40 rows, all pass the check" in trained
    assert json.loads((tmp_path / "adapters/desk/training.json").read_text())["tool_format"]["name"] == "qwen2_5"
    assert "desk/calls" in gated
