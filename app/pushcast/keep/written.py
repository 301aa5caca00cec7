"""Entries of rows that this process has written itself: they need not be read from a row again when it comes back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from pushcast.keep.index import entries_of

#: Rows that are on their way. Beyond them all are forgotten, and read from their rows as those of others are: rows of
#: a partition that was lost never come back.
MAX_KNOWN: Final = 20_000


class WrittenEntries:
    """Of one process."""

    def __init__(self, limit: int = MAX_KNOWN) -> None:
        self._limit = limit
        self._known: dict[bytes, tuple[bytes, Iterable[bytes]]] = {}

    def note(self, rows: Sequence[tuple[bytes, bytes, bytes]]) -> None:
        """Rows are written: key, value, and the one entry of each."""
        if len(self._known) + len(rows) > self._limit:
            self._known.clear()
        self._known.update([(key, (value, (entry,))) for key, value, entry in rows])

    def of(self, key: bytes, value: bytes) -> Iterable[bytes]:
        """`entries_of`: known of the last row that was written under this key, and only of that one."""
        known = self._known.pop(key, None)
        return known[1] if known is not None and known[0] == value else entries_of(key, value)
