"""A GGUF file, served by llama.cpp (the wheel xllamacpp) on loopback while it is evaluated."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from tunegate.harness.core.errors import CouldNotRun, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.extras import need
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.backends import OPENAI

NAME = "gguf"  # of the model, for the server
SLOTS = 4  # concurrent outputs
READY_SECONDS = 600
SAID = 400  # characters of its log in a message
#: In a process of its own: its output goes to a file, and a crash does not affect ours. It ends with its stdin, even
#: if this process is killed.
PROGRAM = """
import os, sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.model_alias = sys.argv[1], {sys.argv[2]}
params.n_parallel, params.n_ctx, params.port = int(sys.argv[3]), int(sys.argv[4]), 0
threads = os.environ.get("OMP_NUM_THREADS", "")  # as many as torch uses: threads wait for each other at each step
if threads.isdecimal() and int(threads):
    params.cpuparams.n_threads = int(threads)
server = xllamacpp.Server(params)
os.write(1, (server.listening_address + chr(10)).encode())
sys.stdin.read()
os._exit(0)  # a normal exit waits for active requests
"""


@contextmanager
def serving_gguf(path: Path, room: int, watch: Watch) -> Iterator[str]:
    """The name (`openai:URL#MODEL`) of a server for the file; CouldNotRun if llama.cpp is missing or cannot load it.

    `room` is the maximum of tokens, prompt and output together.
    """
    need("xllamacpp")
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        command = [sys.executable, "-I", "-c", PROGRAM, str(path), NAME, str(SLOTS), str(SLOTS * room)]
        process = subprocess.Popen(
            command, encoding="utf-8", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )  # fmt: skip
        try:
            with watch(f"Loading {path.name} into llama.cpp"):
                address = _address(process, path, log)
            yield f"{OPENAI.prefix}{address}/v1#{NAME}"
        finally:
            process.kill()
            process.communicate()


def _address(process: subprocess.Popen[str], path: Path, log: IO[str]) -> str:
    watchdog = threading.Timer(READY_SECONDS, process.kill)
    watchdog.daemon = True
    watchdog.start()
    address = cast("IO[str]", process.stdout).readline().strip()  # empty if it has ended
    watchdog.cancel()
    if not address.startswith("http"):
        process.kill()
        process.wait()
        log.seek(0)
        said = shown(log.read()[-SAID:].strip()) or "nothing"
        raise CouldNotRun(f"{show_path(path)}: expected a model that llama.cpp can load, found: {said}")
    return address
