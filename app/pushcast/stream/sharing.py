"""How the sources of one partition share the time of a stage: what is ahead has nine tenths of it while it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from pushcast.model.clock import Clock
from pushcast.stream.batch import TP
from pushcast.stream.stage import Work

#: Of the time, for a source that others are ahead of: it never stands still.
MIN_SHARE: Final = 0.1


def pause_seconds(took_seconds: float, *, others_wait: bool) -> float:
    """How long a source pauses after a slice of its records."""
    return max(0.0, took_seconds) * (1 / MIN_SHARE - 1) if others_wait else 0.0


class Sharing:
    """Of one stage. It belongs to the event loop."""

    def __init__(self, clock: Clock, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._clock = clock
        self._sleep = sleep

    def began(self) -> float:
        """When a slice begins, for `give_way`."""
        return self._clock.monotonic_seconds()

    async def give_way(self, work: Work, ahead: Iterable[TP], began: float) -> None:
        """After a slice of a source that these are ahead of: other tasks run in any case, so that what has been fetched
        meanwhile is known."""
        waits = any(work.waits(tp) for tp in ahead)
        await self._sleep(pause_seconds(self._clock.monotonic_seconds() - began, others_wait=waits))
