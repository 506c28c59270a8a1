"""So many a minute, and no more: whoever asks waits for his turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

MINUTE = 60.0  # seconds


class Pace:
    """Spreads amounts evenly over time, whichever loop of events they are asked in; without a limit nobody waits."""

    def __init__(self, per_minute: int | None) -> None:
        self._each = MINUTE / per_minute if per_minute else 0.0
        self._next = 0.0

    async def take(self, amount: int, wait: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        """Wait for the turn of an amount, by `wait`, which may come back earlier where nothing is asked any more."""
        now = time.monotonic()
        turn = max(now, self._next)
        self._next = turn + amount * self._each
        await wait(turn - now)
