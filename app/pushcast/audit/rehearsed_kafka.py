"""What stands in for Kafka in a rehearsal: outputs that are there at once, and records of before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from pushcast.stream.batch import Bounds
from pushcast.stream.errors import RecordRefused
from pushcast.wire.answers.dead_letters import PlainRecord
from pushcast.wire.headers import Headers

OPEN: Final = Bounds(records=1 << 30, bytes=1 << 40)


class _Acked:
    """Everything is there at once."""

    async def wait(self) -> None:
        return

    def on_acked(self, callback: Callable[[], None], on_refused: Callable[[RecordRefused], None] | None = None) -> None:
        callback()


class MemoryPut(NamedTuple):
    """An output."""

    topic: str
    value: bytes | None
    key: bytes | None
    headers: Headers


class Memory:
    """`stream.ports.Outbox`: keeps what a stage writes until it is taken."""

    def __init__(self) -> None:
        self._puts: list[MemoryPut] = []

    async def room(self) -> None:
        """There always is."""

    def barrier(self) -> _Acked:
        """See `Outbox`."""
        return _Acked()

    def put(
        self,
        barrier: object,
        topic: str,
        partition: int,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        """See `Outbox`."""
        self._puts.append(MemoryPut(topic, value, key, headers or ()))

    def taken(self) -> list[MemoryPut]:
        """All of it, once."""
        found, self._puts = self._puts, []
        return found

    def taken_of(self, topic: str) -> list[MemoryPut]:
        """What is for one topic, once."""
        found = [put for put in self._puts if put.topic == topic]
        if found:
            self._puts = [put for put in self._puts if put.topic != topic]
        return found


class PastRecord(PlainRecord):
    """A record as a stage gets it. `timestamp`: milliseconds since the epoch."""

    __slots__ = ()

    @property
    def serialized_key_size(self) -> int:
        """Bytes; -1 for none."""
        return -1 if self.key is None else len(self.key)

    @property
    def serialized_value_size(self) -> int:
        """Bytes; -1 for none."""
        return -1 if self.value is None else len(self.value)
