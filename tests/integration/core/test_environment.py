"""A machine that refuses: a full disk, a folder that may only be read, a clock that was put back, a log in ASCII."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.units import write_outputs, write_unit
from tunegate.harness.cli.main import app
from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.core.files import write_atomically, write_json
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.evaluation.runs import next_name
from tunegate.harness.models.options.run import Options
from tunegate.harness.session.run import Session

GOOD = '{"product": "boiler"}'


@pytest.fixture
def desk(tmp_path, monkeypatch) -> Path:
    write_unit(tmp_path / "fixtures", ["a", "b"])
    write_outputs(tmp_path / "outputs.jsonl", {"desk/triage/a": GOOD, "desk/triage/b": "caf\u00e9 \u202e"})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(**options: object) -> Session:
    session = Session(Options(Path.cwd(), "replay:outputs.jsonl", **options))
    session.selection.select([], session.selection.units())
    session.execute(quiet())
    return session


FILLS = """
import resource, sys
from pathlib import Path
from tunegate.harness.cli.main import main
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
sys.argv = ["tunegate", *sys.argv[1:]]
main()
"""


def test_a_disk_that_fills_leaves_the_old_file_and_no_part(tmp_path, monkeypatch):
    path = tmp_path / "record.json"
    write_json(path, {"old": 1})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CouldNotRun, match=r"record\.json: it cannot be written \(No space left on device\)"):
        write_json(path, {"new": 1})

    assert path.read_text() == '{\n "old": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_a_command_on_a_disk_that_fills_ends_with_3_in_one_line(desk):
    requests = CliRunner().invoke(app, ["prompts"]).stdout
    (desk / "requests.jsonl").write_text(requests)
    command = ["record", "--from=outputs.jsonl", "--name=gpt", "--requests=requests.jsonl", "--quiet"]
    done = subprocess.run([sys.executable, "-c", FILLS, *command], capture_output=True, text=True)

    assert done.returncode == 3, done.stderr
    assert "it cannot be written (File too large)" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(desk.rglob("*.part"))
    assert not list(desk.glob("baselines/**/*.json"))


@pytest.mark.parametrize("call", ["tempfile.mkstemp", "os.replace"])
def test_a_folder_that_may_only_be_read_is_told(tmp_path, monkeypatch, call):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(f"tunegate.harness.core.files.{call}", refuse)
    with pytest.raises(CouldNotRun, match=r"a\.json: it cannot be written \(Read-only file system\) and is unchanged"):
        write_atomically(tmp_path / "a.json", "new")
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_should_be_ends_with_3_in_one_line(desk):
    (desk / ".tunegate").write_text("a file")
    with pytest.raises(OSError, match=r"tunegate") as caught:
        run()
    from tunegate.harness.core.crashes import as_tunegate_error

    told = as_tunegate_error(caught.value, desk)
    assert isinstance(told, CouldNotRun)
    assert "\n" not in str(told)
    assert "unexpected" not in str(told)
    assert ".tunegate/runs: expected folders on the way, found a file: nothing was decided; fix that" in str(told)


# --- the clock


class Clock(datetime):
    """Stands where it is put."""

    at = datetime(2026, 3, 29, 2, 30, tzinfo=UTC)

    @classmethod
    def now(cls, tz: object = None) -> datetime:
        return cls.at


def test_a_run_after_the_clock_was_put_back_is_still_the_last(desk, monkeypatch):
    monkeypatch.setattr("tunegate.harness.models.evaluation.runs.datetime", Clock)
    names = []
    for back in (timedelta(0), timedelta(hours=1), timedelta(0), timedelta(days=400)):
        monkeypatch.setattr(Clock, "at", Clock.at - back)
        names.append(run().records[0].path.name)

    assert names == sorted(set(names))
    assert sorted(path.name for path in (desk / ".tunegate" / "runs").glob("*.json")) == names


def test_a_file_of_another_name_among_the_runs_moves_no_name(tmp_path):
    (tmp_path / "zzz.json").write_text("")
    (tmp_path / "20200101T000000.000000.json").write_text("")
    assert next_name(tmp_path)[:4] == f"{datetime.now(UTC):%Y}"


# --- a log in ASCII


def test_a_log_that_takes_ascii_only_ends_no_command(desk):
    run(out=desk / "caf\u00e9.json")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    for command in (["report", "caf\u00e9.json"], ["report", "caf\u00e9.json", "--json"]):
        done = subprocess.run([sys.executable, "-m", "tunegate", *command], capture_output=True, env=environment)
        assert done.returncode == 0, done.stderr
        assert b"\xe2\x80\xae" not in done.stdout
