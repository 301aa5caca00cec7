"""Sums that have changed since other programs got them, and which of those are in Kafka by now."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from threading import RLock
from typing import NamedTuple

from pushcast.report.notes import Note
from pushcast.report.store import PartitionStore


class Sums(NamedTuple):
    """What is published of a note. `version` grows with what was read of the books."""

    partition: int
    name: bytes
    note: Note
    version: int


class Unpublished:
    """Of the stores that are here. Asked on any thread; what was published is noted on the one that applies."""

    def __init__(self, stores: Mapping[int, PartitionStore], lock: RLock) -> None:
        self._stores = stores
        self._lock = lock
        self._done: deque[Sums] = deque()

    def newest(self, limit: int) -> list[Sums]:
        """Sums that have changed since they were published, at most so many of a partition."""
        with self._lock:
            found = []
            for partition, store in self._stores.items():
                version = sum(store.offsets().values())
                found += [Sums(partition, name, note, version) for name, note in store.unpublished(limit)]
            return found

    def published(self, sums: Iterable[Sums]) -> None:
        """Kafka has them. Those that have changed meanwhile are published again."""
        self._done.extend(sums)

    def note_published(self) -> None:
        """On the thread that applies: nothing changes between the comparison and the deletion."""
        while self._done:
            each = self._done.popleft()
            store = self._stores.get(each.partition)
            if store is not None and store.note(each.note.kind, each.note.id) == each.note:
                store.published(each.name, each.note)
