"""How far a paced walk may have come by now. Pure; times in seconds."""

from __future__ import annotations

from typing import Final, Protocol

from pushcast.model.broadcast import BroadcastPace
from pushcast.model.pacing import Bucket, Rates

#: A walk that must wait waits for so long at least: what has become due by then goes in one slice.
STEP_SECONDS: Final = 0.05


class LeavingRate(Protocol):
    """What a campaign or a class lets leave of one partition."""

    def allowed(self, monotonic: float) -> int | None:
        """How many deliveries may go now; None: nothing holds them back."""
        ...

    def wait_seconds(self, monotonic: float) -> float:
        """Until the next one may go; 0: now."""
        ...

    def take(self, targets: int) -> None:
        """So many go."""
        ...


class PartitionRates:
    """Rates of campaigns, classes and apps in one partition: broadcasts that keep to the same one share it."""

    def __init__(self, rates: Rates, partitions: int) -> None:
        self._rates = rates
        self._partitions = partitions
        self._buckets: dict[str, Bucket] = {}

    def of(self, campaign: str | None, klass: str, app: str | None = None) -> LeavingRate | None:
        """None: there is none, and none can come."""
        if campaign is None and not self._rates.of(None, klass, app):
            return None
        return _NamedRate(self, campaign, klass, app)

    def now(self, campaign: str | None, klass: str, app: str | None, monotonic: float) -> tuple[Bucket, int] | None:
        """The share of this partition, and the whole rate a minute, as they are now: an operator may change it."""
        name = self._rates.of(campaign, klass, app)
        per_minute = self._rates.per_minute(name) if name else None
        if per_minute is None:
            return None
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = Bucket(self._partitions, int(monotonic * 1000))
        return bucket, per_minute


class _NamedRate:
    """The rate of one broadcast."""

    def __init__(self, rates: PartitionRates, campaign: str | None, klass: str, app: str | None) -> None:
        self._rates = rates
        self._names = campaign, klass, app
        self._bucket: Bucket | None = None

    def allowed(self, monotonic: float) -> int | None:
        found = self._rates.now(*self._names, monotonic)
        if found is None:
            self._bucket = None
            return None
        self._bucket, per_minute = found
        return self._bucket.allowed(per_minute, int(monotonic * 1000))

    def wait_seconds(self, monotonic: float) -> float:
        found = self._rates.now(*self._names, monotonic)
        if found is None:
            return 0.0
        bucket, per_minute = found
        bucket.allowed(per_minute, int(monotonic * 1000))
        return bucket.wait_ms(per_minute) / 1000

    def take(self, targets: int) -> None:
        if self._bucket is not None:
            self._bucket.take(targets)


class OrderPacer:
    """One order in one partition. `began`: when the broadcast began, for `over_seconds`; `since`: when this process
    took the walk up, for `per_second`: a rate needs no memory of what was sent before. `rate`: of its campaign or
    class."""

    def __init__(
        self, pace: BroadcastPace, partitions: int, *, began: float, since: float, rate: LeavingRate | None = None
    ) -> None:
        self._over = pace.over_seconds
        self._per_second = None if pace.per_second is None else pace.per_second / partitions
        self._rate = rate
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
        if self._rate is not None:
            self._rate.take(targets)

    def rows_at_most(self, limit: int, scanned: int, now: float, monotonic: float) -> int:
        """How many rows a slice may test now, one at least: it has not to wait. Rates count deliveries, of which a row
        is one at most."""
        if self._over is not None and self.rows:
            due = self.rows * min(1.0, max(0.0, now - self._began) / self._over)
            limit = limit if due >= self.rows else min(limit, int(due) - scanned)
        if self._per_second is not None:
            limit = min(limit, int(self._per_second * (monotonic - self._since)) - self._planned)
        allowed = None if self._rate is None else self._rate.allowed(monotonic)
        return max(1, limit if allowed is None else min(limit, allowed))

    def wait_seconds(self, scanned: int, now: float, monotonic: float) -> float:
        """Until the next row may be tested; 0: now. When the time is up the rest goes at once, as fast as rates let
        it."""
        wait = 0.0
        if self._over is not None and self.rows:
            wait = self._began + self._over * min(1.0, scanned / self.rows) - now
        elif self._per_second is not None:
            wait = self._planned / self._per_second - (monotonic - self._since)
        if self._rate is not None:
            wait = max(wait, self._rate.wait_seconds(monotonic))
        return 0.0 if wait <= 0 else max(wait, STEP_SECONDS)
