"""What becomes of a notification whose user was looked up. Pure.

The first rule that applies decides. A new rule per notification belongs here: it needs a word in `Reason`, and a
setting if it can be configured.
"""

from __future__ import annotations

from typing import Final

from pushcast.model.notification import Notification
from pushcast.model.words import Outcome, Reason

#: How a notification ends without a delivery.
End = tuple[Outcome, Reason]
CANCELLED: Final[End] = (Outcome.CANCELLED, Reason.CANCELLED)
EXPIRED: Final[End] = (Outcome.EXPIRED, Reason.EXPIRED)
NO_DEVICES: Final[End] = (Outcome.SUPPRESSED, Reason.NO_DEVICES)


def end_of(note: Notification, *, has_devices: bool, cancelled: bool, now_ms: int, now_or_never_ms: int) -> End | None:
    """None when the user's devices get it. `now_or_never_ms`: how long one without a time to live may take."""
    if cancelled:
        return CANCELLED
    if note.is_over(now_ms, now_or_never_ms):
        return EXPIRED
    return None if has_devices else NO_DEVICES


def is_young(written_at_ms: int, now_ms: int, *, again_seconds: float, younger_than_seconds: float) -> bool:
    """Whether a user without devices is looked up once more, after `again_seconds`: a registration that was written
    before the event may be on its way. 0 seconds: never."""
    return again_seconds > 0 and now_ms - written_at_ms < younger_than_seconds * 1000
