"""A tiny installed distribution with entry points, for tests of the seams that packages hang on."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tunegate.harness.core.entry_points import entries_of


@contextmanager
def installed(site: Path, code: str, monkeypatch: pytest.MonkeyPatch, **groups: Mapping[str, str]) -> Iterator[Path]:
    """Install a package `tone` 1.0 with one module, `tone_code`, and entry points by group; return the module's file.

    A group is given by the last part of its name: `models` for `tunegate.models`.
    """
    info = site / "tone-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "tone_code.py").write_text(code, "utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tone\nVersion: 1.0\n", "utf-8")
    lines = [
        line for group, entries in groups.items()
        for line in (f"[tunegate.{group}]", *(f"{name} = {value}" for name, value in entries.items()))
    ]  # fmt: skip
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", "utf-8")
    monkeypatch.syspath_prepend(site)
    entries_of.cache_clear()
    try:
        yield site / "tone_code.py"
    finally:
        entries_of.cache_clear()
        sys.modules.pop("tone_code", None)
