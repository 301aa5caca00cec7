"""What REGISTER needs of Kafka, so that it runs without one in tests. `pushcast.kafka` has the real things."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

#: What happened, by (name, kind): ("registrations", "written"), ("dead_letters", "key_missing"), …
Counters = Counter[tuple[str, str]]


class AppliedRecord(Protocol):
    """A record of the devices topic, as the table applied it."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class Barrier(Protocol):
    """A group of outputs (`pushcast.kafka.outbox.Barrier`)."""

    async def wait(self) -> None:
        """Returns when all outputs so far are acknowledged; raises RecordRefused when Kafka will never take one."""
        ...

    def on_acked(self, callback: Callable[[], None]) -> None:
        """Calls back once all outputs so far are acknowledged, at once when there are none."""
        ...


class Outbox(Protocol):
    """Outputs (`pushcast.kafka.outbox.Outbox`). `put` takes the barriers that `barrier` made, and no others."""

    async def room(self) -> None: ...
    def barrier(self) -> Barrier: ...
    def put(
        self,
        barrier: Any,
        topic: str,
        partition: int,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] | None = None,
        timestamp_ms: int | None = None,
    ) -> None: ...


class DevicesTable(Protocol):
    """The compacted devices topic as a local table (`pushcast.kafka.table.SourceTable`)."""

    def get(self, partition: int, key: bytes) -> bytes | None: ...
    def scan(self, partition: int, prefix: bytes) -> Iterable[tuple[bytes, bytes]]: ...
    def on_applied(self, callback: Callable[[int, Sequence[AppliedRecord]], None]) -> None: ...
