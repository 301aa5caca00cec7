"""Rows that were produced but that the devices table has not tailed yet.

Decisions read the table through the overlay, so that two changes of one device in a row see each other. An entry
leaves when the table applies the record that carries its tag. The tag names one write, so a row that was written,
replaced and written again is never mistaken for its later copy; and compaction in between takes nothing away: the
last record of a key survives it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from pushcast.model.device import DeviceRow
from pushcast.stream.table import AppliedRecord
from pushcast.wire.headers import CE_ID, first


class Entry(NamedTuple):
    """The newest write of a key. `row` None: removed."""

    row: DeviceRow | None
    tag: bytes


class Overlay:
    """Entries of all partitions of one process, bounded by `max_rows`. Belongs to the event loop."""

    def __init__(self, max_rows: int = 100_000) -> None:
        self._max_rows = max_rows
        # By user within the partition: `of_user` must not walk everything that is in flight.
        self._partitions: dict[int, dict[bytes, dict[bytes, Entry]]] = {}
        self._rows = 0
        self._room = asyncio.Event()
        self._room.set()

    def __len__(self) -> int:
        return self._rows

    def of_user(self, partition: int, user_key: bytes) -> dict[bytes, Entry]:
        """The user's newest writes that the table may not know, by row key. Read only."""
        users = self._partitions.get(partition)
        return {} if users is None else users.get(user_key, {})

    def put(self, partition: int, user_key: bytes, key: bytes, entry: Entry) -> None:
        """Notes a write that is about to be produced. Never refuses: callers await `room` before a batch."""
        entries = self._partitions.setdefault(partition, {}).setdefault(user_key, {})
        before = len(entries)
        entries[key] = entry
        self._rows += len(entries) - before
        if self._rows >= self._max_rows:
            self._room.clear()

    async def room(self) -> None:
        """Waits until there are fewer than `max_rows` entries."""
        await self._room.wait()

    def applied(self, partition: int, records: Iterable[AppliedRecord]) -> None:
        """Called when the table has applied these records of its topic."""
        users = self._partitions.get(partition)
        if not users:
            return
        gone = 0
        for record in records:
            key = record.key
            if key is None:
                continue
            user_key = key.partition(b"\0")[0]
            entries = users.get(user_key)
            entry = None if entries is None else entries.get(key)
            if entries is None or entry is None or first(record.headers, CE_ID) != entry.tag:
                continue
            del entries[key]
            gone += 1
            if not entries:
                del users[user_key]
        self._shrink(gone)

    def drop(self, partition: int) -> None:
        """Forgets a partition that goes to another owner."""
        self._shrink(sum(map(len, self._partitions.pop(partition, {}).values())))

    def _shrink(self, rows: int) -> None:
        self._rows -= rows
        if self._rows < self._max_rows:
            self._room.set()
