"""`tunegate traffic`: what it keeps, what it refuses, and what it never says."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from tunegate.harness.cli.main import app


def run(*arguments: str, lines: list[str] = ["the boiler leaks", "no heat", "the boiler leaks"]):  # noqa: B006
    Path("log.jsonl").write_text("".join(json.dumps({"input": line}) + "\n" for line in lines))
    return CliRunner().invoke(app, ["traffic", "log.jsonl", "--traffic=kept", *arguments])


def test_each_input_is_kept_once_and_named_by_digest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    done = run()

    [path] = Path("kept").iterdir()
    assert done.exit_code == 0, done.output
    assert f"traffic: sha256:{path.stem}" in done.stdout.splitlines()
    assert "2 different inputs of 3 lines" in done.stdout
    assert "An input that was sent several times counts once" in done.stdout


def test_personal_data_is_refused_by_line_and_never_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = ["no heat", "write to anna.meier@gmail.com"]

    done = run(lines=lines)

    assert done.exit_code == 4
    assert "log.jsonl:2: expected no private data, found e-mail address" in done.output
    assert "anna" not in done.output
    assert not Path("kept").exists()
    assert run("--allow-personal= ", lines=lines).exit_code == 2
    assert run("--allow-personal=They agreed.", lines=lines).exit_code == 0
