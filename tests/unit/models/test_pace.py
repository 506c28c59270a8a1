"""How many requests a server is asked at a time."""

from __future__ import annotations

import asyncio

import pytest

from tunegate.harness.models.served.pace import Room


async def _allowed(room: Room) -> int:
    """How many are let in; none of them leaves."""
    inside = 0
    while True:
        try:
            async with asyncio.timeout(0.01):
                await room.enter()
        except TimeoutError:
            return inside
        inside += 1


@pytest.mark.parametrize(("bursts", "allowed"), [(0, 32), (1, 16), (2, 8), (9, 1)])
def test_a_burst_that_was_too_much_is_one_reason_to_ask_for_less(bursts, allowed):
    async def after() -> int:
        room = Room(32)
        for burst in range(bursts):
            entered = [await room.enter() for _ in range(max(1, 32 >> burst))]
            for each in entered:
                await room.free(each, was_busy=True)
        return await _allowed(room)

    assert asyncio.run(after()) == allowed


def test_one_refusal_after_another_is_a_reason_each():
    async def after() -> int:
        room = Room(32)
        for _ in range(2):
            await room.free(await room.enter(), was_busy=True)
        return await _allowed(room)

    assert asyncio.run(after()) == 8
