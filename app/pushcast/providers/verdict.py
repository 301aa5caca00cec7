"""What an answer means, as data: each provider's table has one row per answer its vendor documents.

The rows are the source of docs/providers.md.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final, NamedTuple

from pushcast.http2.request import WAITED, Kind, Response
from pushcast.model.words import Reason
from pushcast.providers.port import Disposition

MAX_RETRY_AFTER_SECONDS: Final = 86_400.0
# Of what is UNSENT for our own reasons: it waited too long here, or was not to leave any more.
NOT_SENT_IN_TIME: Final = "not_sent_in_time"
#: Reasons of UNSENT that say nothing about the provider: those, and a turn at our own pace that was too far away.
OUR_OWN_WAITING: Final = frozenset((NOT_SENT_IN_TIME, str(Reason.RATE_LIMITED)))


class Remedy(StrEnum):
    """What the client does about an answer, beside reporting it."""

    NONE = "none"
    RECONNECT = "reconnect"  # the connection is of no more use: later requests go on another
    ELSEWHERE = "elsewhere"  # another connection, and this request once more at once: it was not processed
    REFRESH = "refresh"  # another credential, other connections, and this request once more


class Row(NamedTuple):
    """One line of a provider's table. `answer` is the vendor's word, `reason` ours."""

    answer: str
    statuses: tuple[int, ...]
    disposition: Disposition
    reason: str
    remedy: Remedy = Remedy.NONE
    retry_after_seconds: float | None = None  # when the answer itself names no time
    note: str = ""
    source: str = ""


class Verdict(NamedTuple):
    """A row applied to one answer. `invalid_since` is in milliseconds since the epoch."""

    disposition: Disposition
    reason: str | None
    remedy: Remedy = Remedy.NONE
    retry_after_seconds: float | None = None
    invalid_since: int | None = None


def verdict_of(row: Row, *, retry_after_seconds: float | None = None, invalid_since: int | None = None) -> Verdict:
    """The row's verdict; a time that the provider named goes before the row's own."""
    after = row.retry_after_seconds if retry_after_seconds is None else retry_after_seconds
    return Verdict(row.disposition, row.reason, row.remedy, after, invalid_since)


def unanswered(response: Response) -> Verdict:
    """Verdict on a request without an answer; the same for all providers."""
    if response.kind is Kind.REFUSED:
        return Verdict(Disposition.UNSENT, "stream_refused")
    if response.kind is Kind.UNSENT:
        if response.fault in {WAITED, "cancelled", "not_ours"}:
            return Verdict(Disposition.UNSENT, NOT_SENT_IN_TIME)
        return Verdict(Disposition.UNSENT, str(Reason.CONNECTION_FAILED))
    return Verdict(Disposition.UNKNOWN, str(Reason.UNKNOWN_OUTCOME))


def retry_after_seconds(value: bytes | None, now_ms: int) -> float | None:
    """Seconds of a Retry-After header (RFC 9110 §10.2.3: seconds or a date), at most a day; None when unreadable."""
    if value is None:
        return None
    text = value.decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:9])
    else:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now_ms / 1000
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)
