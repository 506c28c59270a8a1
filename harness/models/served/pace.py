"""No more than a server takes: so many a minute, and so many at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

MINUTE = 60.0  # seconds
FEWER = 0.5  # of those at a time, once the server was too busy for them


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


class Room:
    """Bounds the requests at a time: fewer where the server is too busy for them, slowly more where it is not.

    Additive increase, multiplicative decrease: Chiu and Jain, Computer Networks and ISDN Systems 17 (1989), 1-14.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._allowed = float(most)
        self._inside = self._halvings = 0
        self._freed = asyncio.Condition()

    async def enter(self) -> int:
        """Wait for a place; returns what is given back with it."""
        async with self._freed:
            await self._freed.wait_for(lambda: self._inside < max(1, int(self._allowed)))
            self._inside += 1
            return self._halvings

    async def free(self, entered: int, was_busy: bool) -> None:
        """Give a place back, and say whether the server was too busy for it."""
        async with self._freed:
            self._inside -= 1
            if not was_busy:
                self._allowed = min(self._most, self._allowed + 1 / self._allowed)
            elif entered == self._halvings:  # those that were asked together are one reason
                self._allowed = max(1.0, self._allowed * FEWER)
                self._halvings += 1
            self._freed.notify_all()
