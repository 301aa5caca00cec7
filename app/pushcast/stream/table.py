"""The port of a compacted topic as a local table; `transport.table.SourceTable` is the real one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

Row = tuple[bytes, bytes]
#: Index entries of rows, from their keys and values. In the local copy alone, rebuilt with it.
Derive = Callable[[Sequence[Row]], Sequence[bytes]]


class AppliedRecord(Protocol):
    """A record of the topic, as the table applied it."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...
    @property
    def timestamp(self) -> int:
        """As Kafka has it, milliseconds; -1: it has none."""
        ...


class Table(Protocol):
    """Rows of one compacted topic by partition. Reads block the loop for microseconds; nothing is written here."""

    def get(self, partition: int, key: bytes) -> bytes | None:
        """The value of a key, or None."""

    def get_many(self, partition: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """`get` for many keys, in their order: cheaper than one by one."""
        ...

    def scan(self, partition: int, prefix: bytes) -> list[Row]:
        """Rows whose key starts with `prefix`, by key."""
        ...

    def multi_scan(self, partition: int, prefixes: Sequence[bytes]) -> list[list[Row]]:
        """`scan` for many prefixes at one moment of the table; the answers are in the order of the prefixes."""
        ...

    def rows_after(self, partition: int, key: bytes, limit: int) -> list[Row]:
        """The first `limit` rows whose key is above this one, by key; fewer at the end of the partition. Fences and
        what a copy keeps for itself are left out."""
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

    def index(self, partition: int, first: bytes, before: bytes, limit: int) -> list[bytes]:
        """Entries of the index from `first` on, below `before`, ascending; of a table with one. An entry may be older
        than its row: whoever uses it looks at the row."""
        ...

    def forget_entries(self, partition: int, entries: Iterable[bytes]) -> None:
        """Takes entries out of the index that say nothing any more."""

    def on_void(self, hook: Callable[[int, int], None]) -> None:
        """Calls `hook(partition, count)` on the loop after void records came by; it must not block or raise."""

    def on_applied(self, hook: Callable[[int, Sequence[AppliedRecord]], None]) -> None:
        """Calls `hook(partition, records)` on the loop after records were applied; it must not block or raise."""


def require_held(table: Table, partitions: Iterable[int]) -> None:
    """Raises TimeoutError, which makes the transport ask again, while the process has no table for one of these.

    Faust's assignor leaves out a table whose topic the group's leader does not know yet. An empty table would tell a
    planner that nobody has a device, and a registrar that every device is new.
    """
    missing = sorted({partition for partition in partitions if not table.held(partition)})
    if missing:
        raise TimeoutError(f"the devices table has no partition {missing}: its topic is not known to the group yet")
