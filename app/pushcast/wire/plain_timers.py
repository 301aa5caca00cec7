"""The usual timer's row, which waits for its own time or was let go, and has nothing else to say: read and written
without a look at its columns one by one.

The bytes are those that `timers.encode_timer` writes (tests/laws/test_plain_timers.py). Whatever is not usual is left
to `timers`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from pushcast.wire.avro_bytes import NULL, bytes_of, long_of, time_at
from pushcast.wire.schemas import FRAME_BYTES
from pushcast.wire.timers import TIMER_ROWS

_FRAME: Final = TIMER_ROWS.frame
_REST: Final = TIMER_ROWS.rest
_REST_BYTES: Final = len(_REST)
_LANE_AT: Final = FRAME_BYTES + 1
#: No word of how it ends; then null, or when it was let go.
_WAITS: Final = b"\0" + NULL
_WAITING: Final = _WAITS + NULL  # and no trace
_CLOSED: Final = b"\0\2"
#: No trace and no event, which a timer that was let go has no more.
_WITHOUT_EVENT: Final = NULL + b"\0" + _REST


#: Of one that waits: written_at in milliseconds since the epoch, what of the row stays as it is when the timer is let
#: go, and the event.
PlainTimer = tuple[int, bytes, bytes]


@lru_cache(maxsize=16)
def _begin(lane: bytes) -> bytes:
    return _FRAME + bytes_of(lane)


def waiting_row(lane: bytes, keep_offset: int, due_at: int, written_at: int, event: bytes) -> bytes:
    """The row of one that waits. Raises ValueError for a number beyond 64 bits."""
    numbers = long_of(keep_offset) + long_of(due_at) + long_of(written_at)
    return _begin(lane) + numbers + _WAITING + bytes_of(event) + _REST


def released_row(head: bytes, closed_at: int) -> bytes:
    """The row of one that was let go then."""
    return head + _released_rest(closed_at)


@lru_cache(maxsize=16)
def _released_rest(closed_at: int) -> bytes:
    return _CLOSED + long_of(closed_at) + _WITHOUT_EVENT


def plain_timer(value: bytes, lane: bytes, keep_offset: int, due_at: int) -> PlainTimer | None:
    """None: of anything but the usual timer that waits with this lane and these numbers, which its entry in the index
    says. So they are compared as bytes."""
    begins = _begin(lane) + long_of(keep_offset) + long_of(due_at)
    if not value.startswith(begins) or not value.endswith(_REST):
        return None
    try:
        written_at, head = time_at(value, len(begins))
        if value[head : head + 3] != _WAITING:
            return None
        size, begin = time_at(value, head + 3)
    except (IndexError, ValueError):
        return None
    end = begin + size
    if size < 0 or end + _REST_BYTES != len(value):
        return None
    return written_at, value[:head], value[begin:end]


def plain_times(value: bytes) -> tuple[bytes, int, int, int | None] | None:
    """(lane, due_at, keep_offset, closed_at) of the usual timer, which waits or was let go, at half the price of
    decoding it. None: of anything else, which `timers.readable` can tell."""
    try:
        numbers = _numbers(value)
        if numbers is None:
            return None
        at, keep_offset, due_at, _, end = numbers
        closed_at, ends = None, value[end : end + 2]
        if ends == _CLOSED:
            closed_at, end = time_at(value, end + 2)
        elif ends == _WAITS:
            end += 2
        else:
            return None
        if value[end]:
            return None  # it has a trace
        size, end = time_at(value, end + 1)
    except (IndexError, ValueError):
        return None
    if size < 0 or end + size + _REST_BYTES != len(value):
        return None
    return value[_LANE_AT:at], due_at, keep_offset, closed_at


def _numbers(value: bytes) -> tuple[int, int, int, int, int] | None:
    """Where the lane's name ends, the three numbers behind it, and where they end. None: of another row."""
    if value[:FRAME_BYTES] != _FRAME or not value.endswith(_REST):
        return None
    at = _LANE_AT + (value[FRAME_BYTES] >> 1)  # of a lane's name, which is short
    keep_offset, end = time_at(value, at)
    due_at, end = time_at(value, end)
    written_at, end = time_at(value, end)
    return at, keep_offset, due_at, written_at, end
