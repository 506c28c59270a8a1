"""A process of its own that runs code of a project or a user: one line per request, one line per response."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self, cast

from tunegate.harness.core.printing import Printer

MOST_OF_A_RESPONSE = 1 << 26  # bytes
MOST_PRINTED, LONGEST_PRINTED = 100, 1000  # lines that it may print, and bytes per line


class Child:
    """A Python program in its own process group; what it prints is shown with its name, after `harmless`."""

    def __init__(
        self, name: str, program: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str],
        harmless: Callable[[str], str] = str,
    ) -> None:  # fmt: skip
        self._name, self._harmless = name, harmless
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-c", program, *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder,
            env=dict(environment), start_new_session=True,
        )  # fmt: skip
        self._requests = cast("IO[bytes]", self._process.stdin)
        self._responses = cast("IO[bytes]", self._process.stdout)
        self._printer = threading.Thread(target=self._print, daemon=True)
        self._printer.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self._requests, self._responses):
            with suppress(OSError):  # the process has ended
                pipe.close()
        kill_group(self._process)
        self._process.wait()
        self._printer.join(1)
        if not self._printer.is_alive():  # a program that it started may hold the other end
            cast("IO[bytes]", self._process.stderr).close()

    def ask(self, request: bytes, seconds: float) -> bytes:
        """Send a line, and wait for the response.

        Raises TimeoutError if it did not respond in time, and was killed; EOFError if it has ended,
        or its response is no line of at most `MOST_OF_A_RESPONSE`.
        """
        late = threading.Event()

        def stop() -> None:
            late.set()
            kill_group(self._process)  # closes its output, which ends the read below

        watchdog = threading.Timer(seconds, stop)
        watchdog.daemon = True
        watchdog.start()
        try:
            self._requests.write(request + b"\n")
            self._requests.flush()
            response = self._responses.readline(MOST_OF_A_RESPONSE)
        except (OSError, ValueError):
            response = b""
        finally:
            watchdog.cancel()
        if response.endswith(b"\n"):
            return response
        if late.is_set():
            raise TimeoutError
        raise EOFError

    def _print(self) -> None:
        """Print what it prints, up to a limit, without interpreting markup."""
        printer = Printer(stderr=True, soft_wrap=True)
        printed = cast("IO[bytes]", self._process.stderr)
        for number, line in enumerate(iter(lambda: printed.readline(LONGEST_PRINTED), b"")):
            if number < MOST_PRINTED:
                text = self._harmless(line.decode("utf-8", "replace").rstrip())
                printer.print(f"{self._name}: {text}", markup=False)


def responses_only() -> IO[str]:
    """In the child: the stream of responses; what its code prints goes to the other one from now on."""
    responses = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)  # shown at once
    return responses


def kill_group(process: subprocess.Popen[Any]) -> None:
    """Kill a session's leading process with its group; on Windows, which has no groups, only the process."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):  # already ended
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
