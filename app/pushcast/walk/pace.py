"""How far a paced walk may have come by now. Pure; times in seconds."""

from __future__ import annotations

from typing import Final

from pushcast.model.broadcast import BroadcastPace

#: A walk that must wait waits for so long at least: what has become due by then goes in one slice.
STEP_SECONDS: Final = 0.05


class OrderPacer:
    """One order in one partition. `began`: when the broadcast began, for `over_seconds`; `since`: when this process
    took the walk up, for `per_second`: a rate needs no memory of what was sent before."""

    def __init__(self, pace: BroadcastPace, partitions: int, *, began: float, since: float) -> None:
        self._over = pace.over_seconds
        self._rate = None if pace.per_second is None else pace.per_second / partitions
        self._began = began
        self._since = since
        self._planned = 0
        self.rows: int | None = None  # of the partition; needed for `over_seconds`

    @property
    def counts_rows(self) -> bool:
        """Whether `rows` must be known before the walk goes on."""
        return self._over is not None and self.rows is None

    def planned(self, targets: int) -> None:
        """So many more deliveries were planned."""
        self._planned += targets

    def rows_at_most(self, limit: int, scanned: int, now: float, monotonic: float) -> int:
        """How many rows a slice may test now, one at least: it has not to wait. The rate counts deliveries, of which a
        row is one at most."""
        if self._over is not None and self.rows:
            due = self.rows * min(1.0, max(0.0, now - self._began) / self._over)
            return limit if due >= self.rows else max(1, min(limit, int(due) - scanned))
        if self._rate is not None:
            return max(1, min(limit, int(self._rate * (monotonic - self._since)) - self._planned))
        return limit

    def wait_seconds(self, scanned: int, now: float, monotonic: float) -> float:
        """Until the next row may be tested; 0: now. When the time is up the rest goes at once."""
        if self._over is not None and self.rows:
            wait = self._began + self._over * min(1.0, scanned / self.rows) - now
        elif self._rate is not None:
            wait = self._planned / self._rate - (monotonic - self._since)
        else:
            return 0.0
        return 0.0 if wait <= 0 else max(wait, STEP_SECONDS)
