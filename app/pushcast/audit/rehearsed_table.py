"""The keeper's table and its index in memory, for one partition that is not on Kafka."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pushcast.keep.written import WrittenEntries
from pushcast.wire.devices.row_fences import is_row
from pushcast.wire.headers import Headers


class PastRow(NamedTuple):
    """A record of the table's topic. `timestamp`: milliseconds since the epoch."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int


class RehearsedTable:
    """`stream.table.Table`. It has what `apply` was given."""

    def __init__(self, written: WrittenEntries) -> None:
        self._written = written
        self._rows: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []
        self._entries: list[bytes] = []
        self._hooks: list[Callable[[int, Sequence[Any]], None]] = []

    def apply(self, partition: int, records: Sequence[PastRow]) -> None:
        """As Kafka's tail would."""
        for record in records:
            if record.key is not None:
                self._put(record.key, record.value)
        for hook in self._hooks:
            hook(partition, records)

    def _put(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            if self._rows.pop(key, None) is not None:
                self._keys.pop(bisect_left(self._keys, key))
            return
        if key not in self._rows:
            insort(self._keys, key)
        self._rows[key] = value
        if is_row(key):
            for entry in self._written.of([(key, value)]):
                at = bisect_left(self._entries, entry)
                if self._entries[at : at + 1] != [entry]:
                    self._entries.insert(at, entry)

    def get(self, partition: int, key: bytes) -> bytes | None:
        """See `Table`."""
        return self._rows.get(key)

    def get_many(self, partition: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `Table`."""
        return [self._rows.get(key) for key in keys]

    def scan(self, partition: int, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """See `Table`."""
        found, at = [], bisect_left(self._keys, prefix)
        while at < len(self._keys) and self._keys[at].startswith(prefix):
            found.append((self._keys[at], self._rows[self._keys[at]]))
            at += 1
        return found

    def multi_scan(self, partition: int, prefixes: Sequence[bytes]) -> list[list[tuple[bytes, bytes]]]:
        """See `Table`."""
        return [self.scan(partition, prefix) for prefix in prefixes]

    def rows_after(self, partition: int, key: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """See `Table`."""
        first = bisect_left(self._keys, key + b"\0")
        return [(name, self._rows[name]) for name in self._keys[first:] if is_row(name)][:limit]

    def index(self, partition: int, first: bytes, before: bytes, limit: int) -> list[bytes]:
        """See `Table`."""
        start = bisect_left(self._entries, first)
        end = min(bisect_left(self._entries, before), start + limit)
        return self._entries[start:end]

    def forget_entries(self, partition: int, entries: Iterable[bytes]) -> None:
        """See `Table`."""
        for entry in entries:
            at = bisect_left(self._entries, entry)
            if self._entries[at : at + 1] == [entry]:
                del self._entries[at]

    def held(self, partition: int) -> bool:
        """It has every partition that it is asked for."""
        return True

    def void(self, partition: int) -> Mapping[bytes, int]:
        """There is one writer."""
        return {}

    def on_applied(self, hook: Callable[[int, Sequence[Any]], None]) -> None:
        """See `Table`."""
        self._hooks.append(hook)

    def on_void(self, hook: Callable[[int, int], None]) -> None:
        """Nothing ever is."""
