"""`tunegate lint` as a process."""

from __future__ import annotations

import pytest

from tests.support.forked import run_program
from tests.support.units import write_unit
from tests.unit.review.lint.test_rules import cases


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder `fixtures` of two tasks, in the working directory, with a mistake in the second one."""
    monkeypatch.chdir(tmp_path)
    write_unit(tmp_path / "fixtures", cases(3))
    write_unit(tmp_path / "fixtures", ["a"], "orders")
    write_unit(tmp_path / "fixtures", ["a", "a"], task="shop")
    return tmp_path / "fixtures"


def run(folder, *arguments):
    return run_program("tunegate", "lint", *arguments, folder=folder)


def test_the_command_exits_4_on_mistakes_and_shows_no_trace(tmp_path):
    write_unit(tmp_path, ["a", "a b"])

    found = run(tmp_path, ".")

    assert (found.returncode, found.stdout) == (4, "")
    assert found.stderr.startswith("1 mistake to fix before anything can run:\n  desk/triage.yaml:1: cases[1].id: ")
    assert "Traceback" not in found.stderr


def test_the_command_passes_with_warnings_unless_it_is_strict(tmp_path):
    write_unit(tmp_path / "fixtures", ["a"])

    loose, strict = run(tmp_path), run(tmp_path, "--strict")

    assert (loose.returncode, strict.returncode) == (0, 4)
    assert loose.stdout == strict.stdout
    assert loose.stdout.startswith("desk/triage: 1 schema case\nfixtures/desk/triage.yaml:1: warning: desk")
    assert loose.stdout.endswith("\n1 task, 1 unit, 1 case: no mistakes, 2 warnings\n")


def test_the_command_annotates_pull_requests(desk):
    found = run(desk.parent, "--format", "github")

    first, last = found.stdout.splitlines()
    assert first.startswith("::error file=fixtures/shop/triage.yaml,line=1,title=tunegate lint::cases[1].id: expected ")
    assert (last, found.returncode, found.stderr) == ("1 mistake", 4, "")
