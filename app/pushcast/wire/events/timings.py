"""When an event is to be delivered, from what its producer wrote: one validator for whoever reads it."""

from __future__ import annotations

from datetime import UTC, date, time, timedelta, timezone
from typing import Final, get_args

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.model.timing import LAST_ACTIVE, IfPast, Timing, is_of_people, spread_of
from pushcast.model.words import Lane, Reason
from pushcast.model.zones import WallTime, reading_of, zone_of
from pushcast.wire.keys import check_id
from pushcast.wire.times import to_ms

#: How far ahead of its creation an event may be due, unless `keep.max_ahead_seconds` says otherwise.
MAX_AHEAD_MS: Final = 90 * 86_400_000
#: However it is configured: what was taken once is read again by this.
FURTHEST_AHEAD_MS: Final = 366 * 86_400_000
MAX_SPREAD_SECONDS: Final = 86_400
#: A wall time comes so much later than in UTC where it comes last.
_WESTMOST_MS: Final = 12 * 3_600_000
#: And where it comes first.
_EASTMOST: Final = timezone(timedelta(hours=14))
MAX_UNLESS_READ_SECONDS: Final = 3_600
MAX_REVISION: Final = 2**31 - 1
#: Wherever a device is, a reading of this day or later lies behind 1970, where `deliver_at` begins. Programs write the
#: year 1 for an empty date, which RFC 3339 cannot say east of Greenwich.
_FIRST_DAY: Final = date(1970, 1, 2)
_IF_PAST: Final = get_args(IfPast)


def timing_of(
    deliver_at: int | str | None,
    deliver_local_at: str | None,
    time_zone: str | None,
    if_past: str | None,
    spread_seconds: int | None,
) -> Timing | None:
    """None: nothing delays it. Raises InvalidInput with the field."""
    if deliver_local_at is None:
        for field, value in (("time_zone", time_zone), ("if_past", if_past)):
            if value is not None:
                raise _refusal(field, "belongs to deliver_local_at")
    if spread_seconds is not None and not 0 <= spread_seconds <= MAX_SPREAD_SECONDS:
        raise _refusal("spread_seconds", f"is not 0 to {MAX_SPREAD_SECONDS}")
    spread_ms, says = (spread_seconds or 0) * 1000, spread_seconds is not None
    if deliver_local_at is None:
        if deliver_at is None:
            return Timing(spread_ms=spread_ms) if spread_ms else None
        return Timing(to_ms(deliver_at, "deliver_at", 0), spread_ms=spread_ms)
    if deliver_at is not None:
        raise _refusal("deliver_local_at", "and deliver_at exclude each other")
    if deliver_local_at == LAST_ACTIVE:
        for field, value in (("time_zone", time_zone), ("if_past", if_past)):
            if value is not None:
                raise _refusal(field, f"does not go with {LAST_ACTIVE}: it is the device's, and always ahead")
        return Timing(None, WallTime(None, time()), spread_ms=spread_ms, says_spread=says, last_active=True)
    reading = reading_of(deliver_local_at)
    if reading is None:
        raise _refusal("deliver_local_at", "is no wall time without offset: 2026-12-24T09:00, 09:00 or last_active")
    if reading.day is not None and reading.day < _FIRST_DAY:
        raise _refusal("deliver_local_at", f"is before {_FIRST_DAY}: an empty date?")
    if if_past is not None and if_past not in _IF_PAST:
        raise _refusal("if_past", f"is none of {', '.join(_IF_PAST)}")
    past: IfPast = "next_day" if if_past == "next_day" else "drop" if if_past == "drop" else "send"
    if time_zone is None or is_of_people(time_zone):
        return Timing(None, reading, None, time_zone == "user", past, spread_ms, says)
    zone = zone_of(time_zone)
    if zone is None:
        raise _refusal("time_zone", "is neither device, user nor a zone of the pinned tzdata")
    return Timing(None, reading, zone, False, past, spread_ms, says)


def campaign_of(campaign: str | None) -> str | None:
    """Raises InvalidInput."""
    return None if campaign is None else check_id(campaign, "campaign")


