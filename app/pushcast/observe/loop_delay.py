"""How late the event loop is."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Sample

#: Longer than scrapes are apart: each sees every delay.
LOOP_DELAY_SECONDS: Final = 60.0


class LoopDelay:
    """How late the event loop is. A source: the longest delay of the last minute, in seconds, for all who ask."""

    def __init__(self, loop: asyncio.AbstractEventLoop, interval_seconds: float = 0.25) -> None:
        self._loop = loop
        self._interval_seconds = interval_seconds
        self._longest: deque[tuple[float, float]] = deque()  # (time, delay), each delay above those after it
        self._due_at = loop.time() + interval_seconds
        self._timer = loop.call_at(self._due_at, self._tick)

    def __call__(self) -> list[Sample]:
        self._forget(self._loop.time())
        return [Sample(Name.LOOP_DELAY, self._longest[0][1] if self._longest else 0.0)]

    def close(self) -> None:
        """Stops looking."""
        self._timer.cancel()

    def _tick(self) -> None:
        now = self._loop.time()
        delay = now - self._due_at
        while self._longest and self._longest[-1][1] <= delay:
            self._longest.pop()
        self._longest.append((now, delay))
        self._forget(now)
        self._due_at = now + self._interval_seconds
        self._timer = self._loop.call_at(self._due_at, self._tick)

    def _forget(self, now: float) -> None:
        while self._longest and self._longest[0][0] < now - LOOP_DELAY_SECONDS:
            self._longest.popleft()
