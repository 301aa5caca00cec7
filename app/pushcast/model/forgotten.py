"""Users who were forgotten lately, and until when what was written is not for them."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

#: Of one partition, the newest.
MAX_USERS: Final = 10_000


class Forgotten:
    """Times are milliseconds since the epoch."""

    def __init__(self, limit: int = MAX_USERS) -> None:
        self._limit = limit
        self._at: OrderedDict[bytes, int] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._at)

    def add(self, user: bytes, at: int) -> None:
        """Remembers one; beyond the limit the oldest goes."""
        self._at[user] = max(at, self._at.pop(user, 0))
        if len(self._at) > self._limit:
            self._at.popitem(last=False)

    def covers(self, user: bytes, written_at: int) -> bool:
        """Whether what was written then is from before its user was forgotten."""
        return written_at <= self._at.get(user, -1)