def revision_of(revision: int | None) -> int | None:
    """Raises InvalidInput."""
    if revision is not None and not 0 <= revision <= MAX_REVISION:
        raise _refusal("revision", f"is not 0 to {MAX_REVISION}")
    return revision


def waiting_to_be_read(timing: Timing | None, seconds: int) -> Timing | None:
    """The timing of an event that waits so long for its user to read it elsewhere. Raises InvalidInput."""
    if not 0 <= seconds <= MAX_UNLESS_READ_SECONDS:
        raise _refusal("unless_read_seconds", f"is not 0 to {MAX_UNLESS_READ_SECONDS}")
    return msgspec.structs.replace(timing or Timing(), wait_ms=seconds * 1000) if seconds else timing


def check_spread(timing: Timing | None, lane: Lane) -> None:
    """Raises InvalidInput for an event that asks for a spread where nothing waits."""
    if timing is not None and timing.spread_ms and lane is Lane.URGENT:
        raise _refusal("spread_seconds", "does not go with the lane urgent")


def spread_by_lane(timing: Timing, spread_ms: int, created_at: int, expires_at: int | None, ttl_ms: int) -> Timing:
    """With the spread of a lane where an event with a local time says none of its own. One that could reach beyond the
    expiry, wherever the device is, has none: a spread ends nothing. `expires_at` None: it lives `ttl_ms` from then."""
    if timing.reading is None or timing.says_spread or not spread_ms:
        return timing
    latest = timing.due(created_at) if not timing.is_local else timing.due_in(UTC, created_at)
    if latest is None:
        return timing
    lives_ms = ttl_ms if expires_at is None else expires_at - latest - (_WESTMOST_MS if timing.is_local else 0)
    return msgspec.structs.replace(timing, spread_ms=spread_ms) if spread_ms + timing.wait_ms < lives_ms else timing


def due_and_expiry(
    timing: Timing,
    user: str,
    name: str,
    created_at: int,
    expires_at: int | None,
    ttl_ms: int,
    max_ahead_ms: int,
    *,
    is_new: bool = True,
) -> tuple[int, int]:
    """(due, expiry) of an event. `name`: campaign or id. A local time has them of its creation: the planner knows the
    devices' zones. `is_new`: it was not taken yet; one that was is not refused because zones have changed since.

    Raises InvalidInput: too_far_ahead, or invalid_field for an expiry that is not after what is due."""
    due = timing.due(created_at)
    if due is None:  # over, and to be dropped
        return created_at, created_at
    furthest, field = due, "deliver_at" if timing.reading is None else "deliver_local_at"
    if timing.is_local:
        furthest = timing.due_in(UTC, created_at) or created_at
    if furthest > created_at + max_ahead_ms:
        raise InvalidInput(
            Reason.TOO_FAR_AHEAD, f"{field} is more than {max_ahead_ms // 86_400_000} days after created_at", field
        )
    if expires_at is None and not ttl_ms and furthest + (_WESTMOST_MS if timing.is_local else 0) > created_at:
        raise _refusal(field, "is ahead, and now or never (a time to live of 0) is over by then")
    end = due + ttl_ms if expires_at is None else expires_at
    if expires_at is not None and expires_at <= due and not timing.is_local and timing.reading is None:
        raise _refusal("expires_at", "is not after deliver_at")
    if is_new and expires_at is not None and timing.reading is not None and not timing.last_active:
        earliest = timing.due_in(timing.zone or _EASTMOST, created_at)
        if earliest is not None and created_at < earliest and expires_at <= earliest:
            raise _refusal("expires_at", "is not after deliver_local_at, wherever a device is")
    if timing.spread_ms and due + timing.spread_ms >= end:
        raise _refusal("spread_seconds", "reaches beyond the expiry")
    if timing.wait_ms and due + timing.spread_ms + timing.wait_ms >= end:
        raise _refusal("unless_read_seconds", "reaches beyond the expiry")
    return due + spread_of(user, name, timing.spread_ms) + timing.wait_ms, end


def _refusal(field: str, problem: str) -> InvalidInput:
    return InvalidInput(Reason.INVALID_FIELD, f"{field} {problem}", field)
