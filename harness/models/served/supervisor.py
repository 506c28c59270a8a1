"""A program that runs a command, and ends it with all its children when the parent process is gone.

    python -I supervisor.py COMMAND ...

Its stdin ends when its parent does: normally, by an error or by a kill.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from types import FrameType

GRACE = 10.0  # seconds between the request to end and the kill
PR_SET_PDEATHSIG = 1


def supervise(command: list[str]) -> int:
    """Run a command in a process group of its own; return its exit status."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_end_with_parent)

    def asked_to_end(_signal: int, _frame: FrameType | None) -> None:
        end(process)

    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, asked_to_end)
    threading.Thread(target=_until_left, args=(process,), daemon=True).start()
    status = process.wait()
    _signal_group(process, signal.SIGKILL)  # children that outlived it
    return status


def _end_with_parent() -> None:
    """Let the system end the command if this program is killed, where that is supported."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # Linux


def _until_left(process: subprocess.Popen[bytes]) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group: by SIGTERM, then by SIGKILL."""
    _signal_group(process, signal.SIGTERM)
    until = time.monotonic() + GRACE
    while time.monotonic() < until and process.poll() is None:
        time.sleep(0.05)
    _signal_group(process, signal.SIGKILL)


def _signal_group(process: subprocess.Popen[bytes], what: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # already gone
        os.killpg(process.pid, what)


if __name__ == "__main__":
    sys.exit(supervise(sys.argv[1:]))
