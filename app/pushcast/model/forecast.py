"""How much is due soon: by minute for an hour, by hour for a day. Pure; times are milliseconds since the epoch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
MINUTES: Final = 60
HOURS: Final = 24
HORIZON_MS: Final = HOURS * HOUR_MS


#: Before the app, in what is too slow for something that waits.
_PROVIDER: Final = "provider/"


def provider_of(app: str) -> str:
    """Its name among what is too slow for something that waits; rates have those of `pacing.Rates`."""
    return _PROVIDER + app


def is_provider(cause: str) -> bool:
    """Whether a provider is too slow, and not a rate."""
    return cause.startswith(_PROVIDER)


class Peak(NamedTuple):
    """The minute in which most is due."""

    at_ms: int
    due: int


class Forecast:
    """What is due from `now_ms` on. Minutes and hours are those of the clock, the first ones begun already."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self.overdue = 0
        self.minutes = [0] * MINUTES
        self.hours = [0] * HOURS
        self.later = 0
        #: About how many expire before they may leave: by what is too slow for them.
        self.to_expire: dict[str, int] = {}
        self.complete = True  # False: there is more than was counted
        self._minute = now_ms // MINUTE_MS
        self._hour = now_ms // HOUR_MS

    def add(self, due_ms: int, count: int = 1) -> None:
        """So many are due then."""
        if due_ms <= self.now_ms:
            self.overdue += count
            return
        minute, hour = due_ms // MINUTE_MS - self._minute, due_ms // HOUR_MS - self._hour
        if minute < MINUTES:
            self.minutes[minute] += count
        if hour < HOURS:
            self.hours[hour] += count
        else:
            self.later += count

    def add_ascending(self, due: Sequence[int]) -> None:
        """`add` of each. Of ascending times, as an index has them, one look adds all that are due in one minute."""
        self._add_span(due, 0, len(due))

    def _add_span(self, due: Sequence[int], first: int, end: int) -> None:
        if first >= end:
            return
        if self._place(due[first]) == self._place(due[end - 1]):
            self.add(due[first], end - first)
            return
        middle = (first + end) // 2
        self._add_span(due, first, middle)
        self._add_span(due, middle, end)

    def _place(self, due_ms: int) -> tuple[int, int]:
        """Where it is counted: equal for what is counted alike."""
        if due_ms <= self.now_ms:
            return -1, -1
        minute, hour = due_ms // MINUTE_MS - self._minute, due_ms // HOUR_MS - self._hour
        return min(minute, MINUTES), min(hour, HOURS)

    def merge(self, other: Forecast) -> None:
        """Adds what another one counted, for the same minutes of the clock."""
        for minute, count in enumerate(other.minutes):
            at = other._minute + minute - self._minute
            if 0 <= at < MINUTES:
                self.minutes[at] += count
        for hour, count in enumerate(other.hours):
            at = other._hour + hour - self._hour
            if 0 <= at < HOURS:
                self.hours[at] += count
        self.overdue += other.overdue
        self.later += other.later
        self.complete = self.complete and other.complete
        for cause, count in other.to_expire.items():
            self.to_expire[cause] = self.to_expire.get(cause, 0) + count

    @property
    def within_a_minute(self) -> int:
        """Until the end of the next minute of the clock, what is overdue included."""
        return self.overdue + sum(self.minutes[:2])

    @property
    def within_an_hour(self) -> int:
        """What is overdue included."""
        return self.overdue + sum(self.minutes)

    @property
    def within_a_day(self) -> int:
        """What is overdue included."""
        return self.overdue + sum(self.hours)

    @property
    def peak(self) -> Peak | None:
        """The fullest minute of the next hour; what is overdue is due in the first. None: nothing is due."""
        minutes = [self.minutes[0] + self.overdue, *self.minutes[1:]]
        most = max(minutes)
        return Peak((self._minute + minutes.index(most)) * MINUTE_MS, most) if most else None


def forecast(dues: Iterable[int], now_ms: int) -> Forecast:
    """Of these times."""
    found = Forecast(now_ms)
    for due_ms in dues:
        found.add(due_ms)
    return found
