from __future__ import annotations

import asyncio

import pytest

from pushcast.providers.engines import engine
from pushcast.providers.engines.engine import Slots


async def hold(slots: Slots, end: asyncio.Event) -> None:
    async with slots.one():
        await end.wait()


async def test_slots_are_slow_when_all_are_taken_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SLOW_SECONDS", 0.0)
    slots, end = Slots(2), asyncio.Event()
    tasks = [asyncio.create_task(hold(slots, end))]
    await asyncio.sleep(0)
    assert not slots.slow, "another may leave"
    tasks += [asyncio.create_task(hold(slots, end)) for _ in range(2)]
    await asyncio.sleep(0)
    assert slots.slow
    end.set()
    await asyncio.gather(*tasks)
    assert not slots.slow


async def test_a_process_that_comes_late_to_look_calls_nobody_slow_for_it() -> None:
    now = 0.0
    slots, end = Slots(1, lambda: now), asyncio.Event()
    task = asyncio.create_task(hold(slots, end))
    await asyncio.sleep(0)
    for _ in range(3):
        now += 60.0
        assert not slots.slow
    now += 60.0
    assert slots.slow
    end.set()
    await task


async def test_slots_that_are_taken_and_given_back_quickly_are_not_slow() -> None:
    slots, end = Slots(1), asyncio.Event()
    task = asyncio.create_task(hold(slots, end))
    await asyncio.sleep(0)
    assert not slots.slow
    end.set()
    await task
