"""Limits for requests to a server: per minute, and at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

MINUTE = 60.0  # seconds
FEWER = 0.5  # of the concurrent requests, after the server was too busy


class Pace:
    """Spreads amounts evenly over time, across event loops; without a limit there is no wait."""

    def __init__(self, per_minute: int | None) -> None:
        self._each = MINUTE / per_minute if per_minute else 0.0
        self._next = 0.0

    async def take(self, amount: int, wait: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        """Wait for the turn of an amount, with `wait`, which may return early to end the run."""
        now = time.monotonic()
        turn = max(now, self._next)
        self._next = turn + amount * self._each
        await wait(turn - now)


class Room:
    """Limits concurrent requests: fewer after the server was too busy, slowly more otherwise.

    Additive increase, multiplicative decrease: Chiu and Jain, Computer Networks and ISDN Systems 17
    (1989), 1-14.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._allowed = float(most)
        self._inside = self._halvings = 0
        self._freed = asyncio.Condition()

    async def enter(self) -> int:
        """Wait for a place; return a token for `free`."""
        async with self._freed:
            await self._freed.wait_for(lambda: self._inside < max(1, int(self._allowed)))
            self._inside += 1
            return self._halvings

    async def free(self, entered: int, was_busy: bool) -> None:
        """Release a place, and note whether the server was too busy."""
        async with self._freed:
            self._inside -= 1
            if not was_busy:
                self._allowed = min(self._most, self._allowed + 1 / self._allowed)
            elif entered == self._halvings:  # concurrent requests count once
                self._allowed = max(1.0, self._allowed * FEWER)
                self._halvings += 1
            self._freed.notify_all()
