"""Sums of classes over time as JSON has them: of traffic that has no reports of its own, and for rates. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pushcast.model.errors import InvalidInput
from pushcast.model.words import Outcome, Reason
from pushcast.report.answers import SHARES
from pushcast.report.minutes import MinutePlace, MinuteSums
from pushcast.report.rows import MINUTE_MS
from pushcast.report.sketch import percentiles
from pushcast.wire.times import rfc3339

#: Points of time in an answer.
MAX_STEPS: Final = 3000


def check_span(from_minute: int, to_minute: int, step: int) -> None:
    """Raises InvalidInput for more than an answer holds."""
    if to_minute - from_minute > MAX_STEPS * step:
        raise InvalidInput(
            Reason.INVALID_FIELD,
            f"the time has more than {MAX_STEPS} steps of {step} minutes: take longer ones",
            "step",
        )


def totals_of(
    sums: Mapping[MinutePlace, MinuteSums], app: str | None = None, klass: str | None = None
) -> list[dict[str, Any]]:
    """One row for each point of time, app, class, platform and lane, in this order. `app`, `klass`: only of these."""
    return [
        _row(place, sums[place])
        for place in sorted(sums)
        if app in (None, place.app) and klass in (None, place.klass) and sums[place]
    ]


def _row(place: MinutePlace, sums: MinuteSums) -> dict[str, Any]:
    p50, p90, p99 = percentiles(sums.latency, SHARES)
    return {
        "due_at": rfc3339(place.minute * MINUTE_MS),
        "app": place.app or None,
        "class": place.klass or None,
        "platform": place.platform or None,
        "lane": place.lane,
        "planned": sums.planned,
        "outcomes": {str(outcome): sums.ended.get(str(outcome), 0) for outcome in Outcome},
        "latency_ms": {"p50": p50, "p90": p90, "p99": p99},
    }
