"""Processes that are forked from one that has loaded the libraries, which takes longer than most of them do."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.paths import ROOT

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.support.loaded"])
PROGRAM = (
    "import sys; from runpy import run_module\nsys.argv = {}\nrun_module({!r}, run_name='__main__', alter_sys=True)"
)


@dataclass(frozen=True)
class Started:
    """A process of its own, and what it says; used as one of `subprocess`."""

    process: multiprocessing.process.BaseProcess
    said: Path
    errors: Path

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.join()

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode

    @property
    def stdout(self) -> Iterator[str]:
        """The lines that it says, as they come."""
        line, ended = "", False
        with self.said.open() as stream:
            while not ended:
                ended = self.poll() is not None  # what it said until then is read once more
                while part := stream.readline():
                    line += part
                    if line.endswith("\n"):
                        yield line
                        line = ""
                time.sleep(0.01)

    def poll(self) -> int | None:
        return self.process.exitcode

    def kill(self) -> None:
        self.process.kill()

    def send_signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def communicate(self) -> tuple[str, str]:
        self.process.join()
        return self.said.read_text(), self.errors.read_text()


def start(code: str, folder: Path, environment: Mapping[str, str], is_merged: bool = False) -> Started:
    """Run code in a process of its own, in a folder; where it is merged, errors stand among what it says."""
    said, errors = (Path(tempfile.mkstemp(dir=folder.parent, prefix=name)[1]) for name in ("said", "errors"))
    streams = (said, said if is_merged else errors)
    process = FORKS.Process(target=_run, args=(code, folder, dict(environment), streams))
    with pytest.MonkeyPatch.context() as patch:  # the first one starts the process that forks
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("OMP_NUM_THREADS", "1")
        process.start()
    return Started(process, said, errors)


def _run(code: str, folder: Path, environment: Mapping[str, str], streams: tuple[Path, Path]) -> None:
    for number, path in enumerate(streams, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
    os.environ.update(environment)
    os.chdir(folder)
    exec(code, {"__name__": "__main__"})  # noqa: S102


def start_program(module: str, *arguments: str, folder: Path, is_merged: bool = False, **environment: str) -> Started:
    """Run `python -m module` with arguments in a process of its own, in a folder."""
    code = PROGRAM.format([module, *arguments], module)
    return start(code, folder, {**os.environ, **environment}, is_merged)


def run_program(
    module: str, *arguments: str, folder: Path, is_merged: bool = False, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The same to its end; as `subprocess.run` gives it."""
    process = start_program(module, *arguments, folder=folder, is_merged=is_merged, **environment)
    said, errors = process.communicate()
    return subprocess.CompletedProcess([module, *arguments], process.returncode or 0, said, errors)
