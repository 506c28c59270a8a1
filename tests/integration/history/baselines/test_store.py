"""Recorded baselines under pytest, and between processes."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

from tests.support.records import record, write_desk
from tests.unit.history.baselines.test_store import T, file_of, read_units
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.history.baselines.matching import how_to_record
from tunegate.harness.history.baselines.store import read_baseline
from tunegate.harness.models.api import Fingerprint


@pytest.fixture
def home(tmp_path):
    """A folder of fixtures with one unit of three cases, and a folder of baselines beside it."""
    write_desk(tmp_path / "fixtures", 3)
    return tmp_path


def test_the_command_selects_that_unit_under_pytest(project):
    project.unit(["a"])
    project.unit(["b"], "replies")
    (unit,) = [each for each in load_tasks(project.fixtures)[0].units if each.name == "triage"]
    arguments = shlex.split(how_to_record(unit, Fingerprint({}, {})))[1:]
    result = project.pytester.runpytest_inprocess(*arguments, "--collect-only", "-q")
    [found] = [line for line in result.outlines if "::" in line]
    assert found.endswith("fixtures/desk/triage.yaml::a")


# two writers


WRITER = """
import sys
from pathlib import Path
from tunegate.harness.history.baselines.store import state
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import Refused
from tunegate.harness.models.evaluation.record import read_record
from tunegate.harness.history.baselines.recording import write_baselines
home, slug = Path(sys.argv[1]), "tiny-12345678"
record = read_record(home / sys.argv[2])
units = [unit for task in load_tasks(home / "fixtures") for unit in task.units if unit.key in record.units]
print("ready", flush=True)
sys.stdin.read(1)
for _ in range(30):
    try:
        write_baselines(home / "baselines", slug, record, units, state(home / "baselines", slug, units))
    except Refused:
        continue
"""


def test_two_writers_at_once_leave_whole_files_of_one_or_the_other(home):
    for name in ("replies", "wording"):
        write_desk(home / "fixtures", 3, name)
    tasks = load_tasks(home / "fixtures")
    record(tasks, {T: "101", "desk/replies": "110"}).write(home / "one.json")
    record(tasks, {T: "001", "desk/wording": "011"}).write(home / "two.json")
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(home), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for name in ("one.json", "two.json")
    ]
    for writer in writers:  # both have imported all they need, and start together
        writer.stdout.readline()
    for writer in writers:
        writer.stdin.write(b"x")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0, 0]
    for unit in read_units(home):
        rows = {T: ("101", "001"), "desk/replies": ("110",), "desk/wording": ("011",)}[unit.key]
        found = read_baseline(file_of(home, unit.key), unit.key)
        assert "".join(str(int(result.passed)) for result in found.results.values()) in rows
    assert not list((home / "baselines").rglob("*.part"))
