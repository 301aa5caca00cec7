"""Entries of rows that this process has written itself: they need not be read from a row again when it comes back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from pushcast.keep.index import entries_of, is_unreadable

logger = logging.getLogger(__name__)

#: Rows that are on their way. Beyond them all are forgotten, and read from their rows as those of others are: rows of
#: a partition that was lost never come back.
MAX_KNOWN: Final = 20_000


class WrittenEntries:
    """Of one process."""

    def __init__(self, limit: int = MAX_KNOWN) -> None:
        self._limit = limit
        self.unreadable = 0  # timers and digests that this release cannot read: nobody lets them go
        self._known: dict[bytes, tuple[bytes, bytes]] = {}  # value and entry of a key

    def note(self, rows: Sequence[tuple[bytes, bytes, bytes]]) -> None:
        """Rows are written: key, value, and the one entry of each."""
        if len(self._known) + len(rows) > self._limit:
            self._known.clear()
        self._known.update([(key, (value, entry)) for key, value, entry in rows])

    def of(self, rows: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Entries of rows: known of the last one that was written under its key, and only of that one; else
        `entries_of`."""
        known, found = self._known, list[bytes]()
        for key, value in rows:
            mine = known.pop(key, None) if known else None
            if mine is not None and mine[0] == value:
                found.append(mine[1])
                continue
            entries = entries_of(key, value)
            if not entries and is_unreadable(key, value):
                self._note_unreadable()
            found += entries
        return found

    def _note_unreadable(self) -> None:
        if not self.unreadable:
            logger.error("keep: a row of push.user.v1 cannot be read, so it waits: run the release that wrote it")
        self.unreadable += 1
