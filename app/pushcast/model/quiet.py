"""Quiet hours: when they begin and end where a device is. Pure; instants are milliseconds since the epoch.

A window opens at the earliest and closes at the latest instant at which the zone's clock passes the reading. A reading
that the clocks jump over counts as passed at the jump. Days are counted by the date, never by 24 hours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from pushcast.model.preferences import Wishes
from pushcast.model.user import QuietHours
from pushcast.model.zones import zone_of

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_WINDOWS: Final = 14
#: Windows that leave no hour of the week open are looked at again after so many days.
_HORIZON_DAYS: Final = 8
#: Dates that are looked at beyond an instant's own.
_AROUND: Final = 2
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_DAY: Final = timedelta(days=1)
_DAY_MS: Final = 86_400_000
_EPOCH: Final = date(1970, 1, 1)


class Quiet(StrEnum):
    """What a class does in quiet hours."""

    HOLD = "hold"  # until they are over
    DIGEST = "digest"  # what is held leaves as one push; tries after the first are held
    DROP = "drop"
    PASSIVE = "passive"  # it is sent at once, without sound
    IGNORE = "ignore"


class QuietTerms(msgspec.Struct, frozen=True, cache_hash=True):
    """Quiet hours of devices that are alike in this, as a message takes them along: what is tried again is judged by
    them, in a process that knows no user."""

    policy: Quiet
    zone: str
    windows: tuple[QuietHours, ...]
    first_try: bool = False  # the first try is judged, too: whoever planned it has not done so

    def until(self, user: str, spread_ms: int, at_ms: int) -> int | None:
        """When the quiet hours of this instant are over for the user; None: it lies in none. A zone that is in this
        process's tzdata no more counts as UTC."""
        return quiet_until(self.windows, zone_of(self.zone) or UTC, at_ms, spread_after(user, spread_ms))


def problem_of(windows: Sequence[QuietHours]) -> str | None:
    """What is wrong with what somebody chose; None: nothing."""
    if len(windows) > MAX_WINDOWS:
        return f"has {len(windows)} windows; at most {MAX_WINDOWS}"
    for window in windows:
        if not window.days or not set(window.days) <= set(DAYS):
            return f"days are some of {', '.join(DAYS)}"
        if not _CLOCK.fullmatch(window.begins) or not _CLOCK.fullmatch(window.ends):
            return "from and to are times of the day, HH:MM"
        if window.begins == window.ends:
            return "from and to are the same: a window has a beginning and another end"
    return None


def quiet_until(windows: Sequence[QuietHours], zone: tzinfo, at_ms: int, later_ms: int = 0) -> int | None:
    """When the quiet hours of this instant are over; None: it lies in none. Half-open: at the end it is over.

    `later_ms`: so long after their end they still count, for one user always the same: what was held leaves spread over
    this time, and nothing that comes meanwhile overtakes it. Windows that touch or overlap are one.
    """
    end = _end(windows, zone, at_ms, later_ms)
    if end is None:
        return None
    horizon = at_ms + _HORIZON_DAYS * _DAY_MS
    while end < horizon and (further := _end(windows, zone, end, 0)) is not None:
        end = further
    return end + later_ms


def next_quiet(windows: Sequence[QuietHours], zone: tzinfo, at_ms: int) -> int | None:
    """When the next quiet hours begin, after this instant; None: not within a week."""
    windows, day = tuple(windows), at_ms // _DAY_MS
    spans = (span for number in range(0, _HORIZON_DAYS, _AROUND) for span in _around(windows, zone, day + number))
    return min((opens for opens, _ in spans if opens > at_ms), default=None)


def spread_after(user: str, spread_ms: int) -> int:
    """How long after the end of quiet hours a user's notifications leave: even over users, the same after any
    restart."""
    if not spread_ms:
        return 0
    drawn = blake2b(user.encode(), digest_size=8, person=b"quiet").digest()
    return int.from_bytes(drawn, "big") % spread_ms


