"""What PLAN holds of one partition while it owns it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from pushcast.plan.entry import Entry
from pushcast.plan.recent import Recent
from pushcast.plan.windows import PartitionWindows
from pushcast.stream.batch import TP
from pushcast.wire.headers import Headers


class Timer(Protocol):
    """What `call_later` returns."""

    def cancel(self) -> None: ...


class PartitionState:
    """Windows, second look-ups and unfinished records of one partition during one assignment."""

    def __init__(self, tp: TP, windows: PartitionWindows, recent: Recent, origin: Headers) -> None:
        self.tp = tp
        self.number = tp.partition
        self.windows = windows
        self.recent = recent
        self.origin = origin  # headers of every output
        self.taken_to = 0  # records below this offset are under way: a batch that is handed over again skips them
        self.later: deque[tuple[float, Entry]] = deque()  # users without devices, to be looked up once more
        self.complete: list[Entry] = []  # all outputs acknowledged, the planned record not yet written
        self.timer: Timer | None = None
        self.closing = False
        self._unfinished = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def open(self, count: int) -> None:
        """So many source records more are under way."""
        if count:
            self._unfinished += count
            self._idle.clear()

    def finished(self, count: int) -> None:
        """So many source records are done."""
        self._unfinished -= count
        if not self._unfinished:
            self._idle.set()

    async def idle(self) -> None:
        """Waits until every record that was taken is done."""
        await self._idle.wait()

    def next_due(self) -> float | None:
        """When the next window closes or the next user is looked up once more; None when nothing waits."""
        due = self.windows.next_due()
        if self.later and (due is None or self.later[0][0] < due):
            return self.later[0][0]
        return due

    def stop_timer(self) -> None:
        """No turn starts by itself until the next timer is set."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
