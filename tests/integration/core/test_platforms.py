"""Windows, as far as Linux can show it: what it lacks is not imported, and what cannot be had there is told."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tunegate.harness.cli.gate import _become
from tunegate.harness.core.child import kill_group
from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.models.served.vllm_process import find_installation

IMPORT_ALL = """
import importlib, os, pkgutil, signal, sys

def import_all():
    import tunegate
    found = {each.name for each in pkgutil.walk_packages(tunegate.__path__, "tunegate.")} - {"tunegate.__main__"}
    return [importlib.import_module(name) for name in sorted(found)]

import_all()  # with the libraries, which have their own ways on Windows
for name in [name for name in sys.modules if name.partition(".")[0] == "tunegate"]:
    del sys.modules[name]
sys.modules |= dict.fromkeys(["fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"])
for name in ("fork", "getuid", "killpg", "mkfifo", "setsid", "O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK"):
    delattr(os, name)
for name in ("SIGALRM", "SIGHUP", "SIGKILL", "setitimer"):
    delattr(signal, name)
print("IMPORTED", len(import_all()))
"""


def test_every_module_is_imported_without_what_windows_lacks(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], cwd=tmp_path, capture_output=True, encoding="utf-8", check=False
    )

    assert done.returncode == 0, done.stderr
    assert int(done.stdout.rpartition("IMPORTED")[2]) > 300


def test_the_exit_code_of_a_gate_that_began_again_is_its_own(monkeypatch):
    monkeypatch.setattr(os, "name", "nt")

    with pytest.raises(SystemExit) as ended:
        _become([sys.executable, "-c", "raise SystemExit(3)"])

    assert ended.value.code == 3


def test_without_groups_the_process_is_killed_by_itself(monkeypatch):
    monkeypatch.delattr(os, "killpg")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        kill_group(process)

        assert process.wait() < 0


def test_vllm_is_refused_with_a_way_round(monkeypatch):
    monkeypatch.setattr(os, "name", "nt")

    with pytest.raises(CouldNotRun, match="found Windows, where vLLM does not run; use a server on another machine"):
        find_installation()
