"""Users of whom something was told lately, and until when what was written comes before it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

#: Of one partition, the newest.
MAX_USERS: Final = 10_000


class UsersUntil:
    """Times are milliseconds since the epoch."""

    def __init__(self, limit: int = MAX_USERS) -> None:
        self._limit = limit
        self._until: OrderedDict[bytes, int] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._until)

    def add(self, user: bytes, until: int) -> None:
        """Remembers one; beyond the limit the oldest goes."""
        self._until[user] = max(until, self._until.pop(user, 0))
        if len(self._until) > self._limit:
            self._until.popitem(last=False)

    def until(self, user: bytes) -> int:
        """-1: nothing is remembered of this user."""
        return self._until.get(user, -1)

    def covers(self, user: bytes, written_at: int) -> bool:
        """Whether what was written then comes before."""
        return written_at <= self._until.get(user, -1)
