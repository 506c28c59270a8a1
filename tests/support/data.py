"""A test of data runs where its data changed since it last passed: `@pytest.mark.data("fixtures/support/**/*")`.

What it passed with is known by a digest of the files and of the test's own, in pytest's cache. A fresh clone has none,
so CI runs every such test; with changed code and the same data a developer need not.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from tests.support.paths import ROOT
from tunegate.harness.core.files import digest, file_digest

DIGEST = pytest.StashKey[str]()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose data is as it was."""
    if mark := item.get_closest_marker("data"):
        files = sorted({item.path, *(path for pattern in mark.args for path in ROOT.glob(pattern) if path.is_file())})
        item.stash[DIGEST] = digest([[path.relative_to(ROOT).as_posix(), file_digest(path)] for path in files])
        if item.config.cache is not None and item.config.cache.get(_key(item), "") == item.stash[DIGEST]:
            pytest.skip("its data is as it was when it last passed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    """Keep what a test passed with."""
    report = yield
    if report.when == "call" and report.passed and DIGEST in item.stash and item.config.cache is not None:
        item.config.cache.set(_key(item), item.stash[DIGEST])
    return report


def _key(item: pytest.Item) -> str:
    return f"data/{digest(item.nodeid)[:16]}"
