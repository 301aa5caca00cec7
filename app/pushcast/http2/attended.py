"""Time limits that stand still while this process has no CPU: its own waiting says nothing about a peer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection
from typing import Any, Final, TypeVar

T = TypeVar("T")

_STEP_SECONDS: Final = 0.1


async def any_done(futures: Collection[asyncio.Future[Any]], seconds: float) -> bool:
    """Waits so long for one of these to be done. False when none is, not counting how late this process gets to look.

    It looks every 0.1 s, and a look that comes later counts as one in time: what has come meanwhile is read first.
    """
    left = seconds
    while left > 0 and not any(future.done() for future in futures):
        step = min(left, _STEP_SECONDS)
        await asyncio.wait(futures, timeout=step, return_when=asyncio.FIRST_COMPLETED)
        left -= step
    return any(future.done() for future in futures)


async def within(seconds: float, work: Awaitable[T]) -> T:
    """The result of `work`. Raises TimeoutError when it takes longer, counted as by `any_done`."""
    task = asyncio.ensure_future(work)
    try:
        if not await any_done((task,), seconds):
            raise TimeoutError
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
