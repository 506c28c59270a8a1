"""`tunegate import` as a process: what it writes passes lint, is collected and runs, and nothing is overwritten."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.forked import run_program
from tests.support.hostile_imports import OK, result
from tests.support.imports import config, put


def tunegate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_program("tunegate", *arguments, folder=folder)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", [["import", "desk"], ["init", "desk", "--from", "desk"]])
def test_a_configuration_becomes_a_task(tmp_path, command):
    put(tmp_path / "desk/promptfooconfig.yaml", config(OK, {"type": "is-json"}, {"type": "python", "value": "x"}))
    done = tunegate(tmp_path, *command)
    written = set(files(tmp_path)) - {"desk/promptfooconfig.yaml"}

    assert (done.returncode, done.stderr) == (0, "")
    assert written == {f"fixtures/desk/{name}.yaml" for name in ("text", "json", "scored", "task")}
    assert all(f"wrote {name}" in done.stdout for name in written)
    assert "left out: python 1 (code, which is not run)" in done.stdout
    assert "next: tunegate lint, then pytest fixtures/ --tg-model=MODEL" in done.stdout
    assert tunegate(tmp_path, "lint").returncode == 0
    (tmp_path / "fixtures/desk/scored.yaml").unlink()  # promptfoo has no results yet
    policy = yaml.safe_load((tmp_path / "fixtures/desk/task.yaml").read_text())
    del policy["units"]["scored"]
    put(tmp_path / "fixtures/desk/task.yaml", policy)
    keys = ("desk/text/case-001", "desk/json/case-001")
    (tmp_path / "out.jsonl").write_text("".join(json.dumps({"case": key, "output": '"ok"'}) + "\n" for key in keys))
    ran = run_program("pytest", "fixtures", "-q", "--tg-model=replay:out.jsonl", folder=tmp_path)
    assert "2 passed" in ran.stdout


def test_results_run_on_their_recorded_outputs_at_once(tmp_path):
    rows = [result(testIdx=0), result(testIdx=1, response={"output": "no"}), result(testIdx=0, provider={"id": "b"})]
    put(tmp_path / "r.json", {"results": {"stats": {}, "results": rows}})
    done = tunegate(tmp_path, "import", "r.json", "desk")

    assert "replay:desk-echo=outputs/desk-echo.jsonl" in done.stdout
    assert (tmp_path / "outputs/desk-b.jsonl").read_text().count("\n") == 1
    assert "1 failed, 1 passed" in run_program("pytest", "fixtures", "-q", folder=tmp_path).stdout


def test_nothing_that_stands_is_changed(tmp_path):
    put(tmp_path / "r.json", {"results": {"stats": {}, "results": [result()]}})
    (tmp_path / "pyproject.toml").write_text('[tool.tunegate]\nmodel = "mine"\n')
    tunegate(tmp_path, "import", "r.json")
    before = files(tmp_path)
    again = tunegate(tmp_path, "import", "r.json")

    assert (again.returncode, again.stdout) == (4, "")
    assert "expected new files, found fixtures/r/text.yaml" in again.stderr
    assert files(tmp_path) == before
    assert before["pyproject.toml"] == b'[tool.tunegate]\nmodel = "mine"\n'


@pytest.mark.parametrize(
    "option", ["--rows=20", "--system=Sort it.", "--limit=50", "--suite=vocabulary", "--model=smollm2"]
)
def test_an_option_of_tables_does_not_go_unheard_with_a_file_of_another_tool(tmp_path, option):
    put(tmp_path / "goldens.json", [{"input": f"question {n}", "expected_output": "yes"} for n in range(40)])
    done = tunegate(tmp_path, "init", "desk", "--from", "goldens.json", option)

    assert done.returncode == 2
    name = option.partition("=")[0]
    assert f"{name}: goldens.json is a file of another tool, whose tests are imported as they are" in done.stderr
    assert set(files(tmp_path)) == {"goldens.json"}
