"""Records to Kafka, and answers that wait for it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from pushcast.gateway.problems import Problem
from pushcast.model.ids import partition_of
from pushcast.stream.errors import Full, OutboxFailed, RecordRefused
from pushcast.stream.ports import Written
from pushcast.wire.headers import Headers

#: Older than this, the oldest unconfirmed record says that Kafka is away: nothing more is written.
AWAY_SECONDS: Final = 2.0
RETRY_AFTER_SECONDS: Final = (1, 5)


class Producer(Protocol):
    """What it needs of `kafka.acks.AckProducer`."""

    def put(
        self, topic: str, partition: int, key: bytes, value: bytes | None, headers: Headers | None = None
    ) -> asyncio.Future[Written]: ...
    def oldest_seconds(self) -> float: ...


class Writer:
    """Puts records into their users' partitions."""

    def __init__(
        self,
        producer: Producer,
        partitions: int,
        ack_seconds: float,
        pick: Callable[[int, int], int] = random.randint,
    ) -> None:
        """`ack_seconds`: how long an answer waits for Kafka. `pick`: of Retry-After, both ends included."""
        self._producer = producer
        self._partitions = partitions
        self.ack_seconds = ack_seconds
        self._pick = pick
        self.stopping = False

    def check(self) -> None:
        """Raises Problem (stopping, kafka_unavailable) when nothing should be written now."""
        if self.stopping:
            raise self._later("stopping", "this process is stopping")
        if (age := self._producer.oldest_seconds()) > AWAY_SECONDS:
            raise self._later("kafka_unavailable", f"Kafka has not answered for {age:.0f} s; nothing was written")

    def put(self, topic: str, user: str, value: bytes) -> asyncio.Future[Written]:
        """A record of the user, not yet confirmed. Raises Problem (overloaded, kafka_unavailable)."""
        key = user.encode()
        return self.put_at(topic, partition_of(key, self._partitions), key, value)

    def put_at(self, topic: str, partition: int, key: bytes, value: bytes | None) -> asyncio.Future[Written]:
        """As `put`, for a topic whose records are not a user's."""
        try:
            return self._producer.put(topic, partition, key, value)
        except Full as error:
            raise self._later("overloaded", f"{error}; nothing was written") from None
        except OutboxFailed as error:
            raise self._later("kafka_unavailable", f"{error}; nothing was written") from None

    async def confirmed(self, future: asyncio.Future[Written]) -> Written:
        """Where the record is. Raises Problem (ack_timeout, payload_too_large, kafka_unavailable)."""
        if not future.done():
            await asyncio.wait((future,), timeout=self.ack_seconds)
        return self.outcome(future)

    async def all_confirmed(self, futures: Sequence[asyncio.Future[Written]]) -> None:
        """Returns when all are confirmed or the time is over; ask `outcome` of each."""
        waiting = [future for future in futures if not future.done()]
        if waiting:
            await asyncio.wait(waiting, timeout=self.ack_seconds)

    def outcome(self, future: asyncio.Future[Written]) -> Written:
        """Of a record that was waited for. Raises Problem."""
        if not future.done():
            raise self._later("ack_timeout", f"Kafka has not confirmed it within {self.ack_seconds:.0f} s")
        error = future.exception()
        if error is None:
            return future.result()
        if isinstance(error, RecordRefused):
            raise Problem("payload_too_large", str(error)) from None
        raise self._later("ack_timeout", f"Kafka did not confirm it: {error}")

    def _later(self, name: str, detail: str) -> Problem:
        return Problem(name, detail, headers={"Retry-After": str(self._pick(*RETRY_AFTER_SECONDS))})
