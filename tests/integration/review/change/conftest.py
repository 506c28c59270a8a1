"""Repositories on a branch for a change: made once, copied for each test, and the working directory of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.gated import make_repository, with_own_checks
from tests.support.prompted import desk, server

__all__ = ["desk", "server"]  # for both tests of configurations


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """Two repositories to be copied: `plain`, and `own` with an approved check of its own."""
    folder, before = tmp_path_factory.mktemp("made"), Path.cwd()
    try:
        for name in ("plain", "own"):
            (folder / name).mkdir()
            os.chdir(folder / name)
            make_repository(folder / name)
            if name == "own":
                with_own_checks()
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def copied(made, tmp_path, monkeypatch) -> Callable[[str], Path]:
    """Copies one of them, and makes the copy the working directory."""

    def copy(name: str) -> Path:
        home = tmp_path / "repo"
        shutil.copytree(made / name, home, symlinks=True)
        monkeypatch.chdir(home)
        return home

    return copy


@pytest.fixture
def repository(copied) -> Path:
    """A repository with a task, its baseline, and outputs that are better; a branch for a change."""
    return copied("plain")


@pytest.fixture
def own(copied) -> Path:
    """The same with an own check, checks.py, which the branch `main` has too."""
    return copied("own")
