"""Times in intake events: RFC 3339 text or integer milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
# 9999-12-31: what RFC 3339 can say. Larger numbers are microseconds or nanoseconds by mistake.
MAX_MS = 253_402_300_799_999
# 0001-01-01.
_MIN_MS = -62_135_596_800_000
# 2000-01-01. Events did not happen before it: smaller numbers are seconds by mistake.
MIN_EVENT_MS = 946_684_800_000
# Two years earlier: what is reckoned from an event (a schedule, a time to live) can be said, too.
MAX_EVENT_MS = MAX_MS - 2 * 366 * 86_400_000


def to_ms(value: int | str | None, field: str, default: int) -> int:
    """Milliseconds since the epoch. Raises InvalidInput naming `field`."""
    if value is None:
        return default
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise InvalidInput(
                Reason.INVALID_FIELD, f"{field} is neither RFC 3339 nor integer milliseconds", field
            ) from None
        if moment.tzinfo is None:
            raise InvalidInput(Reason.INVALID_FIELD, f"{field} has no time zone (write Z or +00:00)", field)
        value = (moment - _EPOCH) // _MS  # not timestamp(): as a float the last second of 9999 ends in the year 10000
    if not 0 <= value <= MAX_MS:
        raise InvalidInput(
            Reason.INVALID_FIELD, f"{field} is out of range: milliseconds since 1970, at most {MAX_MS}", field
        )
    return value


def check_event_time(ms: int, field: str) -> None:
    """Raises InvalidInput naming `field` for a time at which nothing can have been produced."""
    if ms < MIN_EVENT_MS:
        raise InvalidInput(
            Reason.INVALID_FIELD,
            f"{field} (or the record's timestamp, which stands in for it) is before 2000: is it in seconds? "
            "Milliseconds since 1970 or RFC 3339",
            field,
        )
    if ms > MAX_EVENT_MS:
        raise InvalidInput(
            Reason.INVALID_FIELD,
            f"{field} (or the record's timestamp, which stands in for it) is after 9997: is it in microseconds? "
            "Milliseconds since 1970 or RFC 3339",
            field,
        )


def rfc3339(ms: int) -> str:
    """UTC text with milliseconds. A time that RFC 3339 cannot say, of a record or a header that others wrote, is the
    first or last that it can: whoever lists many is not to fail for one."""
    ms = min(max(ms, _MIN_MS), MAX_MS)
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


@lru_cache(maxsize=1024)
def _second(second: int) -> str:
    """Without an offset; what is answered at one time mostly names few."""
    return datetime.fromtimestamp(second, UTC).isoformat(timespec="seconds").removesuffix("+00:00")
