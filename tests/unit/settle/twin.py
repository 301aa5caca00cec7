"""SETTLE on a Kafka of the test's own: its acknowledgements, its timers, its clock."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, cast

from faust.types import TP

from pushcast.kafka.batch import Batch
from pushcast.kafka.tracker import Record, Tracker
from pushcast.model.batch import SendBatch
from pushcast.model.clock import ManualClock
from pushcast.settle.agent import SettleStage
from pushcast.settle.passes import Intervals
from pushcast.wire import topics
from pushcast.wire.control_state import ControlState
from pushcast.wire.retries import retry_record
from unit.send.twin import OPEN, T0, Timer, TwinOutbox, record

RUNG = topics.retry("10s")
LONGEST_SECONDS = 2000.0
PASS_SECONDS, PROBE_SECONDS = 60.0, 5.0


def waiting(
    offset: int, batch: SendBatch, due_at: int, *, topic: str = RUNG, partition: int = 3, doubtful: bool = False
) -> Record:
    """A record as SEND writes it."""
    value, headers = retry_record(
        lane=batch.lane,
        platform=batch.platform,
        messages=batch.messages,
        run=batch.run,
        first_seen_at=T0 - 5,
        rounds_made=2,
        due_at=due_at,
        doubtful=doubtful,
        sent_from="pushcast-send-apns-urgent|7",
        carried=[("traceparent", b"00-1")],
    )
    return record(topic, partition, offset, value, None, headers)


class Harness:
    """A stage on the twins. Time moves only with `pass_time`, which fires the timers that are due by then."""

    def __init__(self, acks: bool = True, control: ControlState | None = None) -> None:
        self.outbox = TwinOutbox(acks)
        self.clock = ManualClock(T0)
        self.counters: Counter[tuple[str, str]] = Counter()
        self.fatal: list[tuple[str, BaseException]] = []
        self.timers: list[tuple[float, Timer]] = []
        self.trackers: dict[TP, Tracker] = {}
        self.stage = SettleStage(
            outbox=self.outbox,
            clock=self.clock,
            longest_seconds=LONGEST_SECONDS,
            counters=self.counters,
            fatal=lambda what, error: self.fatal.append((what, error)),
            call_later=self._call_later,
            control=control,
            intervals=Intervals(PASS_SECONDS, PROBE_SECONDS),
        )
        self.stage.work = cast(Any, self)
        self.end = 0  # of every parked partition, when a pass begins

    async def ends(self, partitions: Iterable[TP]) -> dict[TP, int]:
        return dict.fromkeys(partitions, self.end)

    def _call_later(self, delay_seconds: float, callback: Callable[[], None]) -> Timer:
        assert delay_seconds > 0
        timer = Timer(delay_seconds, callback)
        self.timers.append((self.clock.monotonic_seconds() + delay_seconds, timer))
        return timer

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
        now = self.clock.monotonic_seconds()
        due = [timer for at, timer in self.timers if at <= now]
        self.timers = [(at, timer) for at, timer in self.timers if at > now]
        for timer in due:
            if not timer.cancelled:
                timer.callback()
        await self.settle()

    def low(self, topic: str = RUNG, partition: int = 3) -> int:
        """The offset that Kafka would be told."""
        return self.trackers[TP(topic, partition)].low

    async def settle(self, turns: int = 40) -> None:
        """Lets everything that is ready run; nothing here waits for time."""
        for _ in range(turns):
            await asyncio.sleep(0)
        assert not self.fatal, self.fatal
