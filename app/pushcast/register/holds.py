"""Suspensions of one partition that wait for their end. Pure: told the time, never asks for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from pushcast.stream.batch import Batch, Record
from pushcast.wire.answers.receipts import TokenInvalid

#: Due whatever the time.
AT_ONCE = float("-inf")


class Hold:
    """A record of the hold topic that is not ended. `due` is on the monotonic clock, in seconds; `at` is the verdict's
    time, in milliseconds."""

    __slots__ = ("app", "at", "batch", "due", "platform", "record")

    def __init__(self, batch: Batch, record: Record, event: TokenInvalid, due: float) -> None:
        self.batch = batch
        self.record = record
        self.app = event.app
        self.platform = event.platform
        self.at = event.at
        self.due = due


class HoldQueue:
    """In log order, so that the head is the next one due; what a breaker's opening ends comes before it.

    Memory: an entry per fetched hold, which the transport bounds by pausing the partition.
    """

    def __init__(self) -> None:
        self._waiting: deque[Hold] = deque()
        self._urged: deque[Hold] = deque()
        self._taken_to = 0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._urged)

    def is_new(self, offset: int) -> bool:
        """Whether a record has not come by yet: a batch that is handed over again brings some twice."""
        return offset >= self._taken_to

    def add(self, hold: Hold, *, at_once: bool = False) -> None:
        """Records come in offset order; `due` never falls. `at_once`: it is to end now, whatever `due` says."""
        self._taken_to = hold.record.offset + 1
        (self._urged if at_once else self._waiting).append(hold)

    def urge(self, app: str, platform: str) -> None:
        """Every hold of (app, platform) is to end now."""
        waiting: deque[Hold] = deque()
        for hold in self._waiting:
            (self._urged if hold.app == app and hold.platform == platform else waiting).append(hold)
        self._waiting = waiting

    def put_back(self, holds: Iterable[Hold]) -> None:
        """Holds that were taken before they were due, and wait on."""
        self._waiting = deque(sorted((*holds, *self._waiting), key=lambda hold: hold.record.offset))

    def next_due(self) -> float | None:
        """When the next hold is to end; None when nothing waits."""
        if self._urged:
            return AT_ONCE
        return self._waiting[0].due if self._waiting else None

    def take(self, now: float, limit: int) -> list[Hold]:
        """Up to `limit` holds that are to end at `now`. They are the caller's: nobody gets them again."""
        taken: list[Hold] = []
        while len(taken) < limit:
            if self._urged:
                taken.append(self._urged.popleft())
            elif self._waiting and self._waiting[0].due <= now:
                taken.append(self._waiting.popleft())
            else:
                break
        return taken
