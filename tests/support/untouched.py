"""What belongs to this checkout, and no test may write to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.paths import ROOT

LEDGER = ROOT / "baselines/ledger"


@pytest.fixture(autouse=True)
def _committed_ledger() -> Iterator[None]:
    """Fail a test that tells this checkout's ledger of a look: a commit of it would say that somebody had looked."""
    before = LEDGER.stat().st_mtime_ns
    yield
    assert LEDGER.stat().st_mtime_ns == before, (
        f"this test, or one that ran beside it, wrote into {LEDGER}: give it --baselines of its own; git status shows "
        "what to delete"
    )
