"""`tunegate tour` as a process: recorded answers, the commands that it shows, and the three verdicts."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import replace

from rich.console import Console

from tunegate.harness.tour.walk import STOPS, walk

COMMAND = [sys.executable, "-m", "tunegate", "tour"]


def tour(folder, *arguments, **environment):
    return subprocess.run(
        [*COMMAND, *arguments], cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )  # fmt: skip


def test_it_shows_its_commands_a_baseline_a_release_and_a_block(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")  # of the repository round it

    done = tour(tmp_path, PYTEST_ADDOPTS="-k nothing")

    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    shown = done.stdout
    for stop in STOPS:
        assert f"$ {' '.join(stop.command)}" in shown
    good, bad = shown.split("$ pytest")[1:]
    assert "support/triage: Improved on the baseline" in good
    assert "support/triage: Improved on the baseline" in bad
    assert "support/questions: Regressed" in bad
    assert "support: Blocked: support/questions regressed" in bad
    assert "What to do next" in bad
    assert (tmp_path / "tunegate-tour" / "baselines" / "replay-smollm2" / "support" / "triage.json").is_file()


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("kept")
    (tmp_path / "file").write_text("kept")

    for name in ("mine", "file"):
        done = tour(tmp_path, name)
        assert done.returncode == 4
        assert f"{name}: expected a new or an empty folder, found something in it; name another one" in done.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes"]


def test_a_step_that_ends_otherwise_stops_it(tmp_path, monkeypatch):
    stop = replace(STOPS[0], command=("tunegate", "lint", "nowhere"))
    monkeypatch.setattr("tunegate.harness.tour.walk.STOPS", (stop,))
    shown = io.StringIO()

    assert walk(Console(file=shown, width=200), tmp_path / "tour") == 3
    assert "stopped: expected exit code 0, found 4" in shown.getvalue()
