"""What `tunegate tour` refuses, and where it stops; tests/e2e/test_installed.py takes it."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from tests.support.forked import run_program
from tunegate.harness.begin.tour.walk import STOPS, walk


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("kept")
    (tmp_path / "file").write_text("kept")

    for name in ("mine", "file"):
        done = run_program("tunegate", "tour", name, folder=tmp_path)
        assert done.returncode == 4
        assert f"{name}: expected a new or empty folder, found files in it; name another one" in done.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes"]


def test_a_step_that_ends_otherwise_stops_it(tmp_path, monkeypatch):
    stop = replace(STOPS[0], command=("tunegate", "lint", "nowhere"))
    monkeypatch.setattr("tunegate.harness.begin.tour.walk.STOPS", (stop,))
    shown = io.StringIO()

    assert walk(Console(file=shown, width=200), tmp_path / "tour") == 3
    assert "stopped: expected exit code 0, found 4" in shown.getvalue()
