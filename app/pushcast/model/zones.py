"""Time zones and wall-clock readings: from the pinned tzdata alone, so that all processes agree. Pure.

zoneinfo would take the system's files first, which are often older than what is pinned: two machines, two due times.
"""

from __future__ import annotations

import re
import zoneinfo
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from importlib.metadata import version
from typing import Final, NamedTuple

MAX_ZONE_CHARS: Final = 64
UTC_NAME: Final = "UTC"
_FIXED = re.compile(r"UTC([+-])(\d\d):(\d\d)")
_READING = re.compile(r"(?:(\d{4}-\d\d-\d\d)T)?(\d\d:\d\d(?::\d\d)?)")
_DAY = timedelta(days=1)

zoneinfo.reset_tzpath(())
zoneinfo.ZoneInfo.clear_cache()


def tzdata_version() -> str:
    """Of the zones that this process knows."""
    return version("tzdata")


class WallTime(NamedTuple):
    """What a clock on the wall shows. Without a date: at the next such time."""

    day: date | None
    at: time


def reading_of(text: str) -> WallTime | None:
    """`2026-12-24T09:00` or `09:00`, seconds if wanted; None for anything else, above all with a zone or offset."""
    found = _READING.fullmatch(text)
    if found is None:
        return None
    try:
        return WallTime(None if found[1] is None else date.fromisoformat(found[1]), time.fromisoformat(found[2]))
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def zone_of(name: str) -> tzinfo | None:
    """An IANA zone or link, or a fixed `UTC±hh:mm`; None when there is no such zone."""
    if len(name) > MAX_ZONE_CHARS:
        return None
    if fixed := _FIXED.fullmatch(name):
        hours, minutes = int(fixed[2]), int(fixed[3])
        offset = timedelta(hours=hours, minutes=minutes)
        if minutes > 59 or offset > timedelta(hours=14):
            return None
        return timezone(-offset if fixed[1] == "-" else offset, name)
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None


def name_of(zone: tzinfo) -> str:
    """The name by which `zone_of` finds it."""
    return zone.key if isinstance(zone, zoneinfo.ZoneInfo) and zone.key else str(zone.tzname(None))


def point(day: date, at: time, zone: tzinfo) -> int:
    """The instant of a reading, in milliseconds since the epoch (RFC 5545, section 3.3.5).

    A reading that the clocks jump over counts by the offset before the jump, so it comes later by the gap; of two, the
    first counts. With fold=1 a reading in a gap would lie before the jump.
    """
    return round(datetime.combine(day, at, zone).timestamp() * 1000)


def due_at(reading: WallTime, zone: tzinfo, created_at_ms: int) -> int:
    """When a reading comes in a zone: its own day, or for one without a day the next time after the creation.

    Steps by the date, never by 24 hours: days are 23 to 25 hours long.
    """
    if reading.day is not None:
        return point(reading.day, reading.at, zone)
    day = local_day(created_at_ms, zone)
    while (due := point(day, reading.at, zone)) <= created_at_ms:
        day += _DAY
    return due


def next_day(reading: WallTime, zone: tzinfo, created_at_ms: int) -> int:
    """One local day after the day of `due_at`."""
    day = reading.day if reading.day is not None else local_day(due_at(reading, zone, created_at_ms), zone)
    return point(day + _DAY, reading.at, zone)


def local_day(at_ms: int, zone: tzinfo) -> date:
    """The date that calendars in the zone show."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).date()


def local_time(at_ms: int, zone: tzinfo) -> time:
    """What clocks in the zone show, to the second."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(zone).time()
