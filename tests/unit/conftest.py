"""Unit tests start no process, run no pytest inside pytest, and load no model: the one who does is told so here."""

from __future__ import annotations

import builtins
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy.testing  # noqa: F401  (old ones start a process when they are imported: before the guard)
import pytest

STARTS = frozenset({"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system"})
HEAVY = frozenset({"torch", "transformers", "peft", "trl", "datasets", "accelerate", "sentence_transformers", "ray"})
COSTLY = frozenset({"pytester", "tiny_model"})  # fixtures, and with them all that use them
OURS = frozenset({"tunegate", "harness", "trainers", "suites", "tests"})
ELSEWHERE = "expected a unit test, found one that {}; move it to tests/integration"

#: What needs a further extra is left out where the core alone is installed, as by `make lowest`.
NEEDS_MORE = [
    "release", "trainers", "models/test_constrained.py", "privacy/test_memorization.py",
]  # fmt: skip
collect_ignore = [] if find_spec("torch") else NEEDS_MORE

_guarded = False  # an audit hook stays for good: it speaks inside `guarded` alone


def _audit(event: str, _arguments: tuple[Any, ...]) -> None:
    if _guarded and event in STARTS:
        pytest.fail(ELSEWHERE.format(f"starts a process ({event})"))


sys.addaudithook(_audit)


@contextmanager
def guarded() -> Iterator[None]:
    """Refuse processes and heavy imports; a library may look for torch, our own code may not."""
    global _guarded
    before, real = _guarded, builtins.__import__

    def without_heavy(name: str, globals: Any = None, *rest: Any, **more: Any) -> Any:
        importer = ((globals or {}).get("__name__") or "").partition(".")[0]
        if importer in OURS and HEAVY & set(name.split(".")):
            pytest.fail(ELSEWHERE.format(f"imports {name}"))
        return real(name, globals, *rest, **more)

    _guarded, builtins.__import__ = True, without_heavy
    try:
        yield
    finally:
        _guarded, builtins.__import__ = before, real


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    """Test modules are imported under the guard."""
    with guarded():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Tests and their fixtures run under the guard; this hook alone is called for the tests of other folders too."""
    with guarded() if _is_unit(item) else nullcontext():
        return (yield)


def _is_unit(item: pytest.Item) -> bool:
    return item.path.is_relative_to(Path(__file__).parent)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse fixtures that are costly, also where another test has made them already."""
    if found := COSTLY & set(getattr(item, "fixturenames", ())):
        pytest.fail(ELSEWHERE.format(f"asks for {', '.join(sorted(found))}"))


@pytest.fixture(scope="session")
def _empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("empty")


@pytest.fixture(autouse=True)
def _elsewhere(_empty: Path) -> Iterator[None]:
    """A test runs in an empty folder: no settings of the repository count, and what it reads there it finds by ROOT."""
    before = Path.cwd()
    os.chdir(_empty)
    yield
    os.chdir(before)
