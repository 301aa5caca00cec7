"""The keeper over what planners gave it, with nothing but memory behind it: part of a rehearsal.

It is the stage itself: caps, digests, rates, reads and cancels decide as in a running Pushcast. Kafka and the time are
stand-ins.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Final, NamedTuple, cast

from pushcast.audit.rehearsed_kafka import OPEN, Memory, MemoryPut, PastRecord
from pushcast.audit.rehearsed_table import PastRow, RehearsedTable
from pushcast.config.rates import rates_of
from pushcast.config.settings import Settings
from pushcast.keep.agent import KeepStage
from pushcast.keep.reads import SOURCES
from pushcast.keep.stage import keep_rules
from pushcast.keep.written import WrittenEntries
from pushcast.model.clock import ManualClock
from pushcast.stream.batch import TP, Batch, Committed
from pushcast.stream.cancelling import Cancels
from pushcast.stream.tracker import Tracker
from pushcast.wire import topics
from pushcast.wire.headers import Headers
from pushcast.wire.schemas import SchemaSource

#: Turns of the loop without anything under way, after which what a record or a time has set off is over.
TURNS: Final = 3


class _Timer:
    """`asyncio.TimerHandle`."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class _Timers:
    """`call_later` by the clock of the rehearsal."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._waiting: list[tuple[float, int, _Timer]] = []
        self._numbers = count()

    def __call__(self, delay_seconds: float, callback: Callable[[], None]) -> _Timer:
        timer = _Timer(callback)
        heapq.heappush(self._waiting, (self._clock.monotonic_seconds() + delay_seconds, next(self._numbers), timer))
        return timer

    def fire(self) -> None:
        """Calls what is due by now."""
        while self._waiting and self._waiting[0][0] <= self._clock.monotonic_seconds():
            callback = heapq.heappop(self._waiting)[2].callback
            if callback is not None:
                callback()


class _Alone:
    """`keep.exact.KeepHandover` of a keeper that has no predecessor, and whose firings nobody has to find."""

    counters: Mapping[tuple[str, str], int] = {}

    async def take_over(self, *_: object) -> None:
        return

    def firings(self, _: int) -> _Alone:
        return self

    def recovered(self) -> None:
        return

    def begin(self, _: int) -> int:
        return 0

    def end(self, _: int) -> None:
        return

    def released(self, _: int) -> list[str]:
        return []

    def origin(self, _: int) -> Headers:
        return ()

    def metadata(self, *_: object) -> str:
        return ""

    async def refresh(self, *_: object) -> None:
        return


class _Source(NamedTuple):
    tracker: Tracker
    tp: TP


class RehearsedKeeper:
    """Of one partition, over all lanes."""

    def __init__(
        self,
        settings: Settings,
        partition: int,
        clock: ManualClock,
        cancels: Cancels,
        schemas: SchemaSource | None = None,
    ) -> None:
        self._partition = partition
        self._clock = clock
        self._timers = _Timers(clock)
        self._memory = Memory()
        self._failures: list[BaseException] = []
        written = WrittenEntries()
        self._table = RehearsedTable(written)
        self._stage = KeepStage(
            cast(Any, self._table),
            cast(Any, self._memory),
            clock,
            cast(Any, _Alone()),
            keep_rules(settings, rates_of(settings)),
            counters={},
            fatal=lambda _, error: self._failures.append(error),
            schemas=schemas,
            cancels=cancels,
            call_later=self._timers,
            written=written,
        )
        self._stage.work = cast(Any, self)
        self._sources = {topic: _Source(Tracker(0, OPEN), TP(topic, partition)) for topic in SOURCES}

    def waits(self, _: TP) -> bool:
        """Whether records wait to be handled: they are handled as they come."""
        return False

    def may_hold_before(self, *_: object) -> bool:
        """Whether older ones may still come: none may."""
        return False

    async def begin(self) -> None:
        """It owns the partition from here on."""
        await self._stage.assigned({each.tp: Committed(None, "") for each in self._sources.values()})
        await self._run()

    def next_offset(self, topic: str) -> int:
        """Of the next record that it takes of a topic."""
        return self._sources[topic].tracker.next_offset

    async def take(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Handles a record of now. What it lets go is in `taken` afterwards."""
        tracker, tp = self._sources[topic]
        record = PastRecord(topic, self._partition, tracker.next_offset, self._clock.now_ms(), key, value, headers)
        segment = tracker.hand_over([record], tracker.arrive([record]))
        await self._stage.handle(Batch(tp, tracker, segment, lambda: None))
        await self._run()

    def due_in(self) -> float | None:
        """Seconds until the next thing leaves, as it is now; None: nothing waits."""
        return self._stage.next_release_seconds(self._partition)

    async def pass_time(self) -> None:
        """The clock was moved on."""
        self._timers.fire()
        await self._run()

    def taken(self) -> list[MemoryPut]:
        """What it has let go since it was asked last."""
        return [put for put in self._memory.taken() if put.topic.startswith("push.due.")]

    async def _run(self) -> None:
        quiet = 0
        while quiet < TURNS:
            await asyncio.sleep(0)
            rows = self._memory.taken_of(topics.USER)
            quiet = 0 if rows or self._stage.at_work(self._partition) else quiet + 1
            if self._failures:
                break
            if rows:
                now_ms = self._clock.now_ms()
                self._table.apply(
                    self._partition, [PastRow(each.key, each.value, each.headers, now_ms) for each in rows]
                )
        if self._failures:
            raise self._failures[0]
