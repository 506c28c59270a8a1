"""Files and locks between processes, and when one is killed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys

import pytest

WRITER = """
import sys
from pathlib import Path
from tunegate.harness.core.files import write_atomically
for turn in range(10**9):
    write_atomically(Path(sys.argv[1]), f"{turn % 10}" * 1_000_000)
    print(turn, flush=True)
"""


def test_a_file_is_whole_whenever_it_is_read_and_when_its_writer_is_killed(tmp_path):
    path, reads = tmp_path / "record.json", random.Random(0).randrange(200, 400)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    writer.stdout.readline()  # the file exists, and the next write begins

    assert all(is_whole(path.read_bytes()) for _ in range(reads))
    writer.send_signal(signal.SIGKILL)
    writer.communicate()

    assert writer.returncode == -signal.SIGKILL
    assert is_whole(path.read_bytes())


def is_whole(content: bytes) -> bool:
    return content == content[:1] * 1_000_000


KILLED_AT_EACH_STEP = """
import os, signal, sys
from pathlib import Path
from tunegate.harness.core.files import write_atomically

path = Path(sys.argv[1])

def dies(at_step):
    left = at_step

    def trace(frame, event, argument):
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    child = os.fork()
    if not child:
        sys.settrace(trace)
        write_atomically(path, "new")
        os._exit(0)
    return os.waitpid(child, 0)[1] == signal.SIGKILL

path.write_text("old")
step = 1
while dies(step):
    print(path.read_text() or "(empty)")
    path.write_text("old")
    step += 1
"""


def test_a_write_that_is_killed_at_any_of_its_steps_leaves_the_old_file_or_the_new(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", KILLED_AT_EACH_STEP, str(tmp_path / "a.json")],
        capture_output=True,
        text=True,
        check=True,
    )

    left = run.stdout.split()
    old = left.count("old")
    assert left == ["old"] * old + ["new"] * (len(left) - old)
    assert 10 < old < len(left)


COUNTER = """
import sys
from pathlib import Path
from tunegate.harness.core.files import locked
path = Path(sys.argv[1])
for _ in range(50):
    with locked(path):
        path.write_text(str(int(path.read_text()) + 1))
"""
HOLDER = """
import sys
from pathlib import Path
from tunegate.harness.core.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_keeps_processes_apart(tmp_path):
    path = tmp_path / "count"
    path.write_text("0")

    counters = [subprocess.Popen([sys.executable, "-c", COUNTER, str(path)]) for _ in range(3)]

    assert [counter.wait() for counter in counters] == [0, 0, 0]
    assert path.read_text() == "150"


def test_a_lock_is_released_when_its_holder_is_killed(tmp_path):
    path = tmp_path / "deep" / "file"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    waiter = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )

    with pytest.raises(subprocess.TimeoutExpired):
        waiter.wait(timeout=0.5)
    holder.kill()
    holder.communicate()

    assert waiter.communicate()[0] == b"held\n"
