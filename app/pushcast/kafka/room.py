"""How much of an outbox is unacknowledged, and who waits for room in it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from pushcast.stream.errors import Full

#: Bytes counted per record on top of its value: librdkafka's message, key and headers.
RECORD_OVERHEAD_BYTES = 200


class Room:
    """What was put is counted by the loop, what is acknowledged by poll threads one at a time: the loop needs no lock.

    Callers wait for room before they put, one batch at a time, so what is unacknowledged stays below twice the bounds.
    `waiters` is for reading alone. `failed`: whether the outbox is beyond repair; nobody waits then.
    """

    __slots__ = (
        "_acked_bytes",
        "_acked_records",
        "_failed",
        "_loop",
        "_max_bytes",
        "_max_records",
        "_put_bytes",
        "_put_records",
        "waiters",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, max_records: int, max_bytes: int, failed: Callable[[], bool]
    ) -> None:
        self._loop = loop
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._failed = failed
        self._put_records = 0
        self._put_bytes = 0
        self._acked_records = 0
        self._acked_bytes = 0
        self.waiters: deque[asyncio.Future[None]] = deque()

    @property
    def unacknowledged(self) -> int:
        """Records that were put and are not acknowledged."""
        return self._put_records - self._acked_records

    def takes(self, records: int, size_bytes: int) -> bool:
        """Whether so many records can be put now without coming to twice the bounds."""
        return (
            self._put_records - self._acked_records + records <= 2 * self._max_records
            and self._put_bytes - self._acked_bytes + size_bytes <= 2 * self._max_bytes
        )

    def put(self, size_bytes: int, records: int = 1) -> None:
        """Records are put. Raises Full at twice the bounds: somebody put without waiting."""
        if (
            self._put_records - self._acked_records >= 2 * self._max_records
            or self._put_bytes - self._acked_bytes >= 2 * self._max_bytes
        ):
            raise Full(f"the outbox holds {self.unacknowledged} unacknowledged records")
        self._put_records += records
        self._put_bytes += size_bytes

    def take_back(self, size_bytes: int, records: int = 1) -> None:
        """Records were not put after all."""
        self._put_records -= records
        self._put_bytes -= size_bytes

    def acked(self, size_bytes: int, records: int = 1) -> None:
        """One thread at a time: records are acknowledged, or refused."""
        self._acked_records += records
        self._acked_bytes += size_bytes

    async def wait(self) -> None:
        """Returns when less than the bounds is unacknowledged, or the outbox has failed."""
        while not self.has_room() and not self._failed():
            waiter: asyncio.Future[None] = self._loop.create_future()
            self.waiters.append(waiter)
            if self.has_room():  # a poll thread may have looked before the waiter was there
                self.wake()
            await waiter

    def wake(self) -> None:
        """One at a time: it puts its batch before the next one looks, so the bounds hold with any number of callers."""
        while self.waiters and (self.has_room() or self._failed()):
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                self._loop.call_soon(self.wake)
                return

    def has_room(self) -> bool:
        """Whether less than the bounds is unacknowledged; on any thread."""
        return (
            self._put_records - self._acked_records < self._max_records
            and self._put_bytes - self._acked_bytes < self._max_bytes
        )
