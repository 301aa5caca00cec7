"""Events of apps that fit no delivery: counted when its receipt has had time to come. Pure: a port has what is stored.

An app that names another user, device or notification than its push was for tells nothing, and its reports stay at 0.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, Protocol

from pushcast.report import engaged
from pushcast.report.slo import FRESH_MS

#: An event may come before its receipt: Expo is asked up to an hour after sending what became of a push.
WAIT_MS: Final = 2 * 3_600_000
MAX_WAITING: Final = 10_000


class Unmatched(NamedTuple):
    """An event of which no delivery was there. Times are milliseconds since the epoch."""

    app: str
    user: bytes
    delivery: bytes
    at: int
    recorded_at: int


class StoreOfUsers(Protocol):
    """What it needs of `store.PartitionStore`."""

    def get(self, key: bytes, /) -> bytes | None: ...
    def forgotten_until(self, user: str) -> int: ...


class UnmatchedEvents:
    """Of one process since its start: those that wait for a receipt, at most 10,000, and counts of those that had none.

    Used on one thread; `counts` may be read on any.
    """

    def __init__(self, stores: Mapping[int, StoreOfUsers], whole: Callable[[int], bool]) -> None:
        """`whole`: whether a partition's store has had everything; only then is an event held against it."""
        self.counts: Counter[str] = Counter()  # by app
        self._stores = stores
        self._whole = whole
        self._waiting: deque[tuple[int, Unmatched]] = deque()

    def take(self, partition: int, found: Iterable[Unmatched], now_ms: int) -> None:
        """Those that a batch of events had."""
        for each in found:
            if now_ms - each.recorded_at <= FRESH_MS:
                if len(self._waiting) == MAX_WAITING:
                    self._decide(*self._waiting.popleft())
                self._waiting.append((partition, each))

    def decide(self, now_ms: int) -> None:
        """Counts those whose receipt should be there by now and is not."""
        waiting = self._waiting
        while waiting and now_ms - waiting[0][1].recorded_at > WAIT_MS:
            self._decide(*waiting.popleft())

    def _decide(self, partition: int, event: Unmatched) -> None:
        store = self._stores.get(partition)
        if store is None or not self._whole(partition):
            return  # its new owner reads the event as history, too
        until = store.forgotten_until(event.user.decode())
        if not engaged.is_of_a_delivery(store.get, event.user, until, event.delivery, event.at):
            self.counts[event.app] += 1
