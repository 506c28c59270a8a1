"""Shards under pytest: which tests run, how they end, and the command that joins them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.integration.session.pytest_plugin.test_gate import BAD, GUARD, IDS, answers, told
from tests.support.project import Project
from tunegate.harness.cli.main import app

COUNT = 4


@pytest.fixture
def triage(project: Project) -> Project:
    """Twenty cases, of which the first three miss, in two folders of suites and fixtures."""
    project.unit(IDS)
    project.policy(triage=GUARD)
    project.replay(answers(wrong=3), "--tg-out=whole.json")
    return project


def ask(project: Project, number: int, *arguments: str) -> pytest.RunResult:
    return project.run(
        "--tg-model=replay:outputs.jsonl", f"--tg-shard={number}/{COUNT}", f"--tg-out=shard-{number}.json", *arguments
    )


def test_a_shard_runs_the_tests_of_its_own_cases(triage: Project) -> None:
    done = [ask(triage, number) for number in range(1, COUNT + 1)]
    counts = [each.parseoutcomes() for each in done]
    assert [each["deselected"] for each in counts] == [15] * COUNT
    assert sum(each.get("passed", 0) for each in counts) == 17
    # what misses counts where all are merged: a matrix of jobs must not fail for it
    assert sum(each.get("xfailed", 0) for each in counts) == 3
    assert [each.ret for each in done] == [0] * COUNT
    assert "shard 1/4: 5 of 20 cases, kept in shard-1.json; tunegate merge joins all shards" in told(done[0])


def test_the_fixture_files_by_themselves_are_divided_alike(triage: Project) -> None:
    ask(triage, 2)
    other = triage.pytester.runpytest(
        "fixtures/", "--tg-model=replay:outputs.jsonl", f"--tg-shard=2/{COUNT}", "--tg-out=other.json"
    )
    assert other.ret == 0
    names = [list(triage.record(name)["record"]["cases"]) for name in ("shard-2.json", "other.json")]
    assert names[0] == names[1]


def test_a_case_without_an_answer_fails_its_shard(triage: Project) -> None:
    (triage.path / "outputs.jsonl").write_text("")
    assert ask(triage, 1).parseoutcomes()["failed"] == 5


def test_shards_are_merged_and_gated(triage: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, COUNT + 1):
        ask(triage, number)
    monkeypatch.chdir(triage.path)
    files = [f"shard-{number}.json" for number in range(1, COUNT + 1)]
    done = CliRunner().invoke(app, ["merge", *files, "--against=whole.json", "--out=merged.json"])
    assert done.exit_code == 0, done.output
    assert "record: merged.json" in done.output
    merged, whole = triage.record("merged.json"), triage.record("whole.json")
    assert merged["cases"] == whole["cases"]
    assert merged["verdicts"]["desk/triage"]["verdict"] == "held"


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--tg-shard=5/4", "--tg-out=s.json"], "expected a shard and the number of shards, such as 3/8, found '5/4'"),
        (["--tg-shard=1/21", "--tg-out=s.json"], "expected at most 20 shards, one per group of cases"),
        (
            ["--tg-shard=1/4"],
            "--tg-shard 1/4: expected a file to write it to, found none; name one with --tg-out SHARD.json",
        ),
        (["--tg-shard=1/4", "--tg-out=s.json", "-k", "case01"], "--tg-shard divides whole units only, found a part of"),
        (["--tg-shard=1/4", "--tg-out=s.json", "--tg-against=whole.json"], "a shard has no verdict"),
    ],
)
def test_what_is_no_shard_is_refused_before_anything_is_asked(triage: Project, arguments: list, found: str) -> None:
    done = triage.run("--tg-model=replay:outputs.jsonl", *arguments)
    assert done.ret == 4
    assert found in told(done)
    assert not Path(triage.path / "s.json").exists()


def test_the_cases_of_a_shard_are_shown(triage: Project) -> None:
    triage.replay(dict.fromkeys(answers(), BAD))
    done = ask(triage, 1, "--co", "-q")
    assert sum("::" in line for line in done.outlines) == 5
