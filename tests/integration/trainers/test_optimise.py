"""`tunegate diagnose --optimise-with`: the whole way, with servers as both models, and with a real one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.fault_server import Handler, reply, serving
from tests.support.records import write_desk
from tunegate.harness.cli.main import app
from tunegate.harness.release.diagnosis.diagnosis import read_diagnosis

pytest.importorskip("gepa")

RIGHT = '{"product": "boiler"}'
BETTER = "Reply with JSON only: the key product."
ITEMS = ["radiator", "tap", "kettle", "gutter", "shower", "fence", "lamp", "carpet", "window", "oven", "hinge", "drain"]


def responds(handler: Handler, body: dict[str, Any]) -> None:
    """The critic proposes the better prompt; the other model follows it."""
    messages = body["messages"]
    if body["model"] == "critic":
        output = f"```\n{BETTER}\n```"
    else:
        output = RIGHT if messages[0] == {"role": "system", "content": BETTER} else "Certainly, a boiler."
    handler.send(json.dumps(reply(body, output, model=body["model"])))


def write_rows(path: Path, *more: str) -> None:
    inputs = [f"Good day, the {item} in flat {number} is loose since noon." for number, item in enumerate(ITEMS)]
    lines = [{"input": text, "output": RIGHT} for text in [*inputs, *more]]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A task and rows for it; two of them are a case, and one holds a secret."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNEGATE_CACHE", str(tmp_path / "cache"))
    write_desk(tmp_path / "fixtures", 12, prompt={"system": "Sort it."})
    write_rows(
        tmp_path / "rows.jsonl", "message c003", "Message  C004!", "Call Ann Miller, her key is AKIAIOSFODNN7EXAMPLE"
    )
    return tmp_path


def diagnose(*options: str) -> Any:
    return CliRunner().invoke(app, ["diagnose", "--sample=10", "--optimise-budget=60", *options])


def test_a_better_prompt_is_found_scored_on_the_cases_and_shown(desk):
    with serving(responds) as server:
        model, critic = server.model, server.model.replace("#tuned", "#critic")
        done = diagnose(f"--model={model}", f"--optimise-with={critic}", "--rows=rows.jsonl")

    assert done.exit_code == 0, done.output
    [path] = (desk / "baselines").glob("*/desk/diagnosis.json")
    found = read_diagnosis(path)
    unit, each = found.units["desk/triage"], found.optimised.units["desk/triage"]
    assert found.optimised.left_out == {"with secrets or personal data": 1, "too similar to a case": 2}
    assert (each.rows, each.validation, each.system, each.score) == (6, 6, BETTER, 1.0)
    by_rung = {result.rung: result for result in unit.rungs}
    assert next(iter(by_rung)) == "as-is"
    assert by_rung["optimised"].mean == 1.0
    assert by_rung["optimised"].better
    assert unit.remedy == "prompt"
    assert "desk/triage: Prompt: an optimised prompt takes it from 0.0 % to 100.0 %" in done.output
    assert (
        "optimised: rows that were left out: 1 with secrets or personal data, 2 too similar to a case." in done.output
    )
    assert "{+Reply with JSON only: the key product+}" in done.output
    assert (
        "copy `prompt: system:` from .tunegate/diagnose/desk/triage.prompt.yaml into desk/triage.yaml." in done.output
    )
    assert (desk / ".tunegate/diagnose/desk/triage.prompt.yaml").is_file()
    sent = [json.dumps(asked.body) for asked in server.asked if asked.body["model"] == "critic"]
    assert sent
    assert not [text for text in sent if "message c0" in text.lower() or "AKIA" in text], "cases and secrets stay here"
    assert (desk / ".tunegate/diagnose/desk/optimised.json").is_file()


def test_a_real_model_as_both(desk, tiny_model):
    done = diagnose(f"--model={tiny_model}", f"--optimise-with={tiny_model}", "--rows=rows.jsonl")

    assert done.exit_code == 0, done.output
    [path] = (desk / "baselines").glob("*/desk/diagnosis.json")
    each = read_diagnosis(path).optimised.units["desk/triage"]
    assert not each.is_new
    assert each.proposals > 0
    assert each.rejected
    assert "desk/triage: optimised: no better prompt found on 6 validation rows" in done.output
    assert not list((desk / ".tunegate/diagnose").rglob("*.prompt.yaml"))
