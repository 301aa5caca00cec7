"""Topics whose records nobody waits for: they are fetched some times a second, many at once, however often others are.

A fetch costs a consumer and its broker ten microseconds for each partition that it names, whether that brings one
record, a hundred or none. Pure; times are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

#: From one fetch of such topics to the next.
EVERY_SECONDS: Final = 0.05


class GatheredTopics:
    """Of one consumer, by broker. `names`: the topics; a consumer that has none asks for everything each time."""

    def __init__(self, names: Collection[str], now: Callable[[], float], every_seconds: float = EVERY_SECONDS) -> None:
        self.names = names
        self._now = now
        self._every_seconds = every_seconds
        self._asked_at: dict[Any, float] = {}

    def left_seconds(self, brokers: Iterable[Any]) -> dict[Any, float]:
        """Of these brokers those where it is not their turn, and for how long: it is the others' alone."""
        now, turns = self._now(), self._asked_at
        return {
            broker: left
            for broker in brokers
            if broker in turns and (left := turns[broker] + self._every_seconds - now) > 0
        }

    def has_more(self, broker: Any) -> None:
        """Much came of one of them: it is their turn again at once."""
        self._asked_at.pop(broker, None)

    def asked(self, broker: Any) -> None:
        """They are fetched from it now."""
        self._asked_at[broker] = self._now()
