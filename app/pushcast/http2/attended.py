"""Time limits that stand still while this process has no CPU: its own waiting says nothing about a peer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

T = TypeVar("T")

_STEP_SECONDS: Final = 0.1


async def within(seconds: float, work: Awaitable[T]) -> T:
    """The result of `work`. Raises TimeoutError when it takes longer, not counting how late this process gets to look.

    It looks every 0.1 s, and a look that comes later counts as one in time: what has come meanwhile is read first.
    """
    task = asyncio.ensure_future(work)
    left = seconds
    try:
        while not task.done():
            if left <= 0:
                raise TimeoutError
            step = min(left, _STEP_SECONDS)
            await asyncio.wait({task}, timeout=step)
            left -= step
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
