"""What REGISTER needs of its table, so that it runs without Kafka in tests, and the counts it keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from pushcast.stream.table import AppliedRecord

#: What happened, by (name, kind): ("registrations", "written"), ("dead_letters", "key_missing"), …
Counters = Counter[tuple[str, str]]


class DevicesTable(Protocol):
    """The compacted devices topic as a local table, guarded (`pushcast.transport.table.SourceTable`)."""

    def get(self, partition: int, key: bytes) -> bytes | None: ...
    def scan(self, partition: int, prefix: bytes) -> Iterable[tuple[bytes, bytes]]: ...
    def fenced(self, partition: int) -> int: ...
    def void(self, partition: int) -> Mapping[bytes, int]: ...
    def on_void(self, hook: Callable[[int, int], None]) -> None: ...
    def on_applied(self, callback: Callable[[int, Sequence[AppliedRecord]], None]) -> None: ...


class Doubts(Protocol):
    """Whether a provider's verdicts are to be believed."""

    def doubted(self, app: str, platform: str, at_ms: int) -> bool:
        """True when the breaker of (app, platform) is open, or opened after this time, or the time lies in one of its
        abnormal windows."""
        ...
