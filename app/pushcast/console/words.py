"""Figures and times as people read them. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from pushcast.model.words import Outcome
from pushcast.wire.times import rfc3339

#: What each outcome means, in the order in which they are shown.
OUTCOMES: Final = {
    Outcome.ACCEPTED: "the provider took it",
    Outcome.SUPPRESSED: "a rule of yours kept it back",
    Outcome.EXPIRED: "it was too late",
    Outcome.CANCELLED: "it was cancelled before it left",
    Outcome.INVALID: "the device is no longer there",
    Outcome.REJECTED: "the provider refused it",
    Outcome.DEAD: "it was tried in vain: see the dead letters",
}
_STATES: Final = {
    "sending": "on its way",
    "settled": "complete",
    "held": "waiting for its time",
    "overdue": "overdue",
    "incomplete": "not known whole",
}
#: For nothing known.
DASH: Final = "\N{EN DASH}"
_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"))


def number(value: float | None) -> str:
    """1234567 as 1,234,567; a dash for nothing known."""
    if value is None:
        return DASH
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 100 else f"{value:,.1f}"


def percent(share: float | None) -> str:
    """0.0012 as 0.12 %: as many digits as tell it from 0 and from 100 %."""
    if share is None:
        return DASH
    for digits in (0, 1, 2, 3):
        text = f"{share * 100:.{digits}f}"
        if share in (0, 1) or float(text) not in (0, 100):
            return f"{text} %"
    return f"{share * 100:.3f} %"


def duration(seconds: float | None) -> str:
    """90 as 1.5 min; 0.25 as 250 ms."""
    if seconds is None or math.isinf(seconds):
        return DASH
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.1f}".removesuffix(".0") + " s"


def milliseconds(value: float | None) -> str:
    """As `duration`, from milliseconds."""
    return duration(None if value is None else value / 1000)


def moment(text: str | int | None) -> datetime | None:
    """A time of the API (RFC 3339, or milliseconds since the epoch). None for none."""
    if text is None:
        return None
    return datetime.fromisoformat(rfc3339(text) if isinstance(text, int) else text)


def clock(at_ms: int) -> str:
    """Time of day in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M:%S")


def when(text: str | int | None, now_ms: int) -> str:
    """12:04:31 for today, with the day for another; in UTC."""
    at = moment(text)
    if at is None:
        return DASH
    today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
    if at.date() == today:
        return at.strftime("%H:%M:%S")
    return at.strftime("%-d %b, %H:%M" if at.year == today.year else "%-d %b %Y, %H:%M")


def iso(text: str | int | None) -> str:
    """For the attribute `datetime`."""
    at = moment(text)
    return "" if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def took(delivery: Mapping[str, Any]) -> float | None:
    """Milliseconds from creation to the end of a delivery."""
    created, ended = moment(delivery["created_at"]), moment(delivery["ended_at"])
    return None if created is None or ended is None else (ended - created).total_seconds() * 1000


def indented(value: Any) -> str:
    """JSON for people."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode()


def state_of(report: Mapping[str, Any]) -> str:
    """The word for a report's state."""
    state: str = report.get("state", "incomplete")
    return _STATES.get(state, str(state))


def spoken(word: str) -> str:
    """device_unregistered as device unregistered."""
    return word.replace("_", " ")
