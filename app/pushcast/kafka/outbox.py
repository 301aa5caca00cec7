"""Everything a process writes to Kafka goes through one idempotent producer with bounds and barriers."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from typing import Any, cast

from confluent_kafka import KafkaError, KafkaException, Message

from pushcast.config.security import KafkaSecurity
from pushcast.kafka.barrier import Barrier
from pushcast.kafka.producer import MAX_RECORD_BYTES, open_producer, refusal_of
from pushcast.kafka.refusals import OF_A_PLACE, Held, Place, Refusals
from pushcast.stream.errors import Full, OutboxFailed, RecordRefused, RecordTooLarge
from pushcast.wire.headers import PROBE

logger = logging.getLogger(__name__)

Headers = Sequence[tuple[str, bytes | None]]

#: Bytes counted per record on top of its value: librdkafka's message, key and headers.
RECORD_OVERHEAD_BYTES = 200

POLL_SECONDS = 0.1


def _beside_the_value(key: bytes | None, headers: Headers | None) -> int:
    """Upper bound of what key and headers add to a record, in bytes."""
    return len(key or b"") + sum(len(name.encode()) + len(value or b"") + 10 for name, value in headers or ())


class Outbox:
    """One producer for a process: acks=all, idempotent, explicit partitions, records are retried for ever.

    `topics`: the only ones that may be written (None: any), so that a running process cannot leave the topology, each
    with its `max.message.bytes`. A larger record is refused here, before the client: the broker refuses whole requests,
    and librdkafka was seen to call a neighbour in such a request acknowledged that was not in the log.
    Order is kept per partition. `put` never blocks; callers await `room()` before they put, one batch at a time, so
    what is unacknowledged stays below twice the bounds. Use it on `loop` only. An error that no retry can mend is
    given to `on_fatal` once, on the loop: end the process unacknowledged then. `patient`: topics whose records wait in
    such a case when another time may mend it (`refusals`); they may land behind what was put after them. `optional`:
    topics that the process can do without; whatever Kafka says of their records is told to the barrier alone.
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
        extra: dict[str, Any] | None = None,
    ) -> None:
        self._loop = loop
        self._on_fatal = on_fatal
        self._topics = topics
        self._patient = patient
        self._optional = optional
        self._refusals = Refusals(mark=self._mark, again=self._put_again, call_later=loop.call_later)
        self._refused = self._refusals.places
        self._max_records = max_records
        self._max_bytes = max_bytes
        # Written by the loop.
        self._put_records = 0
        self._put_bytes = 0
        self._room_waiters: deque[asyncio.Future[None]] = deque()
        # Written by the poll thread.
        self._acked_records = 0
        self._acked_bytes = 0
        self._acked_ends: dict[tuple[str, int], int] = {}
        self._finished: deque[Barrier] = deque()
        self._kept: deque[tuple[Place, str, Barrier, Message]] = deque()
        self._failure: BaseException | None = None
        self._failure_told = False
        self._scheduled = False
        self._closed = threading.Event()
        self._producer = open_producer(
            bootstrap_servers,
            security=security,
            linger_seconds=linger_seconds,
            max_records=max_records,
            max_bytes=max_bytes,
            on_error=self._on_client_error,
            extra=extra,
        )
        self._thread = threading.Thread(target=self._poll, name="outbox", daemon=True)
        self._thread.start()

    def barrier(self) -> Barrier:
        """A new set of records to wait for."""
        return Barrier(self)

    def put(
        self,
        barrier: Barrier,
        topic: str,
        partition: int,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        """Takes a record to be written; the bytes are copied.

        Raises Full beyond twice the bounds (await `room()` before each batch), OutboxFailed after a fatal error.
        """
        if self._failure is not None:
            raise OutboxFailed(str(self._failure)) from self._failure
        limit = MAX_RECORD_BYTES if self._topics is None else self._topics.get(topic)
        if limit is None:
            raise OutboxFailed(f"the topology does not say that this process produces {topic}")
        size = RECORD_OVERHEAD_BYTES if value is None else len(value) + RECORD_OVERHEAD_BYTES
        if (
            self._put_records - self._acked_records >= 2 * self._max_records
            or self._put_bytes - self._acked_bytes >= 2 * self._max_bytes
        ):
            raise Full(f"the outbox holds {self._put_records - self._acked_records} unacknowledged records")
        # Exact only where it matters: keys and headers of small records are not counted one by one, but for records of
        # others, which alone keep a timestamp: their headers may be of any size.
        if (size > limit // 2 or timestamp_ms is not None) and (
            whole := size + _beside_the_value(key, headers)
        ) > limit:
            barrier.refuse(RecordTooLarge(topic, partition, whole, f"more than {limit} bytes"))
            self._loop.call_soon(barrier.settle)
            return
        self._put_records += 1
        self._put_bytes += size
        barrier.puts += 1
        if self._refused and (place := Place(topic, partition)) in self._refused:
            self._refusals.hold(place, Held(barrier, value, key, headers, timestamp_ms))
            return
        if topic in self._patient:
            barrier.kept.append((topic, partition, value, headers, timestamp_ms))
        try:
            if timestamp_ms is None:
                self._producer.produce(topic, value, key, partition, barrier.delivered, headers=cast(Any, headers))
            else:
                self._producer.produce(
                    topic, value, key, partition, barrier.delivered, timestamp=timestamp_ms, headers=cast(Any, headers)
                )
        except KafkaException as exc:
            error = exc.args[0]
            if error.code() in OF_A_PLACE and topic in self._patient:
                barrier.kept.pop()
                held = Held(barrier, value, key, headers, timestamp_ms)
                self._refusals.refuse(Place(topic, partition), error.str(), held)
                return
            self._take_back(barrier, size)
            refusal = self._refusal_of(error, topic, partition, size)
            if refusal is None:
                raise OutboxFailed(f"{topic}[{partition}]: {error.str()}") from exc
            barrier.refuse(refusal)
        except BufferError as exc:
            self._take_back(barrier, size)
            raise Full("librdkafka's queue is full") from exc

    def refused(self) -> list[str]:
        """Places that Kafka refuses for now, one sentence each."""
        return self._refusals.told()

    def refused_topics(self, partition: int) -> list[str]:
        """Topics of which this partition is refused for now."""
        return self._refusals.topics(partition)

    def doubt(self, topic: str, partition: int, reason: str) -> None:
        """Takes a place for refused until a marker is taken there. For `patient` topics."""
        self._refusals.refuse(Place(topic, partition), reason)

    def _put_again(self, place: Place, held: Held) -> None:
        barrier, value, key, headers, timestamp_ms = held
        barrier.kept.append((*place, value, headers, timestamp_ms))
        arguments: dict[str, Any] = {} if timestamp_ms is None else {"timestamp": timestamp_ms}
        try:
            self._producer.produce(
                place.topic, value, key, place.partition, barrier.delivered, headers=cast(Any, headers), **arguments
            )
        except KafkaException as exc:
            barrier.kept.pop()
            self._refusals.refuse(place, exc.args[0].str(), held)

    def _mark(self, place: Place) -> None:
        """Asks whether a refused place takes records again."""
        loop, refusals = self._loop, self._refusals

        def delivered(error: KafkaError | None, _: Message) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(refusals.marked, place, None if error is None else error.str())

        try:
            self._producer.produce(place.topic, None, None, place.partition, delivered, headers=[(PROBE, b"1")])
        except KafkaException as exc:
            refusals.marked(place, exc.args[0].str())

    def _take_back(self, barrier: Barrier, size: int) -> None:
        self._put_records -= 1
        self._put_bytes -= size
        barrier.puts -= 1
        # The last report may have come in between, when the count did not match.
        self._loop.call_soon(barrier.settle)

    async def room(self) -> None:
        """Returns when less than the bounds is unacknowledged: the way back-pressure reaches a stage."""
        while not self._has_room() and self._failure is None:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._room_waiters.append(waiter)
            if self._has_room():  # the poll thread may have looked before the waiter was there
                self._wake_waiter()
            await waiter

    @property
    def unacknowledged(self) -> int:
        """Records that were put and are not acknowledged."""
        return self._put_records - self._acked_records

    def acked_end(self, topic: str, partition: int) -> int | None:
        """Next offset after the highest acknowledged record; None before the first."""
        return self._acked_ends.get((topic, partition))

    async def close(self, timeout_seconds: float = 10.0) -> int:
        """Waits for the acknowledgements up to the timeout and stops. Returns how many records stay unacknowledged.

        Their barriers never resolve.
        """
        self._refusals.close()
        deadline = self._loop.time() + timeout_seconds
        while self.unacknowledged and self._failure is None and self._loop.time() < deadline:
            await asyncio.sleep(0.005)
        self._closed.set()
        await asyncio.to_thread(self._thread.join)
        self._drain()
        return self.unacknowledged

    # poll thread

    def _poll(self) -> None:
        poll = self._producer.poll
        while not self._closed.is_set():
            try:
                poll(POLL_SECONDS)
            except Exception as exc:
                # A report may be lost with it: without this the process would wait for ever. Seen once: a SystemError
                # of confluent-kafka 2.16 in its own hand-over of exceptions between threads.
                self._fail(OutboxFailed(f"the poll thread failed: {exc!r}"))
                return

    def holds(self, barrier: Barrier, error: KafkaError, message: Message) -> bool:
        """Whether the record waits for another time; for Barrier, on the poll thread."""
        topic = message.topic() or ""
        if error.code() not in OF_A_PLACE or topic not in self._patient:
            return False
        self._kept.append((Place(topic, message.partition() or 0), error.str(), barrier, message))
        if not self._scheduled:
            self._schedule()
        return True

    def acknowledged(self, error: KafkaError | None, message: Message) -> RecordRefused | None:
        """Counts a delivery report; for Barrier, on the poll thread.

        Returns the refusal when the record is to blame.
        """
        self._acked_records += 1
        size = len(message)
        self._acked_bytes += size + RECORD_OVERHEAD_BYTES
        if error is None:
            offset = message.offset()
            if offset is None:
                # librdkafka takes the broker's "duplicate sequence" for success. Seen to be wrong: the neighbour of a
                # record that the topic refused was called acknowledged and was not in the log. Not proven is not done.
                topic, partition = message.topic(), message.partition()
                raise OutboxFailed(f"{topic}[{partition}]: acknowledged without an offset")
            # Reports of a partition come in offset order.
            self._acked_ends[message.topic() or "", message.partition() or 0] = offset + 1
            if self._room_waiters and not self._scheduled and self._has_room():
                self._schedule()
            return None
        topic, partition = message.topic() or "", message.partition() or 0
        refusal = self._refusal_of(error, topic, partition, size)
        if refusal is None:
            self._fail(OutboxFailed(f"{topic}[{partition}]: {error.name()}: {error.str()}"))
        return refusal

    def _refusal_of(self, error: KafkaError, topic: str, partition: int, size: int) -> RecordRefused | None:
        if topic in self._optional:
            return RecordRefused("refused", topic, partition, size, error.str())
        return refusal_of(error, topic, partition, size)

    def finished(self, barrier: Barrier) -> None:
        """Has the barrier settled on the loop; for Barrier, on the poll thread."""
        self._finished.append(barrier)
        if not self._scheduled:
            self._schedule()

    def _schedule(self) -> None:
        self._scheduled = True
        try:
            self._loop.call_soon_threadsafe(self._drain)
        except RuntimeError:
            # The loop is closed: the process is on its way out and nobody waits any more.
            self._closed.set()

    def _on_client_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fail(OutboxFailed(f"{error.name()}: {error.str()}"))
        else:
            logger.debug("producer: %s: %s", error.name(), error.str())  # librdkafka logs it too

    def failed_on_poll_thread(self, exc: BaseException) -> None:
        """For Barrier: a delivery report could not be counted, so nothing can be told done any more."""
        self._fail(OutboxFailed(f"a delivery report could not be counted: {exc!r}"))

    def _fail(self, exc: BaseException) -> None:
        if self._failure is None:
            self._failure = exc
            self._schedule()

    # loop

    def _drain(self) -> None:
        # Cleared first: whatever is appended from here on schedules again.
        self._scheduled = False
        while self._kept:
            place, reason, barrier, message = self._kept.popleft()
            self._refusals.refuse(place, reason, _as_it_was_put(place, barrier, message))
        while self._finished:
            self._finished.popleft().settle()
        if self._failure is not None and not self._failure_told:
            self._failure_told = True
            self._on_fatal(self._failure)
        self._wake_waiter()

    def fatal(self, exc: BaseException) -> None:
        """Reports an error that ends the process; for Barrier, on the loop."""
        self._failure = self._failure or exc
        self._failure_told = True
        self._on_fatal(exc)

    def _has_room(self) -> bool:
        return (
            self._put_records - self._acked_records < self._max_records
            and self._put_bytes - self._acked_bytes < self._max_bytes
        )

    def _wake_waiter(self) -> None:
        """One at a time: it puts its batch before the next one looks, so the bounds hold with any number of callers."""
        while self._room_waiters and (self._has_room() or self._failure is not None):
            waiter = self._room_waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                self._loop.call_soon(self._wake_waiter)
                return


def _as_it_was_put(place: Place, barrier: Barrier, message: Message) -> Held:
    """A refused record whole: a delivery report has neither its headers nor its timestamp."""
    value = message.value()
    for at, (topic, partition, put, headers, timestamp_ms) in enumerate(barrier.kept):
        if put == value and (topic, partition) == place:
            del barrier.kept[at]
            return Held(barrier, value, message.key(), headers, timestamp_ms)
    raise OutboxFailed(f"{place.topic}[{place.partition}]: a refused record is not known here")
