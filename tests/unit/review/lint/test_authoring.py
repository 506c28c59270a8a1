"""The mistakes that people make while they write YAML, and what `tunegate lint` says: a golden file to be judged.

After a change that is meant: `make golden`, then read the file's diff.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.authoring import MISTAKES, PROJECT, Mistake
from tests.support.paths import GOLDEN as FOLDER
from tunegate.harness.cli.main import app

GOLDEN = FOLDER / "authoring.md"
TASK = Path("fixtures/desk")
ALL = [mistake for mistakes in MISTAKES.values() for mistake in mistakes]
HEAD = """\
# Mistakes that authors make, and what they are told

Each edit below is made in a copy of a small valid project, and `tunegate lint` then says this and nothing else about it
(but that its units are small). With a mistake nothing runs, exit code 4; with a warning all does.

"""
USUAL = (
    "cannot rule out a loss",
    " is shown to lose less than ",
)  # the project is small, so its units are


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """The small project, in the working directory."""
    monkeypatch.chdir(tmp_path)
    for name, text in PROJECT.items():
        save(name, text.encode())


def save(name: str, text: bytes) -> None:
    path = TASK / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)


def told() -> tuple[list[str], int]:
    """What lint says beside the counts and sizes, and its exit code."""
    run = CliRunner().invoke(app, ["lint", "fixtures"])
    if run.exit_code == 4:
        return [line.strip() for line in run.stderr.splitlines()[1:]], 4
    lines = [line for line in run.stdout.splitlines() if ": warning: " in line]
    return [line for line in lines if not any(each in line for each in USUAL)], run.exit_code


def edited(mistake: Mistake) -> str:
    before = PROJECT.get(mistake.file, "")
    assert before.count(mistake.old) >= 1, mistake.title
    return before.replace(mistake.old, mistake.new, 1) if mistake.old else mistake.new


def shown(mistake: Mistake) -> list[str]:
    """The edit as a reviewer sees it; of a new file its name says enough."""
    if not mistake.old:
        return [f"A new file `{TASK / mistake.file}`."]
    lines = difflib.unified_diff(PROJECT[mistake.file].splitlines(), edited(mistake).splitlines(), n=0, lineterm="")
    changed = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
    if len(changed) > 6:
        changed = [*changed[:3], "...", *changed[-1:]]
    visible = [line.replace("\t", "<TAB>").replace("\u200b", "<U+200B>") for line in changed]
    saved = f", saved as {mistake.encoding}" if mistake.encoding != "utf-8" else ""
    return [f"`{TASK / mistake.file}`{saved}", "", "```diff", *visible, "```"]


def test_the_project_without_a_mistake_is_clean():
    assert told() == ([], 0)


def test_there_are_forty_and_more_of_them_and_each_is_told():
    assert len({mistake.title for mistake in ALL}) == len(ALL) >= 40


@pytest.mark.golden
def test_what_authors_are_told_is_what_the_golden_file_says():
    parts = [HEAD]
    number = 0
    for heading, mistakes in MISTAKES.items():
        parts.append(f"## {heading}\n\n")
        for mistake in mistakes:
            number += 1
            save(mistake.file, edited(mistake).encode(mistake.encoding))
            said, code = told()
            assert said, mistake.title
            assert len(said) <= 2, f"{mistake.title}: {said}"
            assert code == (0 if ": warning: " in said[0] else 4)
            parts.append("\n".join([f"### {number}. {mistake.title}", "", *shown(mistake), "", *quoted(said), "", ""]))
            restore(mistake)
    found = "".join(parts).rstrip() + "\n"
    if os.environ.get("TUNEGATE_GOLDEN") == "write":
        GOLDEN.write_text(found, "utf-8")
    assert GOLDEN.read_text("utf-8") == found


def quoted(lines: list[str]) -> list[str]:
    return ["```text", *lines, "```"]


def restore(mistake: Mistake) -> None:
    if mistake.file in PROJECT:
        save(mistake.file, PROJECT[mistake.file].encode())
    else:
        (TASK / mistake.file).unlink()
