"""Suspensions of one partition that wait for their end. Pure: told the time, never asks for it."""

from __future__ import annotations

from collections import deque

from pushcast.kafka.batch import Batch, Record
from pushcast.wire.receipts import TokenInvalid


class Hold:
    """A record of the hold topic that is not ended. `due` is on the monotonic clock, in seconds."""

    __slots__ = ("app", "at_ms", "batch", "due", "ended", "platform", "record")

    def __init__(self, batch: Batch, record: Record, event: TokenInvalid, due: float) -> None:
        self.batch = batch
        self.record = record
        self.app = event.app
        self.platform = event.platform
        self.at_ms = event.at
        self.due = due
        self.ended = False


class HoldQueue:
    """In log order, so that the head is the next one due; what a breaker's opening ends comes before it.

    Memory: an entry per fetched hold, which the transport bounds by pausing the partition.
    """

    def __init__(self) -> None:
        self._waiting: deque[Hold] = deque()
        self._urged: deque[Hold] = deque()
        self._taken_to = 0

    def __len__(self) -> int:
        return sum(not hold.ended for hold in self._waiting)

    def is_new(self, offset: int) -> bool:
        """Whether a record has not come by yet: a batch that is handed over again brings some twice."""
        return offset >= self._taken_to

    def add(self, hold: Hold) -> None:
        """Records come in offset order; `due` never falls."""
        self._taken_to = hold.record.offset + 1
        self._waiting.append(hold)

    def urge(self, app: str, platform: str) -> None:
        """Every hold of (app, platform) is to end now."""
        self._urged.extend(
            hold for hold in self._waiting if not hold.ended and hold.app == app and hold.platform == platform
        )

    def next_due(self) -> float | None:
        """When the next hold is to end; minus infinity for now, None when nothing waits."""
        self._drop_ended()
        if self._urged:
            return float("-inf")
        return self._waiting[0].due if self._waiting else None

    def take(self, now: float, limit: int) -> list[Hold]:
        """Up to `limit` holds that are to end at `now`. They are the caller's: nobody gets them again."""
        taken: list[Hold] = []
        while len(taken) < limit:
            self._drop_ended()
            if self._urged:
                hold = self._urged.popleft()
            elif self._waiting and self._waiting[0].due <= now:
                hold = self._waiting.popleft()
            else:
                break
            hold.ended = True
            taken.append(hold)
        return taken

    def _drop_ended(self) -> None:
        for queue in (self._urged, self._waiting):
            while queue and queue[0].ended:
                queue.popleft()
