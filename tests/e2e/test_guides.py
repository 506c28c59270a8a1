"""The guides: every block of code in them is done in order, in a project of its own, and shows what the guide shows.

A path in backticks on a line of its own names the file of the blocks below: `yaml`, `toml`, `python` and `json` blocks
are the file. In a `console` block `$` begins a command, of which ` > FILE` takes its stdout; the lines below it stand
in its output, in that order, and `exit code N` is what it ends with (0 where nothing is said).
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.example import cases, copy_example, write_answers
from tests.support.forked import run_program
from tests.support.guides import GUIDES, blocks
from tests.support.paths import ROOT

PLUGIN = (
    "-p", "no:cacheprovider", "-p", "tunegate.harness.session.pytest_plugin.plugin",
    "-W", "ignore::pytest.PytestAssertRewriteWarning",
)  # fmt: skip
MORE: dict[str, tuple[str, ...]] = {"tunegate": (), "pytest": PLUGIN}


@dataclass(frozen=True)
class Command:
    """A command of a console block, what it must say, and how it must end."""

    line: str
    says: tuple[str, ...]
    code: int


def commands(text: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, *says = part.splitlines()
        ends = [each for each in says if each.startswith("exit code ")]
        yield Command(line, tuple(each for each in says if each not in ends), int(ends[0].split()[-1]) if ends else 0)


def follow(guide: str, project: Path, home: Path) -> int:
    """Do what a guide says in `project`; returns the number of commands."""
    count = 0
    for block in blocks(ROOT / "docs" / guide):
        assert block.kind, f"{guide}:{block.line}: expected a block with its language"
        if block.kind == "console":
            for command in commands(block.text):
                run(command, project, home)
                count += 1
        else:
            (project / block.file).parent.mkdir(parents=True, exist_ok=True)
            (project / block.file).write_text(block.text, "utf-8")
    return count


def ask(folder: Path, line: str, is_merged: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a command line as a user would, without this repository's own folders."""
    program, *arguments = shlex.split(line)
    if program in MORE:
        given = (program, *MORE[program], *arguments)
        return run_program(*given, folder=folder, is_merged=is_merged, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    what = [sys.executable if program == "python" else program, *arguments]
    errors = subprocess.STDOUT if is_merged else subprocess.PIPE
    return subprocess.run(what, cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True, check=False)


def run(command: Command, project: Path, home: Path) -> None:
    line, _, into = command.line.replace("~", str(home)).partition(" > ")
    ended = ask(project, line, is_merged=not into)
    assert ended.returncode == command.code, f"$ {command.line}\n{ended.stdout}"
    if into:
        (project / into).write_text(ended.stdout, "utf-8")
    rest = ended.stderr if into else ended.stdout
    for line in command.says:
        assert line in rest, f"$ {command.line}\nshould go on with {line!r}:\n{rest}"
        rest = rest.partition(line)[2]


@pytest.fixture
def home(tmp_path):
    """A home folder with this repository in it."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "tunegate").symlink_to(ROOT)
    return tmp_path / "home"


@pytest.mark.parametrize("guide", GUIDES)
def test_what_a_guide_shows_is_what_comes(tmp_path, home, guide):
    (tmp_path / "project").mkdir()

    assert follow(guide, tmp_path / "project", home) == GUIDES[guide]


def test_a_check_rewards_the_loops_of_others(tmp_path, home, tiny_model):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "model").symlink_to(tiny_model)

    assert follow("reward.md", tmp_path / "project", home) == 2


def test_verdicts_and_diffs_read_as_the_guide_for_reviewers_says(tmp_path, home):
    project = copy_example(tmp_path / "project")
    intake, questions = cases("intake"), [each.id for each in cases("questions")]
    tenth = {"kettle-flash", *(each.id for each in intake[::10])}
    prose = "I am sorry to hear that! I will pass it on."
    write_answers(project / "outputs/old.jsonl", {*tenth, *(each.id for each in intake[::2]), *questions[::8]}, prose)
    write_answers(project / "outputs/better.jsonl", {*tenth, *questions[::8]})
    chat = {each.id for each in intake if each.tags["channel"] == "chat"}
    write_answers(project / "outputs/careless.jsonl", {"kettle-flash", *chat, *questions[::8]})

    assert follow("review.md", project, home) == 4


def test_a_guide_that_shows_what_is_not_so_is_found_out(tmp_path):
    with pytest.raises(AssertionError, match="should go on with"):
        run(Command("echo hello", ("goodbye",), 0), tmp_path, tmp_path)
    with pytest.raises(AssertionError):
        run(Command("false", (), 0), tmp_path, tmp_path)
