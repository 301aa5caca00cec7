"""What a stage needs of Kafka, as protocols, so that it runs without one in tests. The folder has the real things."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol, runtime_checkable

from pushcast.stream.errors import RecordRefused
from pushcast.wire.headers import Headers


class Written(NamedTuple):
    """Where Kafka has put a record."""

    topic: str
    partition: int
    offset: int

    @property
    def record(self) -> str:
        """As answers to people name it."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class Barrier(Protocol):
    """A group of outputs (`barrier.KafkaBarrier`)."""

    async def wait(self) -> None:
        """Returns when all outputs so far are acknowledged; raises RecordRefused when Kafka will never take one."""
        ...

    def on_acked(self, callback: Callable[[], None], on_refused: Callable[[RecordRefused], None] | None = None) -> None:
        """Calls back once all outputs so far are acknowledged, at once when there are none.

        `on_refused` is called instead when Kafka will never take one; without it that ends the process.
        """
        ...


class Outbox(Protocol):
    """Outputs (`outbox.KafkaOutbox`). `put` takes the barriers that `barrier` made; another one is a TypeError."""

    async def room(self) -> None: ...
    def barrier(self) -> Barrier: ...
    def put(
        self,
        barrier: Barrier,
        topic: str,
        partition: int,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers | None = None,
        timestamp_ms: int | None = None,
    ) -> None: ...


@runtime_checkable
class TakesMany(Protocol):
    """An outbox that is given many records of one place at once (`outbox.KafkaOutbox`)."""

    def put_many(
        self, barrier: Barrier, topic: str, partition: int, records: list[tuple[bytes, bytes, Headers]]
    ) -> None:
        """As `put` of each value, key and headers in turn. The list is the outbox's from here on."""
        ...


#: As `TakesMany.put_many`.
PutMany = Callable[[Barrier, str, int, list[tuple[bytes, bytes, Headers]]], None]


def putting_many(outbox: Outbox) -> PutMany:
    """How many records of one place are put at once; one by one, where the outbox does not take many."""
    if isinstance(outbox, TakesMany):
        return outbox.put_many

    def one_by_one(barrier: Barrier, topic: str, partition: int, records: list[tuple[bytes, bytes, Headers]]) -> None:
        for value, key, headers in records:
            outbox.put(barrier, topic, partition, value, key, headers)

    return one_by_one


class PositionedOutbox(Outbox, Protocol):
    """An outbox that knows where its records are: what a hand-over and a ledger need."""

    def acked_end(self, topic: str, partition: int) -> int | None:
        """Next offset after the highest acknowledged record; None before the first."""
        ...


class Acked(NamedTuple):
    """What Kafka has of one process in one place."""

    end: int  # next offset after the highest acknowledged record
    records: int  # of this process, acknowledged since it started: all of them lie below `end`
    stamped_ms: int  # Kafka's time of the last one, by the broker's clock; below 0: not known


@runtime_checkable
class CountingOutbox(Protocol):
    """An outbox that knows how much of a place is its own (`outbox.KafkaOutbox`)."""

    def acked(self, topic: str, partition: int) -> Acked | None:
        """None before the first acknowledgement."""
        ...


@runtime_checkable
class PatientOutbox(PositionedOutbox, Protocol):
    """An outbox that keeps what Kafka refuses for now (`refusals`)."""

    def refused(self) -> Sequence[str]:
        """Places that are refused, one sentence each."""
        ...

    def refused_topics(self, partition: int) -> Sequence[str]:
        """Topics of which this partition is refused."""
        ...

    def doubt(self, topic: str, partition: int, reason: str) -> None:
        """Takes a place for refused until a marker is taken there."""
        ...


#: How long whoever ends waits for Kafka to take what it tells last. The outbox tries on, for as long as it is given.
LAST_WORD_SECONDS: Final = 2.0


class TimerHandle(Protocol):
    """`asyncio.TimerHandle`."""

    def cancel(self) -> None: ...


CallLater = Callable[[float, Callable[[], None]], TimerHandle]


#: Told of an error that must end the process unacknowledged (`fatal.end_process`).
Fatal = Callable[[str, BaseException], None]
