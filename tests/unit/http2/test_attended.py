"""Time limits that stand still while the process has no CPU."""

from __future__ import annotations

import asyncio
import time

import pytest

from pushcast.http2.attended import within


async def test_work_that_ends_in_time_gives_its_result() -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        return "done"

    assert await within(10.0, work()) == "done"


async def test_what_work_raises_comes_through() -> None:
    async def work() -> None:
        raise OSError("refused")

    with pytest.raises(OSError, match="refused"):
        await within(10.0, work())


async def test_work_that_takes_longer_is_cancelled_before_it_is_said() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(TimeoutError):
        await within(0.01, work())
    assert ended.is_set()


async def test_a_process_without_cpu_does_not_use_up_the_time_of_its_work() -> None:
    """Its work needs few looks. Each comes after a stretch without CPU; together these are longer than the limit."""

    async def work() -> str:
        for _ in range(8):
            time.sleep(0.2)
            await asyncio.sleep(0)
        return "done"

    assert await within(1.0, work()) == "done"


async def test_work_is_cancelled_with_whoever_waits_for_it() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    waiting = asyncio.create_task(within(10.0, work()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()
