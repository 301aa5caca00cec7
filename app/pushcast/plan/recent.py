"""The notifications a partition has seen lately, so that the same one again is planned to nothing."""

from __future__ import annotations

from collections import OrderedDict


class Recent:
    """Bounded memory of (user, notification id), oldest forgotten first. Lost with the process.

    Holds at least what is in open windows as long as `limit` is at least the partition's bound of open records.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._offsets: OrderedDict[str, int] = OrderedDict()

    def is_duplicate(self, user: str, notification_id: str, offset: int) -> bool:
        """True when it was seen at another offset. The same offset again is a replay, to be planned again."""
        key = f"{user}\0{notification_id}"
        seen = self._offsets.setdefault(key, offset)
        if seen != offset:
            return True
        if len(self._offsets) > self._limit:
            self._offsets.popitem(last=False)
        return False
