"""Processes that were started here, ended with what they began."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from typing import Any


def kill_group(process: subprocess.Popen[Any]) -> None:
    """Kill a process that leads a session of its own, with its group; Windows has no groups: the process by itself."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):  # it has ended
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
