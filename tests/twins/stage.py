"""A stage under test that waits with timers: batches under the real tracker, a clock and timers that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pushcast.model.clock import ManualClock
from pushcast.stream.batch import TP, Batch
from pushcast.stream.stage import Stage
from pushcast.stream.tracker import Record, Tracker
from twins.kafka import OPEN, ManualTimer, ManualTimers


class TimedStage:
    """Time moves only with `pass_time`, which fires the timers that are due by then. Whoever inherits makes `stage`."""

    stage: Stage

    def __init__(self, start_ms: int) -> None:
        self.clock = ManualClock(start_ms)
        self.fatal: list[tuple[str, BaseException]] = []
        self.trackers: dict[TP, Tracker] = {}
        self._timers = ManualTimers(self.clock.monotonic_seconds)

    def call_later(self, delay_seconds: float, callback: Callable[[], None]) -> ManualTimer:
        assert delay_seconds > 0
        return self._timers(delay_seconds, callback)

    def end_process(self, what: str, error: BaseException) -> None:
        self.fatal.append((what, error))

    def batch(self, *records: Record) -> Batch:
        """A batch under the real tracker."""
        tp = TP(records[0].topic, records[0].partition)
        tracker = self.trackers.setdefault(tp, Tracker(records[0].offset, OPEN))
        return Batch(tp, tracker, tracker.hand_over(records, tracker.arrive(records)), lambda: None)

    async def feed(self, *records: Record) -> Batch:
        """Handles them and lets the loop settle."""
        batch = self.batch(*records)
        await self.stage.handle(batch)
        await self.settle()
        return batch

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self._timers.fire()
        await self.settle()

    async def settle(self, turns: int = 60) -> None:
        """Lets everything that is ready run; nothing here waits for time."""
        for _ in range(turns):
            await asyncio.sleep(0)
        assert not self.fatal, self.fatal
