"""The notifications a partition has seen lately, so that the same one again is planned to nothing."""

from __future__ import annotations


class Recent:
    """Bounded memory of (user, notification id): the last `limit` ones at least, twice as many at most.

    Two generations instead of a queue: forgetting costs nothing per notification. Lost with the partition.
    """

    __slots__ = ("_limit", "_old", "_young")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._young: set[str] = set()
        self._old: set[str] = set()

    def remember(self, user: str, notification_id: str) -> bool:
        """Remembers it from now on. True when it was remembered already: this one is a duplicate."""
        key = f"{user}\0{notification_id}"  # neither holds a NUL
        if key in self._young:
            return True
        known = key in self._old
        if len(self._young) >= self._limit:
            self._old, self._young = self._young, set()
        self._young.add(key)
        return known

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


class Unseen(Recent):
    """For records that have an identity of their own: what was held is no duplicate of itself."""

    __slots__ = ()

    def remember(self, user: str, notification_id: str) -> bool:
        """Never known."""
        return False
