"""How many timers of a user wait: the users with many of them are remembered, or each of a million would be a scan."""

from __future__ import annotations

from typing import Final

from pushcast.wire.waiting.timers import Timer

#: From so many rows on a user is remembered; others are scanned each time.
MANY: Final = 16
#: Of one partition, the newest.
MAX_USERS: Final = 2_000


class WaitingTimers:
    """Of one partition during one assignment, in which nobody else writes timers."""

    def __init__(self) -> None:
        self._counts: dict[bytes, int] = {}

    def __bool__(self) -> bool:
        return bool(self._counts)

    def __contains__(self, user: bytes) -> bool:
        return user in self._counts

    def of(self, user: bytes) -> int:
        """Of a user who is remembered."""
        return self._counts[user]

    def scanned(self, user: bytes, rows: int, waiting: int) -> None:
        """Remembers a user with many rows."""
        if rows < MANY:
            return
        if len(self._counts) >= MAX_USERS:
            del self._counts[next(iter(self._counts))]
        self._counts[user] = waiting

    def changed(self, user: bytes, before: Timer | None, after: Timer | None) -> None:
        """A row of a user who is remembered was written."""
        self._counts[user] += int(after is not None and after.waits) - int(before is not None and before.waits)
