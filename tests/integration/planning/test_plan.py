"""`tunegate plan` as a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.test_imports import loaded
from tests.support.records import record, save, units_of, write_desk, write_policy
from tests.unit.planning.test_plan import T
from tunegate.harness.fixtures.loader import load_tasks
from tunegate.harness.gate.rule import compare


@pytest.fixture
def desk(tmp_path, monkeypatch) -> Path:
    """A project with fixtures, a baseline and a record against it: of 120 cases 2 regressed and 50 were fixed."""
    monkeypatch.chdir(tmp_path)
    write_desk(tmp_path / "fixtures", 120)
    write_policy(tmp_path / "fixtures", triage={"role": "target", "margin": 0.1})
    tasks = load_tasks(tmp_path / "fixtures")
    base = record(tasks, {T: "11" + "0" * 118})
    save(tmp_path / "baselines", base, list(units_of(tasks).values()))
    tuned = record(tasks, {T: "00" + "1" * 50 + "0" * 68}, adapter="a" * 64)
    compare(tasks, tuned, {"baseline": base}, ["desk"]).write(tmp_path / "run.json")
    return tmp_path


def test_the_command_loads_nothing_heavy(desk):
    code = "from tunegate.harness.cli.main import app; app(['plan'], standalone_mode=False)"

    assert loaded(code, folder=desk) == []
