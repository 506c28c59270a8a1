"""A recording of a server and a gate on it, killed at ten moments: the same command ends with the same files.

What was answered whole is not asked twice, but for what was on its way when the kill came.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.fault_server import Act, FaultServer, Handler, answers, serving
from tests.support.paths import ROOT
from tests.support.records import write_desk, write_policy
from tunegate.harness.core.files import digest
from tunegate.harness.history.ledger.store import LEDGER

CASES, IN_FLIGHT = 40, 4
MOMENTS = (1, 2, 3, 5, 8, 13, 21, 30, 39, 40)  # answers that came before the kill
GATE = ["gate", "--out", "record.json"]
TIMES = frozenset({"created", "when", "after", "digest"})  # and what they bring about
PASSING = frozenset({"cache", "__pycache__", ".tunegate"})


def left(home: Path) -> dict[str, str]:
    """The digest of every file of a project, without times; the events of its ledger by what they say."""
    found: dict[str, str] = {}
    for path in sorted(path for path in home.rglob("*") if path.is_file()):
        inside = path.relative_to(home)
        if PASSING & set(inside.parts) or path.suffix == ".lock" or path.name in (".recording", ".unfinished.json"):
            continue
        text = path.read_bytes()
        said = timeless(json.loads(text)) if path.suffix == ".json" else text.hex()
        name = f"an event {digest(said)[:12]}" if inside.parent.name == LEDGER else inside.as_posix()
        found[name] = digest(said)
    return found


def timeless(data: Any) -> Any:
    """JSON data without what tells the time, or a digest of that."""
    if isinstance(data, dict):
        return {key: timeless(each) for key, each in data.items() if key not in TIMES}
    return [timeless(each) for each in data] if isinstance(data, list) else data


class Killing:
    """Answers, and kills a process once so many cases were answered."""

    def __init__(self) -> None:
        self.answered: Counter[str] = Counter()
        self.process: subprocess.Popen[str] | None = None
        self.after = 0
        self._lock, self._right = threading.Lock(), answers()

    def __call__(self, handler: Handler, body: dict[str, Any]) -> None:
        asked = body["messages"][-1]["content"]
        self._right(handler, body)
        with self._lock:
            self.answered[asked] += asked != "Hello."
            if self.process and self.answered.total() == self.after:
                self.process.send_signal(signal.SIGKILL)


@contextmanager
def started(home: Path, command: list[str]) -> Iterator[subprocess.Popen[str]]:
    own = {**os.environ, "TUNEGATE_CACHE": str(home / "cache"), "PYTHONPATH": str(ROOT / "src")}
    line = [sys.executable, "-m", "tunegate", *command]
    with subprocess.Popen(line, cwd=home, env=own, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as made:
        yield made


def finish(home: Path, command: list[str]) -> str:
    with started(home, command) as process:
        said, _ = process.communicate()
    assert process.returncode == 0, said
    return said


def place(home: Path, server: FaultServer, command: list[str]) -> Path:
    """A project whose model is the server, recorded where the command is the gate."""
    write_desk(home / "fixtures", CASES)
    write_policy(home / "fixtures", triage={"role": "guard", "margin": 0.3})
    settings = f'[tool.tunegate]\nmodel = "{server.model}"\nin-flight = {IN_FLIGHT}\n'
    (home / "pyproject.toml").write_text(settings)
    if command == GATE:
        finish(home, ["record"])
    return home


@pytest.mark.parametrize("command", [["record"], GATE], ids=["record", "gate"])
def test_a_kill_at_any_moment_is_made_good_by_the_same_command(tmp_path: Path, command: list[str]) -> None:
    killing = Killing()
    act: Act = killing
    with serving(act) as server:
        whole = place(tmp_path / "whole", server, command)
        finish(whole, command)
        expected = left(whole)
        for after in MOMENTS:
            home = place(tmp_path / f"after{after}", server, command)
            killing.answered.clear()
            killing.after = after
            with started(home, command) as killing.process:
                killing.process.communicate()
            died, killing.process = killing.process.returncode == -signal.SIGKILL, None
            if not died:
                assert after >= CASES - IN_FLIGHT  # it had ended before the signal came
            assert not (died and (home / "record.json").exists() and left(home) != expected)
            said = finish(home, command)

            assert left(home) == expected, after
            assert set(killing.answered) == {f"message c{number:03}" for number in range(CASES)} | {"Hello."}
            if died:
                # what was asked twice was on its way: sent by the server, and not yet kept
                assert sum(count - 1 for case, count in killing.answered.items() if count > 1) <= 2 * IN_FLIGHT
                is_kept = after > 2 * IN_FLIGHT  # of fewer none may have come
                assert command != GATE or not is_kept or "it resumes with its own outputs" in said
