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
store = Store(Path(sys.argv[1]))
for number in range(10**9):
    store.put(f"key {number}", Completion("case", f"{number} " * 2000))
    print(number, flush=True)
"""


def test_a_killed_writer_leaves_a_readable_store(tmp_path):
    path = tmp_path / "generations.sqlite"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    told = [writer.stdout.readline().strip() for _ in range(20)]
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate()
    with closing(Store(path)) as store:
        for number in told:
            assert store.get(f"key {number}") == Completion("case", f"{number} " * 2000)
        store.put("later", Completion("case", "goes on"))
        assert store.get("later").output == "goes on"
