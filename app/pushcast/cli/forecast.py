"""How much is due soon, and whether providers take it in time: for `pushcast status` and `pushcast schedule`. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pushcast.model.forecast import HOUR_MS, MINUTE_MS, Forecast
from pushcast.wire.times import rfc3339

#: Of `push.user.v1`: with more, `pushcast status` leaves the forecast out.
MOST_RECORDS: Final = 500_000


def to_dict(found: Forecast, quotas: Mapping[str, int]) -> dict[str, Any]:
    """For JSON. `hours`, of a day, and `minutes`, of an hour: those with something due, by when they begin.
    `takes_minutes`: how long FCM takes for the fullest minute at least, if all of it is for that app; left out where it
    is in time. `to_expire`: about how many expire before the rate that they keep to lets them leave."""
    peak = found.peak
    hour = found.now_ms // HOUR_MS
    return {
        "overdue": found.overdue,
        "within_minute": found.within_a_minute,
        "within_hour": found.within_an_hour,
        "within_day": found.within_a_day,
        "later": found.later,
        "hours": [
            {"at": rfc3339((hour + number) * HOUR_MS), "due": count}
            for number, count in enumerate(found.hours)
            if count
        ],
        "minutes": [
            {"at": rfc3339((found.now_ms // MINUTE_MS + number) * MINUTE_MS), "due": count}
            for number, count in enumerate(found.minutes)
            if count
        ],
        "fullest_minute": None if peak is None else {"at": rfc3339(peak.at_ms), "due": peak.due},
        "takes_minutes": {
            app: round(peak.due / quota, 1) for app, quota in quotas.items() if peak is not None and peak.due > quota
        },
        "to_expire": dict(sorted(found.to_expire.items())),
    }


def waiting(found: dict[str, Any] | None) -> int:
    """All that waits, whenever it is due; 0 where that is not known."""
    return 0 if found is None else found["overdue"] + sum(row["due"] for row in found["hours"]) + found["later"]


def lines(found: dict[str, Any] | None) -> Iterator[str]:
    """For people. `found`: of `to_dict`; None: it was left out."""
    if found is None:
        yield f"forecast: push.user.v1 has over {MOST_RECORDS:,} records, `pushcast schedule forecast` reads them"
        return
    yield (
        f"due: {found['within_minute']:,} within a minute, {found['within_hour']:,} within an hour, "
        f"{found['within_day']:,} within a day, {found['later']:,} later; {found['overdue']:,} overdue"
    )
    peak = found["fullest_minute"]
    for app, minutes in found["takes_minutes"].items():
        yield f"  {peak['due']:,} in the minute of {peak['at']}: FCM takes at least {minutes} minutes for them ({app})"
    for rate, count in found["to_expire"].items():
        yield f"  about {count:,} expire before they may leave: the rate of {rate.replace('/', ' ', 1)} is too slow"
