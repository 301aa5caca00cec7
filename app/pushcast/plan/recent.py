"""The notifications a partition has seen lately, so that the same one again is planned to nothing."""

from __future__ import annotations

from typing import Final

from pushcast.model.words import Reason

#: Of a notification whose content is not compared.
ANY_CONTENT: Final = 0
_MARKS: Final = 255


def mark_of(content_key: bytes) -> int:
    """1 to 255: equal for equal contents in this process, and different for 254 of 255 others. Such numbers take no
    memory of their own."""
    return hash(content_key) % _MARKS + 1


class Recent:
    """Bounded memory of (user, notification id): the last `limit` ones at least, twice as many at most.

    Two generations instead of a queue: forgetting costs nothing per notification. Lost with the partition.
    """

    __slots__ = ("_limit", "_old", "_young")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._young: dict[str, int] = {}
        self._old: dict[str, int] = {}

    def remember(self, user: str, notification_id: str, mark: int = ANY_CONTENT) -> Reason | None:
        """Remembers it from now on. None: it was not known. Else why it is planned to nothing: a duplicate, or another
        content under an id that was used. `mark`: `mark_of` its content; the first one stays."""
        key = f"{user}\0{notification_id}"  # neither holds a NUL
        known = self._young.get(key)
        if known is None:
            known = self._old.get(key)
            if len(self._young) >= self._limit:
                self._old, self._young = self._young, {}
            self._young[key] = mark if known is None else known
            if known is None:
                return None
        return Reason.ID_REUSED if known != mark and known and mark else Reason.DUPLICATE

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


class Unseen(Recent):
    """For records that have an identity of their own: what was held is no duplicate of itself."""

    __slots__ = ()

    def remember(self, user: str, notification_id: str, mark: int = ANY_CONTENT) -> Reason | None:
        """Never known."""
        return None
