"""What runs ask a model for at this moment: a second run waits for those outputs, and does not pay for them again."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.core.files import locked

PAUSE, PER_KEY = 0.2, 1e-4  # seconds between two checks of what another run has finished, and for each key


class ClaimTable(Protocol):
    """Where claims are kept."""

    def claim(self, keys: Sequence[str], owner: str) -> dict[str, str]:
        """Claim the keys that have no owner; return the owner of each."""

    def disclaim(self, owner: str) -> None:
        """Delete the claims of an owner."""


class RunClaims:
    """The claims of one run; those of a run that was killed are void, since its lock is free."""

    def __init__(self, table: ClaimTable, folder: Path) -> None:
        self._table, self._folder = table, folder
        self._process = f"{os.getpid()}-"
        self.owner = self._process + uuid.uuid4().hex

    def take(self, keys: Sequence[str]) -> frozenset[str]:
        """Claim what no other run asks for; return it."""
        owners = self._table.claim(keys, self.owner)
        # a process never waits for itself
        others = {owner for owner in owners.values() if not owner.startswith(self._process)}
        for owner in others:
            self._clear_if_dead(owner)
        return frozenset(key for key, owner in owners.items() if owner not in others)

    def release(self) -> None:
        """Give up what was claimed."""
        self._table.disclaim(self.owner)

    def _clear_if_dead(self, owner: str) -> None:
        try:
            with locked(self._folder / owner, seconds=0):
                self._table.disclaim(owner)
        except TimeoutError:  # it is running
            return
        _lock_of(self._folder, owner).unlink(missing_ok=True)


@contextmanager
def claiming(table: ClaimTable, folder: Path) -> Iterator[RunClaims]:
    """Yield the claims of a run, whose lock is held meanwhile."""
    claims = RunClaims(table, folder)
    try:
        with locked(folder / claims.owner):
            try:
                yield claims
            finally:
                with suppress(CouldNotRun):  # a closed store keeps them: without the lock they are void
                    claims.release()
    finally:
        _lock_of(folder, claims.owner).unlink(missing_ok=True)


def wait(keys: int) -> None:
    """Pause until it is time to check this number of keys again."""
    time.sleep(PAUSE + PER_KEY * keys)


def _lock_of(folder: Path, owner: str) -> Path:
    return folder / f"{owner}.lock"
