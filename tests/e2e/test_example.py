"""The example repository, copied out of this one: what its README and its workflow say is there, and works."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.test_guides import ask, follow
from tests.support.example import copy_example, write_answers
from tests.support.paths import ROOT

README = (ROOT / "examples" / "returns" / "README.md").read_text("utf-8")
WORKFLOW = ROOT / "examples" / "returns" / ".github" / "workflows" / "tunegate.yml"
#: What the README speaks of and who copies it will make.
MADE = {"adapters/returns", "outputs.jsonl"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A team's copy, with answers to all cases beside it."""
    folder = copy_example(tmp_path_factory.mktemp("team") / "returns")
    write_answers(folder / "outputs.jsonl", wrong=())
    return folder


def shown_commands() -> Iterator[str]:
    """The commands that README and workflow show and that take a model: minutes, so they are only parsed here."""
    yield from re.findall(r"^    ((?:pytest|tunegate) .*)$", README, re.MULTILINE)
    steps = yaml.safe_load(WORKFLOW.read_text("utf-8"))["jobs"]["gate"]["steps"]
    runs = [step["run"] for step in steps if step.get("run", "").startswith(("pytest ", "tunegate "))]
    yield from (run.replace('${ADAPTER:+"--adapter=$ADAPTER"}', "--adapter=adapters/returns") for run in runs)


def test_what_its_readme_shows_is_what_comes(project, tmp_path):
    assert follow("../examples/returns/README.md", project, tmp_path) == 3


def test_every_file_that_its_readme_names_is_there(project):
    named = set(re.findall(r"`([\w./-]+(?:/|\.\w+)|[\w.-]+/[\w./-]+)`", README))

    assert named >= MADE | {"baselines/", "pyproject.toml", ".github/workflows/tunegate.yml"}
    assert sorted(name for name in named - MADE if not (project / name).exists()) == []


def test_readme_and_workflow_show_the_whole_way():
    shown = " ".join(shown_commands())

    for part in ("lint --format", "--tg-record", "diagnose", "--dry-run", "--tg-adapter", "release", "verify"):
        assert part in shown


@pytest.mark.parametrize("command", sorted(set(shown_commands())))
def test_every_command_is_one(project, command):
    # a command line is read whole before help is shown or anything is collected: what does not exist ends with 2 or 4
    more = "--co -q" if command.startswith("pytest") else "--help"
    done = ask(project, f"{command} {more}")

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_command_that_is_none_is_found_out(project):
    assert ask(project, "tunegate train recipes/returns.yaml --dry-runs --help").returncode == 2
    assert ask(project, "pytest fixtures/ --tg-recordings --co").returncode == 4


def test_one_wrong_answer_is_one_failed_test_in_its_file(project):
    write_answers(project / "one.jsonl", {"bear-eye"})

    done = ask(project, "pytest fixtures/returns/intake.yaml --tg-model=replay:one.jsonl -q")

    assert done.returncode == 1
    assert "fixtures/returns/intake.yaml::bear-eye" in done.stdout
    assert "1 failed, 109 passed" in done.stdout
