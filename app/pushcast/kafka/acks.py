"""A producer that tells of each record where Kafka has put it: for doors whose answer waits for Kafka."""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Final

from confluent_kafka import KafkaError, Message

from pushcast.config.security import KafkaSecurity
from pushcast.kafka.ack_groups import (
    RECORD_OVERHEAD_BYTES,
    Group,
    Record,
    blame,
    produce_all,
    produce_each,
    size_of,
    unput,
)
from pushcast.kafka.producer import PRODUCE_ERRORS, beside_the_value, open_producer
from pushcast.stream.errors import Full, OutboxFailed, RecordRefused
from pushcast.stream.ports import Written
from pushcast.wire.headers import Headers

logger = logging.getLogger(__name__)

MAX_RECORDS: Final = 10_000
MAX_BYTES: Final = 64 << 20
LINGER_SECONDS: Final = 0.001
#: What groups leave free of both bounds, so that a single record finds room beside them.
GROUPS_SHARE: Final = 0.8
#: How often acknowledgements are fetched. librdkafka has no file descriptor to wait for in Python. A thread that waits
#: for them would wake the loop for each: that cost 35 us a record, and a poll of the loop's own costs 2.
BUSY_POLL_SECONDS: Final = 0.001
IDLE_POLL_SECONDS: Final = 0.2
FETCH_SECONDS: Final = 1.0


