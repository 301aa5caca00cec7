"""The port of a compacted topic as a local table; `transport.table.SourceTable` is the real one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

Row = tuple[bytes, bytes]


class AppliedRecord(Protocol):
    """A record of the topic, as the table applied it."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


class Table(Protocol):
    """Rows of one compacted topic by partition. Reads block the loop for microseconds; nothing is written here."""

    def get(self, partition: int, key: bytes) -> bytes | None:
        """The value of a key, or None."""

    def scan(self, partition: int, prefix: bytes) -> list[Row]:
        """Rows whose key starts with `prefix`, by key."""
        ...

    def multi_scan(self, partition: int, prefixes: Sequence[bytes]) -> list[list[Row]]:
        """`scan` for many prefixes at one moment of the table; the answers are in the order of the prefixes."""
        ...

    def position(self, partition: int) -> int:
        """Next offset of the topic to be applied; 0 when nothing was."""
        ...

    def held(self, partition: int) -> bool:
        """Whether the assignment gave this process the table's partition."""
        ...

    def count(self, partition: int) -> int:
        """An estimate of the number of rows."""
        ...

    def fenced(self, partition: int) -> int:
        """Epoch of the last fence that was applied; 0 before the first. Of a guarded table."""
        ...

    def void(self, partition: int) -> Mapping[bytes, int]:
        """Keys whose last record in the log is void, with its offset. Of a guarded table."""
        ...

    def on_void(self, hook: Callable[[int, int], None]) -> None:
        """Calls `hook(partition, count)` on the loop after void records came by; it must not block or raise."""

    def on_applied(self, hook: Callable[[int, Sequence[AppliedRecord]], None]) -> None:
        """Calls `hook(partition, records)` on the loop after records were applied; it must not block or raise."""
