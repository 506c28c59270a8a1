"""Samples of a real model, tiny: drawn by their seeds, cached, of an adapter too, and trained on as pairs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.units import write_unit
from tunegate.harness.cli.main import app

#: Some of what the random model writes passes: what begins with a letter, a digit or a sign.
EVEN = {"schema": {"type": "string", "pattern": "^[!-~]"}, "extract": "text"}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cases = [{"id": "a", "input": "message"}]
    write_unit(tmp_path / "fixtures", [], cases=cases, check=EVEN, generate={"max_new_tokens": 200})
    inputs = [{"unit": "triage", "input": f"Ticket {number}."} for number in range(4)]
    (tmp_path / "inputs.jsonl").write_text("".join(json.dumps(each) + "\n" for each in inputs))
    return tmp_path


def distil(model, *options):
    arguments = ["distil", "desk", "inputs.jsonl", f"--model={model}", "--samples=8", "--pairs", "--output=rows.jsonl"]
    done = CliRunner().invoke(app, [*arguments, "--temperature=1", *options])
    assert done.exit_code == 0, done.output
    return Path("rows.jsonl").read_text(), Path("rows.pairs.jsonl").read_text()


def test_samples_are_drawn_by_their_seeds_and_an_adapter_has_its_own(project, tiny_model, make_adapter):
    rows, pairs = distil(tiny_model)

    assert len({json.loads(line)["output"] for line in rows.splitlines()}) > 1
    assert all("rejected" in json.loads(line) for line in pairs.splitlines())
    assert distil(tiny_model) == (rows, pairs)
    assert distil(tiny_model, "--fresh") == (rows, pairs)
    assert distil(tiny_model, f"--adapter={make_adapter('one')}") != (rows, pairs)
    teacher = json.loads(Path("rows.teacher.json").read_text())["teacher"]
    assert (teacher["samples"], teacher["temperature"]) == (8, 1.0)
    assert " with " in teacher["name"]
