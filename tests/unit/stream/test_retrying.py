"""A step of a stage that is cancelled: by somebody, or because of what it waits for."""

from __future__ import annotations

import asyncio

import pytest

from pushcast.stream.retrying import retried


async def waiting_for(future: asyncio.Future[None]) -> None:
    async def step() -> None:
        await future

    await retried("batch t[0]@7", step, lambda: False)


async def test_a_task_that_is_told_to_end_ends() -> None:
    task = asyncio.create_task(waiting_for(asyncio.get_running_loop().create_future()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_step_that_nobody_told_to_end_raises_what_ends_the_process() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(waiting_for(future))
    await asyncio.sleep(0)
    future.cancel()
    with pytest.raises(RuntimeError, match=r"batch t\[0\]@7 waited for something that was cancelled"):
        await task


async def test_a_step_that_is_late_by_a_timeout_of_its_own_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushcast.stream.retrying.FIRST_BACKOFF_SECONDS", 0.001)
    calls = 0

    async def step() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()

    await retried("step", step, lambda: False)
    assert calls == 2