class AppTimes(NamedTuple):
    """Of an app: for devices without a zone, and users who have chosen no quiet hours."""

    zone: tzinfo
    quiet_hours: tuple[QuietHours, ...] = ()


class QuietRule:
    """Quiet hours by the configuration and by what users have chosen. One for all paths that a notification takes."""

    def __init__(self, apps: Mapping[str, AppTimes], spread_ms: int) -> None:
        self._windows = {name: app.quiet_hours for name, app in apps.items()}
        self._zones = {name: app.zone for name, app in apps.items()}
        self._spread_ms = spread_ms
        #: Whether a user without preferences may have quiet hours.
        self.everywhere = any(self._windows.values())

    def windows(self, wishes: Wishes, app: str) -> tuple[QuietHours, ...]:
        """The user's in the app, for all apps, or the app's own."""
        return wishes.quiet_hours(app) or self._windows.get(app, ())

    def zone(self, app: str) -> tzinfo:
        """Of an app's devices that have none."""
        return self._zones.get(app, UTC)

    def until(self, windows: tuple[QuietHours, ...], zone: tzinfo, user: str, at_ms: int) -> int | None:
        """When a device of the user may get something again; None: now."""
        return quiet_until(windows, zone, at_ms, spread_after(user, self._spread_ms)) if windows else None

    def calm_until(self, windows: tuple[QuietHours, ...], zone: tzinfo, at_ms: int) -> int | None:
        """How long every user's devices may get something from this instant on; None: those of some users must wait."""
        if quiet_until(windows, zone, at_ms, self._spread_ms) is not None:
            return None
        return next_quiet(windows, zone, at_ms) or at_ms + _HORIZON_DAYS * _DAY_MS // 2


def _end(windows: Sequence[QuietHours], zone: tzinfo, at_ms: int, later_ms: int) -> int | None:
    """The latest end of the windows that this instant lies in, without `later_ms`."""
    spans = _around(tuple(windows), zone, at_ms // _DAY_MS)
    return max((closes for opens, closes in spans if opens <= at_ms < closes + later_ms), default=None)


@lru_cache(maxsize=4096)
def _around(windows: tuple[QuietHours, ...], zone: tzinfo, day: int) -> tuple[tuple[int, int], ...]:
    """(opens, closes) of the windows around a day since the epoch, by UTC: dates of a zone differ by at most one, and a
    window ends at most a day after the one on which it begins."""
    first = _EPOCH + day * _DAY
    spans = [_spans(windows, zone, first + number * _DAY) for number in range(-3, _AROUND + 1)]
    return tuple([span for each in spans for span in each])


def _spans(windows: tuple[QuietHours, ...], zone: tzinfo, day: date) -> list[tuple[int, int]]:
    """Of the windows that begin on this date."""
    found: list[tuple[int, int]] = []
    name = DAYS[day.weekday()]
    for window in windows:
        if name in window.days:
            begins, ends = time.fromisoformat(window.begins), time.fromisoformat(window.ends)
            opens = _passes(day, begins, zone)[0]
            closes = _passes(day if ends > begins else day + _DAY, ends, zone)[1]
            if opens < closes:
                found.append((opens, closes))
    return found


def _passes(day: date, at: time, zone: tzinfo) -> tuple[int, int]:
    """The first and the last instant at which the clock passes a reading."""
    reading = datetime.combine(day, at, zone)
    first, last = _ms(reading), _ms(reading.replace(fold=1))
    if first <= last:
        return first, last
    jump = _jump(zone, last, first)
    return jump, jump


def _jump(zone: tzinfo, before: int, after: int) -> int:
    """The instant between these two at which the clocks jump."""
    offset = _offset(zone, before)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(zone, middle) == offset:
            before = middle
        else:
            after = middle
    return after


def _offset(zone: tzinfo, at_ms: int) -> timedelta | None:
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).utcoffset()


def _ms(reading: datetime) -> int:
    return round(reading.timestamp() * 1000)
