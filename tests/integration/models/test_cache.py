"""Kept generations outlive the process that keeps them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.models.api import Completion
from tunegate.harness.models.cache import Store

WRITER = """
import sys
from pathlib import Path
from tunegate.harness.models.cache import Store
from tunegate.harness.models.api import Completion
store = Store(Path(sys.argv[1]), int(sys.argv[2]))
for number in range(10**9):
    store.put(f"{sys.argv[3]}{number:063x}", Completion("case", f"{number} " * 2000))
    print(number, flush=True)
"""


@contextmanager
def writer(path: Path, megabytes: int = 1_000, name: str = "c") -> Iterator[subprocess.Popen[str]]:
    """A process that stores outputs and prints their numbers, until it is killed at the end."""
    command = [sys.executable, "-c", WRITER, str(path), str(megabytes), name]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()


def test_a_killed_writer_leaves_a_readable_store(tmp_path):
    path = tmp_path / "generations.sqlite"
    with writer(path) as process:
        told = [process.stdout.readline().strip() for _ in range(20)]
    with closing(Store(path)) as store:
        for number in told:
            assert store.get(f"c{int(number):063x}") == Completion("case", f"{number} " * 2000)
        store.put("later", Completion("case", "goes on"))
        assert store.get("later").output == "goes on"


def test_several_writers_that_are_killed_leave_a_bounded_store_that_is_whole(tmp_path):
    path = tmp_path / "generations.sqlite"
    with writer(path, 1, "a") as one, writer(path, 1, "b") as other:
        for process in (one, other):
            for _ in range(600):  # 6 MB each, of which 1 MB is to be kept
                assert process.stdout.readline()

    with closing(Store(path, 1)) as store:
        assert store.damaged() == []
        store.put("d" * 64, Completion("case", "goes on"))
    with closing(Store(path, 1)) as store:
        assert store.get("d" * 64).output == "goes on"
        assert store.kept().used_bytes < 8_000_000


def test_runs_that_begin_at_once_open_a_new_store(tmp_path):
    failed = []

    def opens(path: Path, together: threading.Barrier) -> None:
        together.wait()
        try:
            Store(path).close()
        except CouldNotRun as error:
            failed.append(error)

    for number in range(60):
        together = threading.Barrier(8)
        runs = [threading.Thread(target=opens, args=(tmp_path / f"{number}.sqlite", together)) for _ in range(8)]
        for run in runs:
            run.start()
        for run in runs:
            run.join()
    assert failed == []
