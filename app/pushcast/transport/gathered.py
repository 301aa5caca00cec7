"""Topics whose records nobody waits for: they are fetched some times a second, many at once, however often others are.

A fetch costs a consumer and its broker half a millisecond, whether it brings one record or a hundred. Pure; times are
monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

#: From one fetch of such topics to the next.
EVERY_SECONDS: Final = 0.05

Asked = list[tuple[str, Any]]  # topics of a request, with their partitions


class GatheredTopics:
    """Of one consumer, by broker."""

    def __init__(self, names: Collection[str], now: Callable[[], float], every_seconds: float = EVERY_SECONDS) -> None:
        self._names = names
        self._now = now
        self._every_seconds = every_seconds
        self._asked_at: dict[Any, float] = {}

    def left_out(self, node_id: Any, topics: Asked) -> tuple[Asked, float] | None:
        """What is to be asked of a broker now, and for how many seconds at most: then it is the others' turn. None:
        everything."""
        if not self._names:
            return None
        now, asked_at = self._now(), self._asked_at.get(node_id)
        left = 0.0 if asked_at is None else asked_at + self._every_seconds - now
        others = [each for each in topics if each[0] not in self._names] if left > 0 else topics
        if not others or len(others) == len(topics):
            if left <= 0 or not others:
                self._asked_at[node_id] = now
            return None
        return others, left
