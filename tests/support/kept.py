"""What is costly to make is made once and kept, until a source or a library that it is made with changes."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pytest
from filelock import FileLock

from tests.support.paths import ROOT
from tunegate.harness.core.files import digest, file_digest

SOURCES = ("harness", "trainers", "suites", "tests/support")
LIBRARIES = ("torch", "transformers", "peft", "trl", "tokenizers", "safetensors", "numpy", "scikit-learn")

Fill = Callable[[Path], object]
Kept = Callable[[str, Fill], Path]


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep generations and models of the tests out of the user's cache; CI may keep the converted model."""
    own = tmp_path_factory.getbasetemp() / "cache"
    os.environ["TUNEGATE_CACHE"] = os.environ.get("TUNEGATE_TEST_CACHE", str(own))


@pytest.fixture(scope="session")
def kept(pytestconfig: pytest.Config) -> Kept:
    """Gives the folder of a name, filled by a function once: for all workers, and for later runs."""
    home = pytestconfig.cache.mkdir("kept")  # `pytest --cache-clear` empties it

    def folder(name: str, fill: Fill) -> Path:
        place = home / name
        made, part = place / _made_with(home, Path(fill.__code__.co_filename)), place / "part"
        with FileLock(f"{place}.lock"):
            if not made.exists():
                shutil.rmtree(place, ignore_errors=True)
                part.mkdir(parents=True)
                fill(part)
                part.rename(made)  # whole, or not there
        return made

    return folder


@cache
def _made_with(home: Path, filler: Path) -> str:
    """A digest of the sources and versions that decide what is made, and of the place, which some of it names."""
    sources = [path for source in SOURCES for path in (ROOT / source).rglob("*") if path.suffix not in {"", ".pyc"}]
    texts = {str(path): file_digest(path) for path in [*sources, filler]}
    versions = {name: version(name) for name in LIBRARIES}
    return digest([str(home), platform.python_version(), versions, texts])[:16]
