"""Kept generations outlive the process that keeps them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing

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


def writer(path, megabytes: int = 1_000, name: str = "c") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), str(megabytes), name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_killed_writer_leaves_a_readable_store(tmp_path):
    path = tmp_path / "generations.sqlite"
    process = writer(path)
    told = [process.stdout.readline().strip() for _ in range(20)]
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    with closing(Store(path)) as store:
        for number in told:
            assert store.get(f"c{int(number):063x}") == Completion("case", f"{number} " * 2000)
        store.put("later", Completion("case", "goes on"))
        assert store.get("later").output == "goes on"


def test_several_writers_that_are_killed_leave_a_bounded_store_that_is_whole(tmp_path):
    path = tmp_path / "generations.sqlite"
    processes = [writer(path, 1, name) for name in ("a", "b")]
    for process in processes:
        for _ in range(600):  # 6 MB each, of which 1 MB is to be kept
            assert process.stdout.readline()
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()

    with closing(Store(path, 1)) as store:
        assert store.damaged() == []
        store.put("d" * 64, Completion("case", "goes on"))
    with closing(Store(path, 1)) as store:
        assert store.get("d" * 64).output == "goes on"
        assert store.kept().used_bytes < 8_000_000