class AckProducer:
    """Idempotent, acks=all, never gives a record up. Use it on `loop` only; `put` never blocks.

    At most 10,000 records or 64 MiB are unacknowledged. An error that no retry can mend goes to `on_fatal` once.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        security: KafkaSecurity | None,
        *,
        loop: asyncio.AbstractEventLoop,
        on_fatal: Callable[[BaseException], None],
        max_records: int = MAX_RECORDS,
        max_bytes: int = MAX_BYTES,
        bounds: Sequence[float] = (),
    ) -> None:
        """`bounds`: of `waits`, in seconds, rising."""
        self._loop = loop
        self._on_fatal = on_fatal
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._records = 0
        self._bytes = 0
        # Of what was put and is not answered for, in order of `put`. A plain dictionary looks for its first entry at
        # the places of all that were deleted before it: that took as long as all the rest of a put.
        self._since: OrderedDict[int, float] = OrderedDict()
        self._next = 0
        self._bounds = bounds
        self.waits = [0] * (len(bounds) + 1)  # records and groups by how long Kafka took to answer for them
        self.waited_seconds = 0.0  # the sum
        self._failure: BaseException | None = None
        self._turn = asyncio.Lock()  # of groups: first come, first put
        self._room: asyncio.Future[None] | None = None  # of the group that waits for room
        self._producer = open_producer(
            bootstrap_servers,
            security=security,
            linger_seconds=LINGER_SECONDS,
            max_records=max_records,
            max_bytes=max_bytes,
            on_error=self._on_client_error,
            extra=None,
        )
        self._timer = loop.call_soon(self._poll)
        self._busy = False

    def put(
        self, topic: str, partition: int, key: bytes, value: bytes | None, headers: Headers | None = None
    ) -> asyncio.Future[Written]:
        """Resolves when Kafka has it. Fails with RecordRefused when the record is to blame, with OutboxFailed when
        something else is, such as a missing permission: then it is not known whether Kafka has the record.

        Raises Full when too much is unacknowledged, OutboxFailed after a fatal error: then nothing was written.
        """
        self._check()
        size = len(value or b"") + RECORD_OVERHEAD_BYTES
        future: asyncio.Future[Written] = self._loop.create_future()
        try:
            size += 0 if headers is None else beside_the_value(None, headers)
        except ValueError as error:
            future.set_exception(unput(error, topic, partition, size))
            return future
        if not self._fits(1, size, 1.0):
            raise Full(f"{self._records} records are not yet acknowledged by Kafka")
        number = self._next

        def delivered(error: KafkaError | None, message: Message) -> None:
            self._leave(number, 1, size)
            if future.done():
                return
            topic, partition, offset = message.topic() or "", message.partition() or 0, message.offset()
            if error is None and offset is not None:
                future.set_result(Written(topic, partition, offset))
            else:
                future.set_exception(blame(error, topic, partition, size))

        try:
            self._producer.produce(topic, value, key, partition, delivered, headers=headers)  # type: ignore[arg-type]
        except PRODUCE_ERRORS as error:
            found = unput(error, topic, partition, size)
            if not isinstance(found, RecordRefused):
                raise found from error
            future.set_exception(found)
            return future
        self._enter(1, size)
        return future

    async def put_all(self, records: Sequence[Record], headers: Mapping[str, Headers] | None = None) -> Group:
        """Puts them when it is their turn and there is room: whoever writes many waits, and is not refused.

        `headers`: of the records, by topic.
        Records that cannot be put end with their error. Raises OutboxFailed after a fatal error.
        """
        size = size_of(records)
        async with self._turn:
            self._check()
            while not self._fits(len(records), size, GROUPS_SHARE) and self._since:
                self._room = self._loop.create_future()
                await self._room
                self._check()
            number = self._enter(len(records), size)
            ended = partial(self._leave, number, len(records), size)
            group = Group(len(records), self._loop.create_future(), ended)
            if headers is None:
                produce_all(self._producer, records, group)
            else:
                produce_each(self._producer, records, group, headers)
            return group

    @property
    def unacknowledged(self) -> int:
        """Records that Kafka has not confirmed."""
        return self._records

    def oldest_seconds(self) -> float:
        """Age of the oldest record that Kafka has not confirmed; 0 when there is none."""
        found = self._oldest()
        if found > FETCH_SECONDS:
            # The loop may have been busy: what Kafka has answered meanwhile is not held against it.
            self._producer.poll(0)
            return self._oldest()
        return found

    def _oldest(self) -> float:
        since = self._since
        return monotonic() - since[next(iter(since))] if since else 0.0

    async def close(self, timeout_seconds: float) -> int:
        """Waits for acknowledgements up to the timeout. Returns how many records stay unacknowledged."""
        deadline = self._loop.time() + timeout_seconds
        while self._records and self._failure is None and self._loop.time() < deadline:
            await asyncio.sleep(0.005)
        self._timer.cancel()
        return self._records

    def _check(self) -> None:
        if self._failure is not None:
            raise OutboxFailed(str(self._failure)) from self._failure

    def _fits(self, records: int, size: int, share: float) -> bool:
        return self._records + records <= self._max_records * share and self._bytes + size <= self._max_bytes * share

    def _enter(self, records: int, size: int) -> int:
        number, self._next = self._next, self._next + 1
        self._since[number] = monotonic()
        self._records += records
        self._bytes += size
        if not self._busy:
            self._busy = True
            self._timer.cancel()
            self._timer = self._loop.call_later(BUSY_POLL_SECONDS, self._poll)
        return number

    def _leave(self, number: int, records: int, size: int) -> None:
        waited = monotonic() - self._since.pop(number)
        self.waits[bisect_left(self._bounds, waited)] += 1
        self.waited_seconds += waited
        self._records -= records
        self._bytes -= size
        self._wake()

    def _wake(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def _poll(self) -> None:
        try:
            self._producer.poll(0)
        except Exception as error:  # what it holds can never be confirmed now: the process must end
            self._fail(OutboxFailed(f"the poll failed: {error!r}"))
            return
        self._busy = bool(self._since)
        self._timer = self._loop.call_later(BUSY_POLL_SECONDS if self._busy else IDLE_POLL_SECONDS, self._poll)

    def _on_client_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fail(OutboxFailed(f"{error.name()}: {error.str()}"))
        else:
            logger.debug("producer: %s: %s", error.name(), error.str())

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error
            self._wake()
            self._on_fatal(error)
