"""How the sources of one partition share the time of a stage: what is ahead has nine tenths of it while it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from pushcast.model.clock import Clock
from pushcast.stream.batch import TP
from pushcast.stream.stage import Work

#: Of the time, for a source that others are ahead of: it never stands still.
MIN_SHARE: Final = 0.1
#: The longest pause: a slice takes long by the clock where the process has no CPU, and nobody gains by a pause then.
MAX_PAUSE_SECONDS: Final = 0.5
#: Of a pause, until it is seen that nobody waits any more.
STEP_SECONDS: Final = 0.02


def pause_seconds(took_seconds: float, share: float = MIN_SHARE) -> float:
    """How long a source pauses at most after a slice of its records. `share`: of the time, that it has."""
    return min(MAX_PAUSE_SECONDS, max(0.0, took_seconds) * (1 / share - 1))


class Sharing:
    """Of one stage. It belongs to the event loop."""

    def __init__(
        self, clock: Clock, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep, share: float = MIN_SHARE
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._share = share

    def began(self) -> float:
        """When a slice begins, for `give_way`."""
        return self._clock.monotonic_seconds()

    async def give_way(self, work: Work, ahead: Sequence[TP], began: float) -> None:
        """After a slice of a source that these are ahead of."""
        await self.pause(lambda: any(work.waits(tp) for tp in ahead), began)

    async def pause(self, waits: Callable[[], bool], began: float) -> None:
        """After a slice: other tasks run in any case, so that what has been fetched meanwhile is known, and go on while
        something `waits`."""
        left = pause_seconds(self._clock.monotonic_seconds() - began, self._share)
        await self._sleep(0)
        while left > 0 and waits():
            step = min(left, STEP_SECONDS)
            await self._sleep(step)
            left -= step
