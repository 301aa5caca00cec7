"""What a registrar tells the keeper of a user: records of `push.keep.urgent.v1` without an event.

The same may be told twice, and by a registrar that had lost its partition: both change nothing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason
from pushcast.wire.headers import Headers, first
from pushcast.wire.sending.retries import number

#: On a notice: which one; no event has it.
NOTICE: Final = "push-notice"
#: On a notice: when it happened, milliseconds since the epoch, decimal.
AT: Final = "push-notice-at"
_LAST_MS: Final = 2**53


class NoticeKind(StrEnum):
    """What happened."""

    ZONES_CHANGED = "zones_changed"  # a device of the user, or the user's own wish, has another time zone
    FORGOTTEN = "forgotten"  # nothing that was written until then is for the user


class Notice(NamedTuple):
    """One notice; `at` in milliseconds since the epoch."""

    kind: NoticeKind
    at: int


def notice_headers(notice: Notice) -> list[tuple[str, bytes | None]]:
    """Of the record; its value is empty."""
    return [(NOTICE, notice.kind.encode()), (AT, b"%d" % notice.at)]


def is_notice(headers: Headers) -> bool:
    """Whether a record of a keep topic holds nothing back."""
    return first(headers, NOTICE) is not None


def notice_of(headers: Headers) -> Notice:
    """Raises InvalidInput."""
    kind, at = (first(headers, NOTICE) or b"").decode("utf-8", "replace"), number(headers, AT, _LAST_MS)
    if kind not in set(NoticeKind):
        raise InvalidInput(Reason.INVALID_FIELD, f"{NOTICE} is none of {', '.join(NoticeKind)}", NOTICE)
    if at is None:
        raise InvalidInput(Reason.INVALID_FIELD, f"no header {AT}", AT)
    return Notice(NoticeKind(kind), at)
