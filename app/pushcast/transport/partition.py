"""One assigned partition of a batch stage: its hand-over queue, its worker, its completions."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence

from pushcast.stream.batch import TP, Batch, Committed
from pushcast.stream.retrying import retried
from pushcast.stream.stage import BatchStage, PartitionState
from pushcast.stream.tracker import Bounds, Record, Tracker
from pushcast.wire.headers import is_probe
from pushcast.wire.newer import EARLIER, INTERNAL, NewerSchema, newer_at, newer_schema
from pushcast.wire.schemas import FRAME_BYTES, SINGLE_OBJECT_MARKER

logger = logging.getLogger(__name__)


class Partition:
    """Hands record lists to the stage, one batch at a time, and says when fetching should pause.

    Records wait in a queue that counts against the bounds, so a busy partition stops its own fetching and nobody
    else's. `close` ends the intake; `lost` on the tracker ends the completions.
    """

    def __init__(
        self,
        tp: TP,
        stage: BatchStage,
        committed: Committed,
        start_offset: int,
        bounds: Bounds,
        max_batch_records: int,
        on_resume: Callable[[], None],
        earlier: Counter[str] | None = None,
    ) -> None:
        """`earlier`: counts, by topic, records in a schema of an earlier release."""
        self.tp = tp
        self.stage = stage
        self.committed = committed
        self.start_offset = start_offset
        self.tracker = Tracker(start_offset, bounds)
        self.paused = False
        self._max_batch_records = max_batch_records
        self._on_resume = on_resume
        self._queue: deque[tuple[Sequence[Record], int]] = deque()
        self._arrived = asyncio.Event()
        self.next_arrival = start_offset  # offset that would be fed next
        self.last_timestamp_ms: int | None = None  # Kafka timestamp of the last record that was fed
        self.waits_for: str | None = None  # a record that only a later release can read
        self._internal = tp.topic in INTERNAL
        self._earlier: Counter[str] = Counter() if earlier is None else earlier
        self._newer_at: int | None = None  # offset of the first such record that was fed
        self._closed = False
        self._empty_waiters: list[asyncio.Future[None]] = []

    @property
    def waits(self) -> bool:
        """Whether records were fetched that no batch holds yet, and that this release may get on with. Behind a record
        that only a later one can read nobody gives way to them: after a downgrade that would be for ever."""
        return bool(self._queue) and self.waits_for is None and self._queue[0][0][0].offset != self._newer_at

    def feed(self, records: Sequence[Record]) -> None:
        """Takes fetched records; those already seen (a fetch answered from an older position) are dropped."""
        if records[0].offset < self.next_arrival:
            records = [record for record in records if record.offset >= self.next_arrival]
        if not records or self._closed:
            return
        self.next_arrival = records[-1].offset + 1
        self.last_timestamp_ms = records[-1].timestamp
        for part in self._parted(records):
            self._queue.append((part, self.tracker.arrive(part)))
        self._arrived.set()
        if self.tracker.over:
            self.paused = True

    def _parted(self, records: Sequence[Record]) -> list[Sequence[Record]]:
        """Nearly always one part: a record that only a later release can read begins another."""
        if self._internal and self._newer_at is None:
            for index, record in enumerate(records):
                value = record.value
                if value is None or value[:2] != SINGLE_OBJECT_MARKER:
                    continue  # people's own records, as a keeper holds them, have no schema of ours mostly
                if value[:FRAME_BYTES] in EARLIER:
                    self._earlier[self.tp.topic] += 1
                elif newer_schema(value) is not None:
                    self._newer_at = record.offset
                    return [records[:index], records[index:]] if index else [records]
        return [records]

    def passed(self, position: int) -> None:
        """The log holds nothing below `position` that was not fed: markers and aborted records leave gaps."""
        if position > self.next_arrival and not self._closed:
            self.next_arrival = position
            self._skip_gap()

    def _skip_gap(self) -> None:
        if not self._queue:
            self.tracker.skip_to(self.next_arrival)

    async def run(self, ready: Awaitable[None]) -> None:
        """The worker: after `ready`, one batch after the other until closed or cancelled."""
        await ready
        self.waits_for = None
        while not self._closed:
            if not self._queue or self._stands_before_newer():
                self._arrived.clear()
                await self._arrived.wait()
                continue
            batch = self._next_batch()
            await retried(
                f"batch {self.tp.topic}[{self.tp.partition}]@{batch.records[0].offset}",
                lambda batch=batch: self._handle(batch),  # type: ignore[misc]
                lambda: self._closed,
                self.failed,
            )
            self.waits_for = None

    def failed(self, error: Exception) -> None:
        """The stage could not take the partition over, or not handle what it was given, and is asked again."""
        self.waits_for = str(error) if isinstance(error, NewerSchema) else None

    def _stands_before_newer(self) -> bool:
        """Whether the next record is one that only a later release can read: nothing of it, or behind it, is handed
        over, and what came before goes on."""
        record = self._queue[0][0][0]
        if record.offset != self._newer_at:
            return False
        if self.waits_for is None:
            place = f"{self.tp.topic}[{self.tp.partition}]@{record.offset}"
            self.waits_for = str(newer_at(place, newer_schema(record.value) or ""))
            logger.warning("%s", self.waits_for)
        return True

    async def _handle(self, batch: Batch) -> None:
        if batch.tried:
            batch.records = batch.unfinished()
        batch.tried = True
        _without_probes(batch)
        if batch.records:
            await self.stage.handle(batch)

    def _next_batch(self) -> Batch:
        records, size = self._queue.popleft()
        if self._fits(len(records)):
            merged = list(records)
            while self._fits(len(merged)):
                more, more_size = self._queue.popleft()
                merged += more
                size += more_size
            records = merged
        segment = self.tracker.hand_over(records, size)
        self._skip_gap()
        return Batch(self.tp, self.tracker, segment, self._changed)

    def _fits(self, count: int) -> bool:
        """Whether the next list may join so many records."""
        if not self._queue:
            return False
        records = self._queue[0][0]
        return count + len(records) <= self._max_batch_records and records[0].offset != self._newer_at

    def close(self) -> None:
        """No further batch starts; what waits is forgotten and will be fetched again by the next owner."""
        self._closed = True
        while self._queue:
            records, size = self._queue.popleft()
            self.tracker.leave(len(records), size)
        self._arrived.set()
        self._changed()

    async def drained(self) -> None:
        """Waits until every record that was fetched is done."""
        if self.tracker.records:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._empty_waiters.append(waiter)
            await waiter

    def oldest_timestamp_ms(self) -> int | None:
        """Kafka timestamp of the oldest record that is fetched and not done."""
        timestamp = self.tracker.oldest_timestamp_ms()
        if timestamp is None and self._queue:
            timestamp = self._queue[0][0][0].timestamp
        return timestamp

    def state(self, end: int | None) -> PartitionState:
        """Its figures. `end`: next offset of its log, None until the first fetch was answered."""
        tracker = self.tracker
        return PartitionState(
            topic=self.tp.topic,
            partition=self.tp.partition,
            lag_records=None if end is None else max(end - tracker.low, 0),
            oldest_unfinished_at_ms=self.oldest_timestamp_ms(),
            in_flight_records=tracker.records,
            in_flight_bytes=tracker.bytes,
            in_flight_targets=tracker.targets,
            paused=self.paused,
            waits_for=self.waits_for,
        )

    def _changed(self) -> None:
        tracker = self.tracker
        if self.paused:
            if tracker.relaxed:
                self.paused = False
                self._on_resume()
        elif tracker.over:
            self.paused = True
        if not tracker.records and self._empty_waiters:
            for waiter in self._empty_waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._empty_waiters.clear()


def _without_probes(batch: Batch) -> None:
    """Completes markers, which no stage is to see."""
    probes = [record.offset for record in batch.records if record.value is None and is_probe(None, record.headers)]
    if probes:
        batch.done_many(probes)
        batch.records = batch.unfinished()
