"""The rule of this folder holds: tests/unit/conftest.py refuses what is no unit test."""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from tests.support.systems import posix
from tests.unit.conftest import pytest_runtest_setup


@posix
def test_a_process_is_refused():
    for start in [
        lambda: subprocess.run(["true"]),
        lambda: os.posix_spawn("/bin/true", ["true"], {}),
        lambda: os.fork(),
    ]:
        with pytest.raises(pytest.fail.Exception, match="starts a process"):
            start()


def test_a_heavy_import_is_refused_whether_it_is_loaded_or_not():
    with pytest.raises(pytest.fail.Exception, match="imports torch"):
        import torch  # noqa: F401

    with pytest.raises(pytest.fail.Exception, match=r"imports safetensors\.torch"):
        from safetensors.torch import load_file  # noqa: F401


def test_a_library_may_import_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", torch := ModuleType("torch"))

    assert builtins.__import__("torch", {"__name__": "scipy.special"}) is torch


@pytest.mark.parametrize("fixture", ["pytester", "tiny_model"])
def test_costly_fixtures_are_refused(fixture):
    with pytest.raises(pytest.fail.Exception, match=f"asks for {fixture}"):
        pytest_runtest_setup(SimpleNamespace(fixturenames=["tmp_path", fixture]))
