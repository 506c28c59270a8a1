"""Child processes, ended with their own children."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from typing import Any


def kill_group(process: subprocess.Popen[Any]) -> None:
    """Kill a session's leading process with its group; on Windows, which has no groups, only the process."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):  # already ended
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
