"""Files that decide stay as they were read, and modules that are imported late are those that were installed."""

from __future__ import annotations

import importlib
import os
import py_compile
import sys
from contextlib import suppress

import pytest

from tunegate.harness.checks.unchanged import Snapshot, importing_unchanged
from tunegate.harness.core.errors import Refused


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules" / "growing").mkdir(parents=True)
    (tmp_path / "rules" / "a.yaml").write_text("a: 1")
    return tmp_path / "rules"


def test_nothing_changed(folder):
    kept = Snapshot([folder], [folder / "growing"])
    (folder / "growing" / "event.json").write_text("{}")
    (folder / ".recording.lock").write_text("")
    kept.check()


@pytest.mark.parametrize("change", [
    lambda path: path.write_text("a: 2"),
    lambda path: (path.write_text("a: 2"), path.write_text("a: 1")),
    lambda path: path.unlink(),
    lambda path: os.replace(path, path.with_name("b.yaml")),
    lambda path: (path.with_name("c").write_text("a: 1"), os.replace(path.with_name("c"), path)),
    lambda path: path.with_name("new.yaml").write_text(""),
    lambda path: (path.write_text("a: 2"), os.utime(path, (1, 1))),
])  # fmt: skip
def test_a_change_is_refused_with_the_file(folder, change):
    kept = Snapshot([folder])
    _wait()
    change(folder / "a.yaml")
    with pytest.raises(Refused, match=r"rules/\w+\.yaml.*: changed while the gate ran; nothing was decided"):
        kept.check()


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name in ("tg_late", "tg_early"):
        with suppress(KeyError):
            del sys.modules[name]


def test_a_module_that_was_there_is_imported(site):
    (site / "tg_late.py").write_text("x = 1")
    os.utime(site / "tg_late.py", (1, 1))
    importlib.invalidate_caches()
    _wait()
    with importing_unchanged():
        assert importlib.import_module("tg_late").x == 1


@pytest.mark.parametrize("text", ["x = 2", "raise SystemExit"])
def test_a_module_that_came_or_changed_meanwhile_is_not(site, text):
    (site / "tg_late.py").write_text("x = 1")
    with importing_unchanged():
        (site / "tg_late.py").write_text(text)
        importlib.invalidate_caches()
        with pytest.raises(Refused, match="tg_late: expected an install that stays unchanged"):
            importlib.import_module("tg_late")


def test_bytecode_that_came_meanwhile_is_passed_over(site):
    (site / "tg_late.py").write_text("x = 1")
    (site / "evil.py").write_text("x = 'evil'")
    _wait()
    with importing_unchanged():
        cached = importlib.util.cache_from_source(str(site / "tg_late.py"))
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(str(site / "evil.py"), cached, invalidation_mode=mode)
        importlib.invalidate_caches()
        assert importlib.import_module("tg_late").x == 1


def test_the_file_of_a_module_that_was_imported_stays_as_it_was(site):
    (site / "tg_early.py").write_text("x = 1")
    importlib.invalidate_caches()
    importlib.import_module("tg_early")
    _wait()
    with pytest.raises(Refused, match="tg_early"), importing_unchanged():
        (site / "tg_early.py").write_text("x = 1")


def _wait() -> None:
    """Until the clock of files has gone on: it counts in steps of some milliseconds."""
    import time

    time.sleep(0.02)
