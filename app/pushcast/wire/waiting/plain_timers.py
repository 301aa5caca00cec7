"""The usual timer's row, which waits for its own time or was let go, and has nothing else to say: read and written
without a look at its columns one by one.

The bytes are those that `timers.encode_timer` writes (tests/laws/test_plain_timers.py). Whatever is not usual is left
to `timers`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from pushcast.model.words import Lane
from pushcast.wire.avro_bytes import NULL, bytes_of, long_at, long_of, time_at
from pushcast.wire.waiting.timers import TIMER_ROWS

_FRAME: Final = TIMER_ROWS.frame
_REST: Final = TIMER_ROWS.rest
_REST_BYTES: Final = len(_REST)
#: No word of how it ends; then null, or when it was let go.
_WAITS: Final = b"\0" + NULL
_WAITING: Final = _WAITS + NULL  # and no trace
_CLOSED: Final = b"\0\2"
#: No trace and no event, which a timer that was let go has no more.
_WITHOUT_EVENT: Final = NULL + b"\0" + _REST
#: An event's size takes one byte up to 63, two up to 8,191, and three up to a megabyte. Here: the size, and what of its
#: own bytes is beyond the first.
_ONE_BYTE: Final = 63
_TWO_BYTES: Final = 8_191 + 1
_LONG: Final = rb"[\x80-\xff]{0,9}[\x00-\x7f]"
#: Up to where the event begins: lane, the numbers, when it was let go, no trace, and the event's size.
_PLAIN: Final = re.compile(
    re.escape(_FRAME)
    + b"(%b)" % b"|".join(re.escape(bytes_of(lane.encode())) for lane in Lane)
    + rb"(%b)(%b)%b\x00(?:\x00|\x02(%b))\x00(%b)" % (_LONG, _LONG, _LONG, _LONG, _LONG),
    re.DOTALL,
).match

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


class PlainTimers:
    """Reads rows of one lane. Quicker for timers with one due time in a row, as a queue has them."""

    def __init__(self, lane: bytes) -> None:
        self._begins = _begin(lane)
        self._due_at = 0
        self._due = long_of(0)

    def read(self, value: bytes, keep_offset: int, due_at: int) -> PlainTimer | None:
        """None: of anything but the usual timer that waits with this lane and these numbers, which its entry in the
        index says. So they are compared as bytes."""
        if due_at != self._due_at:
            self._due_at, self._due = due_at, long_of(due_at)
        begins = self._begins + long_of(keep_offset) + self._due
        if not value.startswith(begins) or not value.endswith(_REST):
            return None
        try:
            written_at, head = time_at(value, len(begins))
        except (IndexError, ValueError):
            return None
        # What is left is the event with its size before it, so its size is known.
        end = len(value) - _REST_BYTES
        size = end - head - len(_WAITING) - 1
        if size > _ONE_BYTE:
            size -= 1 if size <= _TWO_BYTES else 2
        sized = _WAITING + long_of(size) if size >= 0 else b""
        begin = end - size
        if not sized or head + len(sized) != begin or not value.startswith(sized, head):
            return None
        return written_at, value[:head], value[begin:end]


def plain_times(value: bytes) -> tuple[bytes, int, int, int | None] | None:
    """(lane, due_at, keep_offset, closed_at) of the usual timer, which waits or was let go, at a quarter of the price
    of decoding it. None: of anything else, which `timers.readable` can tell."""
    found = _PLAIN(value)
    if found is None or not value.endswith(_REST):
        return None
    lane, keep_offset, due_at, closed_at, size = found.groups()
    try:
        if (length := _size(size)) < 0 or found.end() + length + _REST_BYTES != len(value):
            return None
        # Two bytes of a number that its neighbours do not share, and the rest, which they do.
        due, offset = _high(due_at[2:]), _high(keep_offset[2:])
        due |= due_at[0] & 0x7F | (due_at[1] & 0x7F) << 7 if len(due_at) > 1 else due_at[0]
        offset |= keep_offset[0] & 0x7F | (keep_offset[1] & 0x7F) << 7 if len(keep_offset) > 1 else keep_offset[0]
        closed = None if closed_at is None else time_at(closed_at, 0)[0]
    except ValueError:
        return None
    return lane[1:], due >> 1 ^ -(due & 1), offset >> 1 ^ -(offset & 1), closed


@lru_cache(maxsize=4_096)
def _high(rest: bytes) -> int:
    """What the bytes of a number from its third one on are worth, zigzag."""
    zigzag, shift = 0, 14
    for byte in rest:
        zigzag |= (byte & 0x7F) << shift
        shift += 7
    if zigzag >= 1 << 64:
        raise ValueError("an Avro long has at most 64 bits")
    return zigzag


@lru_cache(maxsize=1_024)
def _size(size: bytes) -> int:
    return long_at(size, 0)[0]
