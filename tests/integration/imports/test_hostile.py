"""Files to import as an attacker would write them: nothing runs, is read or written outside; errors are clear."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.hostile_imports import ATTACKS, SECRET
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cli.main import app
from tunegate.harness.imports.recognise import import_source

RUNS = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect"})
STRIKE = "import os\nopen({canary!r}, 'w').write('struck')\n"
NAMES = ("js", "cjs", "mjs", "ts", "py", "rb", "sh", "go")

_watched: list[tuple[str, Any]] | None = None  # an audit hook stays for good: it listens only inside `watching`


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _watched is not None and (event in RUNS or event == "open"):
        _watched.append((event, arguments))


sys.addaudithook(_audit)


@contextmanager
def watching() -> Iterator[list[tuple[str, Any]]]:
    """Every program that is started, every connection, and every file that is opened."""
    global _watched
    _watched = []
    try:
        yield _watched
    finally:
        _watched = None


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with a folder `in` of hostile files, scripts that strike a canary, and secrets outside of it."""
    home = tmp_path / "home"
    (home / "in/a").mkdir(parents=True)
    for kind in NAMES:
        script = home / f"in/evil.{kind}"
        script.write_text(
            f"#!/bin/sh\ntouch {home / 'canary'}\n" if kind == "sh" else STRIKE.format(canary=str(home / "canary"))
        )
        script.chmod(0o755)
    for kind in ("txt", "jsonl", "yaml", "json"):
        (home / f"secret.{kind}").write_text(f'{{"input": "{SECRET}", "ideal": "x"}}\n')
    with (home / "big").open("wb") as stream:
        stream.truncate(200 << 20)
    (home / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(home / "tmp"))
    (home / "work").mkdir()
    monkeypatch.chdir(home / "work")
    return home


def files(home: Path) -> set[str]:
    return {path.relative_to(home).as_posix() for path in home.rglob("*") if not path.is_dir()}


def opened_outside(events: list[tuple[str, Any]], home: Path) -> list[str]:
    """The files that were opened beside `in`, the project and the folder for temporary files."""
    found = []
    for event, (path, *_) in events:
        if event == "open" and isinstance(path, str | bytes | os.PathLike):
            real = os.path.realpath(os.fsdecode(path))
            inside = [os.path.realpath(home / name) for name in ("in", "work", "tmp")]
            if real.startswith(os.path.realpath(home)) and not any(real.startswith(each) for each in inside):
                found.append(real)
    return found


def test_there_are_enough_of_them():
    assert len(ATTACKS) >= 60


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_file(project, name):
    attack = ATTACKS[name]
    path = project / "in" / attack.name
    path.unlink(missing_ok=True)
    attack.put(path)
    before = files(project)
    with watching() as events:
        done = CliRunner().invoke(app, ["import", str(path), *(["--input", "q"] if path.suffix == ".csv" else [])])
    written = files(project) - before

    assert isinstance(done.exception, SystemExit | None), done.exception
    assert done.exit_code == (0 if attack.taken else 4), done.output
    assert attack.says in done.output.replace("\n", "")
    assert not (project / "canary").exists()
    assert [event for event, _ in events if event in RUNS] == []
    assert opened_outside(events, project) == []
    assert SECRET not in done.output
    assert all(each.startswith(("work/fixtures/", "work/outputs/", "work/pyproject.toml")) for each in written), written
    assert bool(written) is attack.taken
    if attack.taken:
        [task] = load_tasks(project / "work/fixtures")
        assert task.units
    else:
        assert done.stderr.count("\n") == 1, "an error is one line"


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/b", "..", ""])
def test_the_name_of_a_task_leads_nowhere(project, name):
    ATTACKS["an assertion in Python"].put(path := project / "in/promptfooconfig.yaml")
    done = CliRunner().invoke(app, ["import", str(path), name])

    assert done.exit_code == (2 if name else 0)
    assert not [each for each in files(project) if "evil" in each.rpartition("/")[0]]


@pytest.mark.parametrize("name", ["promptfooconfig.yaml", "rows.jsonl"])
def test_a_folder_whose_file_is_a_link_is_refused(project, name):
    (project / "in" / name).symlink_to(project / "secret.jsonl")
    done = CliRunner().invoke(app, ["import", str(project / "in")])

    assert done.exit_code == 4
    assert "found one outside" in done.output
    assert SECRET not in done.output


def test_a_file_in_the_way_is_kept(project):
    ATTACKS["an assertion in Python"].put(path := project / "in/promptfooconfig.yaml")
    kept = project / "work/fixtures/in/text.yaml"
    kept.parent.mkdir(parents=True)
    kept.symlink_to(project / "secret.txt")
    done = CliRunner().invoke(app, ["import", str(path)])

    assert done.exit_code == 4
    assert "nothing was written" in done.output
    assert SECRET in (project / "secret.txt").read_text()


def test_a_pattern_that_takes_for_ever_is_bounded_when_it_scores(project):
    ATTACKS["a pattern that takes for ever"].put(path := project / "in/promptfooconfig.yaml")
    assert import_source(path).cases
    assert CliRunner().invoke(app, ["import", str(path)]).exit_code == 0
    [task] = load_tasks(project / "work/fixtures")
    [case] = task.units[0].cases

    assert case.check("a" * 50_000, None, "").score == 0
