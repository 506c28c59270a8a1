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


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this run alone, the same for all workers."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> None:
    """Keep generations and models of the tests out of the user's cache; CI may keep the converted model."""
    own = tmp_path_factory.getbasetemp() / "cache"
    if not own.exists():
        own.mkdir()
        (shared / "models").mkdir(exist_ok=True)
        (own / "models").symlink_to(shared / "models")  # a model is converted once for all workers
    os.environ["TUNEGATE_CACHE"] = os.environ.get("TUNEGATE_TEST_CACHE", str(own))


@pytest.fixture(scope="session")
def once(shared: Path) -> Kept:
    """Gives the folder of a name, filled by a function once a run, for all workers."""
    return lambda name, fill: _filled(shared / name, "made", fill)


@pytest.fixture(scope="session")
def kept(pytestconfig: pytest.Config) -> Kept:
    """Gives the folder of a name, filled by a function once for all workers and for later runs."""
    home = pytestconfig.cache.mkdir("kept")  # `pytest --cache-clear` empties it
    return lambda name, fill: _filled(home / name, _made_with(home, Path(fill.__code__.co_filename)), fill)


def _filled(place: Path, key: str, fill: Fill) -> Path:
    """A folder by the place's own name, whole or not there; those of other keys go, and what a killed run left."""
    made, part = place / key, place / "part"
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place / "lock"):
        if not made.exists():
            for old in place.iterdir():
                if old.is_dir():
                    shutil.rmtree(old)
            (part / place.name).mkdir(parents=True)
            fill(part / place.name)
            part.rename(made)
    return made / place.name  # an adapter is known by the name of its folder


@cache
def _made_with(home: Path, filler: Path) -> str:
    """A digest of the sources and versions that decide what is made, and of the place, which some of it names."""
    sources = [path for source in SOURCES for path in (ROOT / source).rglob("*") if path.suffix not in {"", ".pyc"}]
    texts = {str(path): file_digest(path) for path in [*sources, filler]}
    versions = {name: version(name) for name in LIBRARIES}
    return digest([str(home), platform.python_version(), versions, texts])[:16]
