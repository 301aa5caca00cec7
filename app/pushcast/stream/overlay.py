"""Rows that were produced but that a table has not tailed yet.

Decisions read the table through the overlay, so that two changes of one row in a row see each other. An entry
leaves when the table applies the record that carries its tag. The tag names one write, so a row that was written,
replaced and written again is never mistaken for its later copy; and compaction in between takes nothing away: the
last record of a key survives it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Generic, TypeVar

import msgspec

from pushcast.stream.table import AppliedRecord
from pushcast.wire.headers import CE_ID, first

T = TypeVar("T")


class OverlayEntry(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """The newest write of a key. `row` None: removed. The garbage collector does not look at it: it is in no cycle."""

    row: T | None
    tag: bytes


class InFlight:
    """Counts the rows of all partitions of one process that are in flight; there is room below `max_rows`."""

    def __init__(self, max_rows: int = 100_000) -> None:
        self._max_rows = max_rows
        self._rows = 0
        self._room = asyncio.Event()
        self._room.set()
        self._has_room = True

    def __len__(self) -> int:
        return self._rows

    def add(self, rows: int) -> None:
        """So many more, or fewer."""
        self._rows += rows
        has_room = self._rows < self._max_rows
        if has_room is not self._has_room:
            self._has_room = has_room
            (self._room.set if has_room else self._room.clear)()

    async def room(self) -> None:
        """Waits until there is room."""
        await self._room.wait()


class Overlay(Generic[T]):
    """Entries of one partition. Belongs to the event loop."""

    def __init__(self, in_flight: InFlight) -> None:
        self._in_flight = in_flight
        # By user within the partition: `of_user` must not walk everything that is in flight.
        self._users: dict[bytes, dict[bytes, OverlayEntry[T]]] = {}

    def of_user(self, user_key: bytes) -> dict[bytes, OverlayEntry[T]]:
        """The user's newest writes that the table may not know, by row key. Read only."""
        return self._users.get(user_key, {})

    def put(self, user_key: bytes, key: bytes, entry: OverlayEntry[T]) -> None:
        """Notes a write that is about to be produced. Never refuses: callers await room before a batch."""
        entries = self._users.get(user_key)
        if entries is None:
            self._users[user_key] = {key: entry}
            self._in_flight.add(1)
            return
        before = len(entries)
        entries[key] = entry
        if len(entries) > before:
            self._in_flight.add(1)

    def put_many(self, writes: Iterable[tuple[bytes, bytes, OverlayEntry[T]]]) -> None:
        """`put` of each user key, key and entry in turn."""
        users, added = self._users, 0
        for user_key, key, entry in writes:
            entries = users.get(user_key)
            if entries is None:
                users[user_key] = {key: entry}
                added += 1
            else:
                added += key not in entries
                entries[key] = entry
        self._in_flight.add(added)

    def keys(self) -> list[bytes]:
        """Row keys of all writes that the table may not know."""
        return [key for entries in self._users.values() for key in entries]

    def applied(self, records: Iterable[AppliedRecord]) -> list[bytes]:
        """Called when the table has applied these records of its topic. Returns the row keys of which it knows the
        newest write from here on."""
        users = self._users
        gone: list[bytes] = []
        if not users:
            return gone
        for record in records:
            key = record.key
            if key is None:
                continue
            user_key = key.partition(b"\0")[0]
            entries = users.get(user_key)
            if entries is None or (entry := entries.get(key)) is None:
                continue
            headers = record.headers
            # Our own writers put the tag first.
            if not (headers and headers[0] == (CE_ID, entry.tag)) and first(headers, CE_ID) != entry.tag:
                continue
            del entries[key]
            gone.append(key)
            if not entries:
                del users[user_key]
        self._in_flight.add(-len(gone))
        return gone

    def drop(self) -> None:
        """Forgets what is in flight: the partition goes to another owner."""
        self._in_flight.add(-sum(map(len, self._users.values())))
        self._users = {}
