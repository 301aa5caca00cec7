"""What poll threads are told of records that were put, and what the loop makes of it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Set

from confluent_kafka import KafkaError, Message

from pushcast.kafka.barrier import KafkaBarrier
from pushcast.kafka.patience import Patience
from pushcast.kafka.producer import refusal_of as said_refusal
from pushcast.kafka.room import RECORD_OVERHEAD_BYTES, Room
from pushcast.stream.errors import OutboxFailed, RecordRefused
from pushcast.stream.ports import Acked

logger = logging.getLogger(__name__)


class DeliveryReports:
    """Of one outbox: `barrier.Accounts`. Poll threads count, the loop calls back.

    `patience` and `close_writers` are set before the first record is put.
    """

    patience: Patience
    close_writers: Callable[[], None]

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        room: Callable[[Callable[[], bool]], Room],
        optional: Set[str],
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        """`room`: makes the outbox's, which asks whether there was a fatal error."""
        self.room = room(lambda: self.failure is not None)
        #: Held by a poll thread while it counts a report: several may have one at once.
        self.reporting = threading.Lock()
        # Written by the poll threads.
        self.acked: dict[tuple[str, int], Acked] = {}
        self.failure: BaseException | None = None
        self._finished: deque[KafkaBarrier] = deque()
        self._scheduled = False
        self._told = False
        self._loop = loop
        self._optional = optional
        self._on_fatal = on_fatal

    # poll threads

    def holds(self, barrier: KafkaBarrier, error: KafkaError, message: Message) -> bool:
        """Whether the record waits for another time: on a poll thread."""
        if not self.patience.waits(error, message.topic() or ""):
            return False
        self.patience.keep(error, barrier, message)
        if not self._scheduled:
            self._schedule()
        return True

    def acknowledged(self, topic: str, partition: int, acked: Acked, value_bytes: int) -> None:
        """Counts reports of records of one place that Kafka has: `acked.records` more, below `acked.end`."""
        end, records, stamped_ms = acked
        self.room.acked(value_bytes + records * RECORD_OVERHEAD_BYTES, records)
        # Reports of a partition come in offset order.
        place = topic, partition
        before = self.acked.get(place)
        self.acked[place] = acked if before is None else Acked(end, before.records + records, stamped_ms)
        if self.room.waiters and not self._scheduled and self.room.has_room():
            self._schedule()

    def not_acknowledged(self, error: KafkaError, message: Message) -> RecordRefused | None:
        """Counts the report of another: on a poll thread. Returns the refusal when the record is to blame."""
        size = len(message)
        self.room.acked(size + RECORD_OVERHEAD_BYTES)
        topic, partition = message.topic() or "", message.partition() or 0
        refusal = self.refusal_of(error, topic, partition, size)
        if refusal is None:
            self.fail(OutboxFailed(f"{topic}[{partition}]: {error.name()}: {error.str()}"))
        return refusal

    def refusal_of(self, error: KafkaError, topic: str, partition: int, size: int) -> RecordRefused | None:
        """None: an error that ends the process."""
        if topic in self._optional:
            return RecordRefused("refused", topic, partition, size, error.str())
        return said_refusal(error, topic, partition, size)

    def finished(self, barrier: KafkaBarrier) -> None:
        """Has the barrier settled on the loop: on a poll thread."""
        self._finished.append(barrier)
        if not self._scheduled:
            self._schedule()

    def _schedule(self) -> None:
        self._scheduled = True
        try:
            self._loop.call_soon_threadsafe(self.drain)
        except RuntimeError:
            # The loop is closed: the process is on its way out and nobody waits any more.
            self.close_writers()

    def on_client_error(self, error: KafkaError) -> None:
        """Of a producer as a whole."""
        if error.fatal():
            self.fail(OutboxFailed(f"{error.name()}: {error.str()}"))
        else:
            logger.debug("producer: %s: %s", error.name(), error.str())  # librdkafka logs it too

    def failed_on_poll_thread(self, exc: BaseException) -> None:
        """A delivery report could not be counted, so nothing can be told done any more."""
        self.fail(OutboxFailed(f"a delivery report could not be counted: {exc!r}"))

    def fail(self, exc: BaseException) -> None:
        """Nothing can be put any more; the loop is told once."""
        if self.failure is None:
            self.failure = exc
            self._schedule()

    # loop

    def drain(self) -> None:
        """Settles what is finished."""
        # Cleared first: whatever is appended from here on schedules again.
        self._scheduled = False
        self.patience.take_kept()
        while self._finished:
            self._finished.popleft().settle()
        if self.failure is not None and not self._told:
            self._told = True
            self._on_fatal(self.failure)
        self.room.wake()

    def fatal(self, exc: BaseException) -> None:
        """Reports an error that ends the process; on the loop."""
        self.failure = self.failure or exc
        self._told = True
        self._on_fatal(exc)
