"""What a provider may close an account for is asked before it is added to a project with a hosted model."""

from __future__ import annotations

from dataclasses import replace

import pytest
from typer.testing import CliRunner

from tunegate.harness.begin.guards import packs
from tunegate.harness.cli.main import app

UNSAFE = replace(packs.PACKS["data"], sends="unsafe requests")
HOSTED = "openai:https://api.example.com/v1#small"
QUESTION = f"each run would send 60 unsafe requests to {HOSTED}, from the account of its key"


@pytest.fixture(autouse=True)
def of_the_tests(monkeypatch):
    monkeypatch.setattr(packs, "PACKS", {**packs.PACKS, "data": UNSAFE})


@pytest.fixture
def added(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(model: str, answer: str, *names: str) -> tuple[int, str, list[str]]:
        (tmp_path / "pyproject.toml").write_text(f"[tool.tunegate]\nmodel = '{model}'\n")
        done = CliRunner().invoke(app, ["guards", "add", *names], input=answer)
        return done.exit_code, done.output, sorted(path.stem for path in tmp_path.glob("fixtures/guards/*"))

    return run


@pytest.mark.parametrize(("answer", "code", "files"), [
    ("y\n", 0, ["data", "general", "task"]), ("n\n", 4, []), ("\n", 4, []), ("", 4, []), ("maybe\n", 4, []),
])  # fmt: skip
def test_without_a_yes_nothing_is_written(added, answer, code, files):
    done = added(HOSTED, answer, "general", "data")
    assert (done[0], done[2]) == (code, files)
    assert QUESTION in done[1]


def test_nothing_is_asked_where_the_model_is_here_and_of_other_packs(added):
    assert added("smollm2", "", "data")[::2] == (0, ["data", "task"])
    assert added(HOSTED, "", "general")[::2] == (0, ["data", "general", "task"])


def test_a_pack_that_is_there_is_not_asked_again(added):
    added(HOSTED, "y\n", "data")
    code, said, _ = added(HOSTED, "", "data")
    assert (code, "nothing to add" in said, QUESTION in said) == (0, True, False)
