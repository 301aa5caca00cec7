"""Waiting for the acknowledgement of a set of records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Protocol

from pushcast.stream.errors import OutboxFailed, RecordRefused
from pushcast.stream.ports import Acked
from pushcast.wire.headers import Headers

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message


#: Kinds of times that are the broker's own.
_BY_BROKER: Final = 2  # `confluent_kafka.TIMESTAMP_LOG_APPEND_TIME`


def stamped_ms(message: Message) -> int:
    """When the broker took the record, by the report of it; -1 where the topic keeps the producer's time."""
    kind, at_ms = message.timestamp()
    return at_ms if kind == _BY_BROKER else -1


class Accounts(Protocol):
    """What a barrier tells the outbox whose records it counts (`outbox.KafkaOutbox`)."""

    @property
    def reporting(self) -> Lock:
        """Held while a report is counted: the outbox may have several poll threads."""

    def holds(self, barrier: KafkaBarrier, error: KafkaError, message: Message) -> bool:
        """On a poll thread: whether the record is kept for another time, because its place is refused for now."""

    def acknowledged(self, topic: str, partition: int, acked: Acked, value_bytes: int) -> None:
        """Counts reports of records of one place that Kafka has: `acked.records` more, below `acked.end`."""

    def not_acknowledged(self, error: KafkaError, message: Message) -> RecordRefused | None:
        """On a poll thread: counts the report of another. Returns the refusal when the record is to blame."""

    def finished(self, barrier: KafkaBarrier) -> None:
        """On a poll thread: has the barrier settled on the loop."""

    def failed_on_poll_thread(self, exc: BaseException) -> None:
        """On a poll thread: a delivery report could not be counted."""

    def fatal(self, exc: BaseException) -> None:
        """On the loop: an error that ends the process."""


class KafkaBarrier:
    """Counts the records that were put under it, and those that Kafka has acknowledged.

    Never reports success with an unacknowledged record. `puts` is written by the loop alone, `reports` by poll threads
    under the outbox's lock, so the loop needs none. `kept`, by the loop: topic, partition, value, headers and
    timestamp of records that may be refused for a time, because a delivery report does not say all of that.
    `kept_lots`: topic, partition, and each value, key and headers of those that were put together.
    """

    __slots__ = ("_callbacks", "_outbox", "_refusal", "_waiting", "kept", "kept_lots", "puts", "reports")

    def __init__(self, outbox: Accounts) -> None:
        self.puts = 0
        self.reports = 0
        self.kept: list[tuple[str, int, bytes | None, Any, int | None]] = []
        self.kept_lots: list[tuple[str, int, list[tuple[bytes, bytes, Headers]]]] = []
        self._outbox = outbox
        self._waiting = False
        self._refusal: RecordRefused | None = None
        self._callbacks: list[tuple[Callable[[], None], Callable[[RecordRefused], None] | None]] = []

    async def wait(self) -> None:
        """Returns when everything put so far is acknowledged.

        Raises RecordRefused (RecordTooLarge above all) when Kafka refused one of the records; the others are
        acknowledged by then. After a fatal error of the producer it does not return: the process ends.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def acked() -> None:
            if not future.done():
                future.set_result(None)

        def refused(exc: RecordRefused) -> None:
            if not future.done():
                future.set_exception(exc)

        self.on_acked(acked, refused)
        await future

    def on_acked(self, callback: Callable[[], None], on_refused: Callable[[RecordRefused], None] | None = None) -> None:
        """Calls `callback` once, on the loop, when all records put so far and until then are acknowledged.

        `on_refused` is called instead when Kafka refused a record; without it a refusal ends the process, because
        nobody would ever complete the work behind this barrier. A callback that raises ends the process.
        """
        self._callbacks.append((callback, on_refused))
        self._waiting = True
        if self.reports == self.puts:  # the last report came before the flag: the poll thread did not see it
            asyncio.get_running_loop().call_soon(self.settle)

    def delivered(self, error: KafkaError | None, message: Message) -> None:
        """Delivery report of one record, on a poll thread. Raises nothing into the C client, which mishandles it."""
        try:
            with self._outbox.reporting:
                self.reported(error, message)
        except Exception as exc:
            self._outbox.failed_on_poll_thread(exc)

    def reported(self, error: KafkaError | None, message: Message) -> None:
        """`delivered`, under the outbox's lock. Raises OutboxFailed for an acknowledgement that proves nothing."""
        if error is not None:
            self._failed(error, message)
            return
        topic, partition, offset = message.topic() or "", message.partition() or 0, message.offset()
        if offset is None:
            # librdkafka takes the broker's "duplicate sequence" for success. Seen to be wrong: the neighbour of a
            # record that the topic refused was called acknowledged and was not in the log. Not proven is not done.
            raise OutboxFailed(f"{topic}[{partition}]: acknowledged without an offset")
        self._outbox.acknowledged(topic, partition, Acked(offset + 1, 1, stamped_ms(message)), len(message))
        self.count(1)

    def _failed(self, error: KafkaError, message: Message) -> None:
        if self._outbox.holds(self, error, message):
            return
        refusal = self._outbox.not_acknowledged(error, message)
        if refusal is None:
            return  # fatal: never counted, so this barrier never resolves
        if self._refusal is None:
            self._refusal = refusal
        self.count(1)

    def count(self, reports: int) -> None:
        """So many records more are reported. Under the outbox's lock."""
        self.reports += reports
        if self._waiting and self.reports == self.puts:
            self._outbox.finished(self)

    def refuse(self, exc: RecordRefused) -> None:
        """A record that did not even leave the process. On the loop."""
        if self._refusal is None:
            self._refusal = exc

    def settle(self) -> None:
        """Calls back when everything is reported. On the loop; more calls than needed do no harm."""
        if self.reports != self.puts or not self._callbacks:
            return
        callbacks, self._callbacks = self._callbacks, []
        self._waiting = False
        for callback, on_refused in callbacks:
            try:
                if self._refusal is None:
                    callback()
                elif on_refused is not None:
                    on_refused(self._refusal)
                else:
                    raise self._refusal
            except Exception as exc:
                self._outbox.fatal(exc)
