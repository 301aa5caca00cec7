"""What users decided for themselves, beside their devices."""

from __future__ import annotations

import msgspec


class QuietHours(msgspec.Struct, frozen=True, cache_hash=True):
    """A span of local time, [begins, ends), as HH:MM. It ends on the next day when `ends` is the earlier one."""

    days: tuple[str, ...]  # on which it begins, mon to sun
    begins: str
    ends: str


class UserRow(msgspec.Struct, frozen=True):
    """A user's own row in `push.device.v1`: for all apps, or for one. Times are milliseconds since the epoch."""

    forgotten_at: int | None = None  # kept for 14 days, so that late events do not bring the user back
    at: int | None = None  # when the preferences were set: newer wins; None: there are none
    time_zone: str | None = None
    quiet_hours: tuple[QuietHours, ...] = ()
    classes: dict[str, str] = {}  # class to on or off
    threads: dict[str, str] = {}
    muted_until: int | None = None
