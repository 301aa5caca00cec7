"""Rows of `push.user.v1` that wait for their time."""

from __future__ import annotations

from typing import Final

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.wire.devices.row_fences import is_row
from pushcast.wire.flat import FlatType
from pushcast.wire.schemas import FRAME_BYTES

#: A timer that is not let go so long after it was due is overdue.
OVERDUE_MS: Final = 60_000
_KIND: Final = b"\0t\0"
#: keep_offset, due_at and written_at.
_NUMBERS_BEFORE_CLOSES: Final = 3
#: How Avro begins an optional field that has a value, as `closed_at` of a timer that was let go.
_IS_THERE: Final = 2


class Timer(msgspec.Struct, frozen=True):
    """Times are milliseconds since the epoch. `closed_at` None: it waits."""

    lane: str
    keep_offset: int
    due_at: int
    written_at: int
    closes: str = ""
    closed_at: int | None = None
    trace: str | None = None
    event: bytes = b""
    part: int = 0
    done: bytes = b""
    kind: str = ""  # remove, badge: made by the keeper itself; empty: a planner's
    app: str = ""
    badge: str = ""  # what its release does: +1, a number that it sets, and =N once N is what its push shows
    pace: str = ""
    facts: bytes = b""
    passed: str = ""
    digest: str = ""
    number: int = 0
    left_as: str = ""
    zoned: bool = False  # its due time depends on a zone
    revision: int = -1  # -1: any replaces it while it waits
    replaced: str = ""  # name of the timer in whose place it stands

    @property
    def waits(self) -> bool:
        """Whether it was not released yet."""
        return self.closed_at is None

    @property
    def name(self) -> str:
        """Its identity: the record that opened it, or that it was changed by last."""
        return f"{self.kind or self.lane}|{self.keep_offset}"


#: Of most timers nothing behind the event differs from the defaults.
TIMER_ROWS: Final = FlatType("timer", Timer, usual=8)


def timer_key(user: str, note_id: str, part: str = "") -> bytes:
    """Row key. `part`: of a second one with the same id."""
    return f"{user}\0t\0{note_id}{f'{chr(0)}{part}' if part else ''}".encode()


def part_key(user: str, note_id: str, part: int) -> bytes:
    """Row key of a part of a notification; the first one has none."""
    return timer_key(user, note_id, f"+{part}" if part else "")


def timers_prefix(user: bytes) -> bytes:
    """Key prefix of all timers of a user."""
    return user + _KIND


def is_timer(key: bytes) -> bool:
    """Whether a row under this key is a timer."""
    return is_row(key) and _KIND in key


def user_key(key: bytes) -> bytes:
    """Whose row it is."""
    return key.partition(b"\0")[0]


def note_id_of(key: bytes) -> str:
    """Of which notification a timer is."""
    return key.partition(_KIND)[2].partition(b"\0")[0].decode("utf-8", "replace")


def encode_timer(timer: Timer) -> bytes:
    """Value of a row."""
    return TIMER_ROWS.encode(timer)


def decode_timer(value: bytes) -> Timer:
    """Raises InvalidInput: only KEEP writes rows, so that means a foreign writer or a newer release."""
    return TIMER_ROWS.decode(value)


def is_closed(value: bytes) -> bool:
    """Whether a row was let go, by a look at the few bytes that say so: a user's rows are mostly such that are only
    remembered. False: it waits, or it has to be decoded for an answer."""
    if value[:FRAME_BYTES] != TIMER_ROWS.frame:
        return False
    try:
        at = _behind_text(value, FRAME_BYTES)  # lane
        for _ in range(_NUMBERS_BEFORE_CLOSES):
            while value[at] & 0x80:
                at += 1
            at += 1
        return value[_behind_text(value, at)] == _IS_THERE
    except IndexError:
        return False


def _behind_text(value: bytes, at: int) -> int:
    """Where a text ends that begins there. Raises IndexError for one that is longer than what these fields hold."""
    size = value[at]
    if size & 0x81:
        raise IndexError("a text of 64 bytes or more")
    return at + 1 + (size >> 1)


def readable(value: bytes) -> Timer | None:
    """None for what `decode_timer` refuses."""
    try:
        return decode_timer(value)
    except InvalidInput:
        return None
