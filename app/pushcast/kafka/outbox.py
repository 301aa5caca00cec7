"""Everything a process writes to Kafka goes through one outbox of idempotent producers, with bounds and barriers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from typing import Any

from pushcast.config.security import KafkaSecurity
from pushcast.kafka.barrier import KafkaBarrier
from pushcast.kafka.lots import Lot
from pushcast.kafka.patience import Patience
from pushcast.kafka.producer import (
    MAX_RECORD_BYTES,
    PRODUCE_ERRORS,
    open_producer,
    said_at_once,
    unfit,
)
from pushcast.kafka.refusals import HeldRecord, OutputPlace
from pushcast.kafka.reports import DeliveryReports
from pushcast.kafka.room import RECORD_OVERHEAD_BYTES, Room
from pushcast.kafka.writers import TopicWriters
from pushcast.stream import ports
from pushcast.stream.errors import Full, OutboxFailed, RecordRefused

Headers = Sequence[tuple[str, bytes | None]]


class KafkaOutbox:
    """What a process writes: acks=all, idempotent, explicit partitions, records are retried for ever.

    `topics`: the only ones that may be written (None: any), so that a running process cannot leave the topology, each
    with its `max.message.bytes`. A larger record is refused here, before the client: the broker refuses whole requests,
    and librdkafka was seen to call a neighbour in such a request acknowledged that was not in the log.
    Order is kept per partition. `put` never blocks; callers await `room()` before they put, one batch at a time, so
    what is unacknowledged stays below twice the bounds. Use it on `loop` only. An error that no retry can mend is
    given to `on_fatal` once, on the loop: end the process unacknowledged then. `patient`: topics whose records wait in
    such a case when another time may mend it (`refusals`); they may land behind what was put after them. `optional`:
    topics that the process can do without; whatever Kafka says of their records is told to the barrier alone.
    `producers`: how many share the partitions (`TopicWriters`); the bounds are of all together.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        security: KafkaSecurity | None = None,
        linger_seconds: float = 0.0,
        max_records: int = 100_000,
        max_bytes: int = 64 << 20,
        loop: asyncio.AbstractEventLoop,
        on_fatal: Callable[[BaseException], None],
        topics: Mapping[str, int] | None = None,
        patient: Set[str] = frozenset(),
        optional: Set[str] = frozenset(),
        producers: int = 1,
        extra: dict[str, Any] | None = None,
    ) -> None:
        self._loop = loop
        self._topics = topics
        self._reports = DeliveryReports(loop, partial(Room, loop, max_records, max_bytes), optional, on_fatal)
        self._room = self._reports.room
        opened = [
            open_producer(
                bootstrap_servers,
                security=security,
                linger_seconds=linger_seconds,
                max_records=max_records,
                max_bytes=max_bytes,
                on_error=self._reports.on_client_error,
                extra=extra,
            )
            for _ in range(producers)
        ]
        self._writers = TopicWriters(opened, self._on_poll_failure)
        self._produce = self._writers.produce
        self._patience = Patience(patient, self._produce, loop, self._refuse_held)
        self._reports.patience, self._reports.close_writers = self._patience, self._writers.close
        self._writers.start()

    def barrier(self) -> KafkaBarrier:
        """A new set of records to wait for."""
        return KafkaBarrier(self._reports)

    def put(
        self,
        barrier: ports.Barrier,
        topic: str,
        partition: int,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        """Takes a record to be written; the bytes are copied.

        Raises Full beyond twice the bounds (await `room()` before each batch), OutboxFailed after a fatal error,
        TypeError for a barrier of another kind of outbox.
        """
        if type(barrier) is not KafkaBarrier:
            raise TypeError(f"{type(barrier).__name__} counts the records of another kind of outbox")
        failure = self._reports.failure
        if failure is not None:
            raise OutboxFailed(str(failure)) from failure
        limit = MAX_RECORD_BYTES if self._topics is None else self._topics.get(topic)
        if limit is None:
            raise OutboxFailed(f"the topology does not say that this process produces {topic}")
        size = RECORD_OVERHEAD_BYTES if value is None else len(value) + RECORD_OVERHEAD_BYTES
        # Exact only where it matters: keys and headers of small records are not counted one by one, but for records of
        # others, which alone keep a timestamp: their headers may be of any size.
        if size > limit // 2 or timestamp_ms is not None:
            problem = unfit(topic, partition, size, limit, key, headers)
            if problem is not None:
                barrier.refuse(problem)
                self._loop.call_soon(barrier.settle)
                return
        self._room.put(size)
        barrier.puts += 1
        patience = self._patience
        if patience.places and (place := OutputPlace(topic, partition)) in patience.places:
            patience.refusals.hold(place, HeldRecord(barrier, value, key, headers, timestamp_ms))
            return
        if topic in patience.topics:
            barrier.kept.append((topic, partition, value, headers, timestamp_ms))
        try:
            if timestamp_ms is None:
                self._produce(topic, value, key, partition, barrier.delivered, headers=headers)
            else:
                self._produce(topic, value, key, partition, barrier.delivered, timestamp=timestamp_ms, headers=headers)
        except PRODUCE_ERRORS as exc:
            error = said_at_once(exc)
            if topic in patience.topics:
                barrier.kept.pop()
            if patience.waits(error, topic):
                held = HeldRecord(barrier, value, key, headers, timestamp_ms)
                patience.refusals.refuse(OutputPlace(topic, partition), error.str(), held)
                return
            self._take_back(barrier, size)
            if isinstance(exc, BufferError):
                raise Full("librdkafka's queue is full") from exc
            refusal = self._reports.refusal_of(error, topic, partition, size)
            if refusal is None:
                raise OutboxFailed(f"{topic}[{partition}]: {error.str()}") from exc
            barrier.refuse(refusal)

    def put_many(
        self, barrier: ports.Barrier, topic: str, partition: int, records: list[tuple[bytes, bytes, Headers]]
    ) -> None:
        """As `put` of each value, key and headers in turn; what all of them need is looked at once. Keeps the list."""
        sizes = [len(value) + RECORD_OVERHEAD_BYTES for value, _, _ in records]
        count, size = len(sizes), sum(sizes)
        limit = MAX_RECORD_BYTES if self._topics is None else self._topics.get(topic, 0)
        patience, sent = self._patience, 0
        if (
            type(barrier) is KafkaBarrier
            and self._reports.failure is None
            and not patience.places
            and max(sizes, default=0) <= limit // 2
            and self._room.takes(count, size)
        ):
            self._room.put(size, count)
            barrier.puts += count
            if topic in patience.topics:
                barrier.kept_lots.append((topic, partition, records))
            lot = Lot(self._reports, barrier, topic, partition, count)
            produce, delivered = self._produce, lot.delivered
            try:
                for value, key, headers in records:
                    produce(topic, value, key, partition, delivered, headers=headers)
                    sent += 1
                return
            except PRODUCE_ERRORS:
                # `put` says what becomes of this one and of those behind it.
                lot.cut(count - sent)
                self._take_back(barrier, sum(sizes[sent:]), count - sent)
        rest = records[sent:]
        del records[sent:]
        for value, key, headers in rest:
            self.put(barrier, topic, partition, value, key, headers)

    def refused(self) -> list[str]:
        """Places that Kafka refuses for now, one sentence each."""
        return self._patience.refusals.told()

    def refused_topics(self, partition: int) -> list[str]:
        """Topics of which this partition is refused for now."""
        return self._patience.refusals.topics(partition)

    def doubt(self, topic: str, partition: int, reason: str) -> None:
        """Takes a place for refused until a marker is taken there. For `patient` topics."""
        self._patience.refusals.refuse(OutputPlace(topic, partition), reason)

    def _refuse_held(self, held: HeldRecord, refusal: RecordRefused) -> None:
        """Its place takes records again, and not this one."""
        self._take_back(held.barrier, len(held.value or b"") + RECORD_OVERHEAD_BYTES)
        held.barrier.refuse(refusal)

    def _take_back(self, barrier: KafkaBarrier, size: int, count: int = 1) -> None:
        self._room.take_back(size, count)
        barrier.puts -= count
        # The last report may have come in between, when the count did not match.
        self._loop.call_soon(barrier.settle)

    async def room(self) -> None:
        """Returns when less than the bounds is unacknowledged: the way back-pressure reaches a stage."""
        await self._room.wait()

    @property
    def unacknowledged(self) -> int:
        """Records that were put and are not acknowledged."""
        return self._room.unacknowledged

    def acked_end(self, topic: str, partition: int) -> int | None:
        """Next offset after the highest acknowledged record; None before the first."""
        acked = self._reports.acked.get((topic, partition))
        return None if acked is None else acked.end

    def acked(self, topic: str, partition: int) -> ports.Acked | None:
        """What Kafka has of this process there; None before the first acknowledgement."""
        return self._reports.acked.get((topic, partition))

    async def close(self, timeout_seconds: float = 10.0) -> int:
        """Waits for the acknowledgements up to the timeout and stops. Returns how many records stay unacknowledged.

        Their barriers never resolve.
        """
        self._patience.refusals.close()
        deadline = self._loop.time() + timeout_seconds
        while self.unacknowledged and self._reports.failure is None and self._loop.time() < deadline:
            await asyncio.sleep(0.005)
        self._writers.close()
        await asyncio.to_thread(self._writers.join)
        self._reports.drain()
        return self.unacknowledged

    def _on_poll_failure(self, exc: BaseException) -> None:
        self._reports.fail(OutboxFailed(f"the poll thread failed: {exc!r}"))
