"""Records to Kafka, and answers that wait for it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

from pushcast.gateway.http import Answer, PendingAnswer
from pushcast.gateway.problems import Problem
from pushcast.model.ids import partition_of
from pushcast.stream.errors import Full, OutboxFailed, RecordRefused
from pushcast.stream.ports import Written
from pushcast.wire.headers import Headers

#: Older than this, the oldest unconfirmed record says that Kafka is away: nothing more is written.
AWAY_SECONDS: Final = 2.0
RETRY_AFTER_SECONDS: Final = (1, 5)
#: Records of one request that are put together. Requests with many take turns, so that each of them gets on.
GROUP_RECORDS: Final = 500


class UserRecord(NamedTuple):
    """A record of a user, to be written with others."""

    topic: str
    user: str
    value: bytes


class WrittenGroup(Protocol):
    """What it needs of `kafka.acks.Group`: whether each record was answered for, and which were refused."""

    future: asyncio.Future[None]
    answered: list[bool]
    errors: dict[int, BaseException]


class Producer(Protocol):
    """What it needs of `kafka.acks.AckProducer`."""

    def put(
        self, topic: str, partition: int, key: bytes, value: bytes | None, headers: Headers | None = None
    ) -> asyncio.Future[Written]: ...
    async def put_all(
        self, records: Sequence[tuple[str, int, bytes, bytes | None]], headers: Mapping[str, Headers] | None = None
    ) -> WrittenGroup: ...
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

    def put(self, topic: str, user: str, value: bytes, headers: Headers | None = None) -> asyncio.Future[Written]:
        """A record of the user, not yet confirmed. Raises Problem (overloaded, kafka_unavailable)."""
        key = user.encode()
        return self.put_at(topic, partition_of(key, self._partitions), key, value, headers)

    def put_at(
        self, topic: str, partition: int, key: bytes, value: bytes | None, headers: Headers | None = None
    ) -> asyncio.Future[Written]:
        """As `put`, for a topic whose records are not a user's."""
        try:
            return self._producer.put(topic, partition, key, value, headers)
        except Full as error:
            raise self._later("overloaded", f"{error}; nothing was written") from None
        except OutboxFailed as error:
            raise self._later("kafka_unavailable", f"{error}; nothing was written") from None

    async def confirmed(self, future: asyncio.Future[Written]) -> Written:
        """Where the record is. Raises Problem (ack_timeout, payload_too_large, kafka_unavailable)."""
        if not future.done():
            await asyncio.wait((future,), timeout=self.ack_seconds)
        return self.outcome(future)

    async def ended(self, pending: PendingAnswer) -> Answer:
        """The answer, when Kafka has spoken or the time is over. Raises Problem."""
        if not pending.future.done():
            await asyncio.wait((pending.future,), timeout=pending.seconds)
        return pending.end()

    async def write_all(
        self, records: Sequence[UserRecord], headers: Mapping[str, Headers] | None = None
    ) -> dict[int, Problem]:
        """Returns when Kafka has confirmed them or the time is over: why some are not confirmed, by their place.

        `headers`: of the records, by topic. Records wait for room: whoever sends many is slowed down, and refused
        (overloaded) when the time is over.
        """
        placed = [
            (topic, partition_of(key := user.encode(), self._partitions), key, value) for topic, user, value in records
        ]
        groups: list[WrittenGroup] = []
        unput = self._later("overloaded", f"there was no room within {self.ack_seconds:.0f} s; it was not written")
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.ack_seconds):
                    for start in range(0, len(placed), GROUP_RECORDS):
                        groups.append(await self._producer.put_all(placed[start : start + GROUP_RECORDS], headers))
                    for group in groups:
                        await asyncio.shield(group.future)
        except OutboxFailed as error:
            unput = self._later("kafka_unavailable", f"{error}; it was not written")
        found: dict[int, Problem] = {}
        for number, group in enumerate(groups):
            first = number * GROUP_RECORDS
            found |= {first + place: self._unconfirmed(error) for place, error in group.errors.items()}
            if not group.future.done():
                late = self._late()
                found |= {first + place: late for place, answered in enumerate(group.answered) if not answered}
        return found | dict.fromkeys(range(len(groups) * GROUP_RECORDS, len(placed)), unput)

    def outcome(self, future: asyncio.Future[Written]) -> Written:
        """Of a record that was waited for. Raises Problem."""
        if not future.done():
            raise self._late()
        error = future.exception()
        if error is not None:
            raise self._unconfirmed(error) from None
        return future.result()

    def _late(self) -> Problem:
        return self._later("ack_timeout", f"Kafka has not confirmed it within {self.ack_seconds:.0f} s")

    def _unconfirmed(self, error: BaseException) -> Problem:
        if isinstance(error, RecordRefused):
            return Problem("payload_too_large", str(error))
        return self._later("ack_timeout", f"Kafka did not confirm it: {error}")

    def _later(self, name: str, detail: str) -> Problem:
        return Problem(name, detail, headers={"Retry-After": str(self._pick(*RETRY_AFTER_SECONDS))})
