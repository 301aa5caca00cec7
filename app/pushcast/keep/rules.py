"""What becomes of what KEEP reads. Pure; times are milliseconds since the epoch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from pushcast.model.words import Lane, Reason
from pushcast.wire.waiting.held import MAX_PARTS
from pushcast.wire.waiting.timers import Timer

#: Timers of one user that wait at a time. What comes on top ends at once.
MAX_TIMERS: Final = 1_000
#: Parts of a notification from which on other zones send it to its planner no more: what that holds again is one part
#: more, and one beyond `MAX_PARTS` would be refused and lost. From here on it waits for its time.
MAX_LOOKS: Final = MAX_PARTS // 2
#: Due before everything else.
AT_ONCE: Final = 0


def is_known(name: str, timers: Iterable[Timer | None]) -> bool:
    """Whether a keep record was taken before: its timer is there, waiting or released. Rows outlive commits by far."""
    return any(timer is not None and timer.name == name for timer in timers)


def opened(timer: Timer, known: Timer | None, waiting: int, *, cancelled: bool, read: bool = False) -> Timer:
    """The row of a new timer. `known`: the one under the notification's id; `waiting`: how many the user has.

    What is not to be sent is opened all the same, due at once: every timer closes in one way.
    """
    if known is not None:
        return duplicate(timer)
    if cancelled:
        return closed_as(timer, Reason.CANCELLED)
    if read:
        return closed_as(timer, Reason.READ)
    if waiting >= MAX_TIMERS:
        return closed_as(timer, Reason.TOO_MANY)
    return timer


def cancelled(timer: Timer | None) -> Timer | None:
    """The row of a timer that is called off; None: there is nothing to call off, or it ends already."""
    return _ended(timer, Reason.CANCELLED)


def read(timer: Timer | None) -> Timer | None:
    """The same of one that was read meanwhile."""
    return _ended(timer, Reason.READ)


def is_open(timer: Timer) -> bool:
    """Whether it waits, and nothing of it was sent."""
    return timer.waits and not timer.closes and not timer.done and not timer.kind


def superseded(timer: Timer) -> Timer:
    """The row of one in whose place a later revision stands."""
    return msgspec.structs.replace(closed_as(timer, Reason.SUPERSEDED), digest="", facts=b"")


def duplicate(timer: Timer) -> Timer:
    """The row of one that comes too late, or again."""
    return closed_as(timer, Reason.DUPLICATE)


def forgotten(timer: Timer) -> Timer:
    """The row of one whose user was forgotten: it ends by itself, whatever it waited for."""
    return msgspec.structs.replace(closed_as(timer, Reason.USER_FORGOTTEN), digest="", facts=b"")


def mark_of_forgotten(at: int, now_ms: int) -> Timer:
    """A row that says until when nothing that was written is for a user. It goes within minutes."""
    return Timer(str(Lane.URGENT), 0, AT_ONCE, at, closes=Reason.USER_FORGOTTEN.value, closed_at=now_ms)


def still_told(mark: Timer, now_ms: int) -> Timer:
    """The same row for some minutes more: records from before it may still come."""
    return msgspec.structs.replace(mark, closed_at=now_ms)


def remembered_shortly(timer: Timer, now_ms: int) -> Timer:
    """The row of a released one whose user was forgotten: it goes within minutes (`index.entry_of`)."""
    if timer.closes == Reason.USER_FORGOTTEN:
        return timer
    return msgspec.structs.replace(timer, closes=Reason.USER_FORGOTTEN.value, closed_at=now_ms)


def _ended(timer: Timer | None, reason: Reason) -> Timer | None:
    if timer is None or not timer.waits or timer.closes:
        return None
    return closed_as(timer, reason)


def closed_as(timer: Timer, word: str) -> Timer:
    """The row of one that ends instead of being sent, as soon as may be (`wire.waiting.closings`)."""
    return msgspec.structs.replace(timer, due_at=AT_ONCE, closes=str(word))


def looked_at_again(timer: Timer | None) -> Timer | None:
    """The row of a timer whose due time depends on a zone, when zones were changed: its planner finds it anew. None:
    there is nothing to find."""
    return looked_at_by(timer, AT_ONCE)


def looked_at_by(timer: Timer | None, at_ms: int) -> Timer | None:
    """As `looked_at_again`, at this time."""
    if timer is None or not timer.waits or not timer.zoned or timer.closes or timer.due_at < at_ms:
        return None
    if timer.part >= MAX_LOOKS:
        return None
    return msgspec.structs.replace(timer, due_at=at_ms)


def released(timer: Timer, now_ms: int) -> Timer:
    """The row of one that was let go: without content, for whoever comes with the same id."""
    return msgspec.structs.replace(timer, closed_at=now_ms, event=b"", trace=None, done=b"", facts=b"")
