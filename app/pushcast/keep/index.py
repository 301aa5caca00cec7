"""The index of timers in KEEP's local copy: by when they are due, the urgent lane first; and when to forget them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, overload

from pushcast.model.words import Lane, Reason
from pushcast.wire.waiting.digests import Head, is_head, readable_head
from pushcast.wire.waiting.plain_timers import plain_times
from pushcast.wire.waiting.timers import Timer, is_timer, readable

#: A released timer is remembered so long where the configuration says nothing of it: the same id again is a duplicate.
#: Its entry lies so far behind its release whatever the configuration says: entries in copies outlive a changed one.
REMEMBER_MS: Final = 86_400_000
#: One of a user who was forgotten: longer than anything it guards against is under way.
FORGOTTEN_REMEMBER_MS: Final = 600_000
#: Released timers, until they are forgotten; and those of users who were.
REMEMBERED: Final = b"\xf0"
_FORGOTTEN: Final = b"\xf1"
_LANES: Final = {str(lane): bytes((number,)) for number, lane in enumerate(Lane)}
_LANES_OF_ROWS: Final = {lane.encode(): queue for lane, queue in _LANES.items()}
_LANES_OF_QUEUES: Final = {queue: lane for lane, queue in _LANES_OF_ROWS.items()}
#: In the order in which they are released.
QUEUES: Final = tuple(_LANES.values())
ALL: Final = (*QUEUES, REMEMBERED, _FORGOTTEN)
#: Behind it the name of a rate, and a NUL: a queue of its own.
_PACED: Final = b"\xe0"
_NUMBER_BYTES: Final = 8
_KEY_AT: Final = 1 + 2 * _NUMBER_BYTES
_NUMBERS: Final = struct.Struct(">QQ").pack
_NUMBERS_AT: Final = struct.Struct(">QQ").unpack_from
_NO_OFFSET: Final = bytes(_NUMBER_BYTES)


class IndexPlace(NamedTuple):
    """An entry of the index. `at_ms`: when it is due, or to be forgotten."""

    at_ms: int
    key: bytes
    entry: bytes


def entries_of(key: bytes, value: bytes) -> Iterable[bytes]:
    """The entries of a row: one for what has a time of its own, none for anything else."""
    if is_timer(key):
        plain = plain_times(value)
        if plain is not None:
            lane, due_at, keep_offset, closed_at = plain
            if closed_at is not None:
                return (released_entry(key, closed_at),)
            return (waiting_entry(key, lane, keep_offset, due_at),)
        row: Timer | Head | None = readable(value)
    else:
        row = readable_head(value) if is_head(key) else None
    entry = None if row is None else entry_of(key, row)
    return () if entry is None else (entry,)


def is_unreadable(key: bytes, value: bytes) -> bool:
    """Whether a row has no entry because another release wrote it, or a stranger."""
    if is_timer(key):
        return readable(value) is None
    return is_head(key) and readable_head(value) is None


def waiting_entry(key: bytes, lane: bytes, keep_offset: int, due_at: int) -> bytes:
    """The entry of a usual timer that waits."""
    try:
        numbers = _NUMBERS(due_at, keep_offset)
    except struct.error:  # below 0
        numbers = _NUMBERS(max(0, due_at), max(0, keep_offset))
    return _LANES_OF_ROWS.get(lane, QUEUES[-1]) + numbers + key


def waiting_of(entry: bytes) -> tuple[bytes, int, int] | None:
    """(lane, keep_offset, due_at) of the usual timer that has this entry, if it is one; None: none has."""
    lane = _LANES_OF_QUEUES.get(entry[:1])
    if lane is None:
        return None
    due_at, keep_offset = _NUMBERS_AT(entry, 1)
    return lane, keep_offset, due_at


class DueTimes(Sequence[int]):
    """When what has these entries is due, each found when it is asked for. Of a queue that keeps to no rate."""

    def __init__(self, entries: Sequence[bytes]) -> None:
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[int]: ...
    def __getitem__(self, at: int | slice) -> int | Sequence[int]:
        if isinstance(at, slice):
            return DueTimes(self._entries[at])
        due_at: int = _NUMBERS_AT(self._entries[at], 1)[0]
        return due_at


def key_of(entry: bytes) -> bytes:
    """Whose entry it is, in a queue that keeps to no rate."""
    return entry[_KEY_AT:]


def released_entry(key: bytes, closed_at: int) -> bytes:
    """The entry of one that was let go then."""
    return _remembered_from(closed_at) + key


def is_of_before(entry: bytes, row: Timer | Head) -> bool:
    """Whether an earlier release gave a row this entry: those of users who were forgotten lay among all that left. It
    leads to a row that is to go, and no other one does."""
    return entry[:1] == REMEMBERED and isinstance(row, Timer) and not row.waits and row.closes == Reason.USER_FORGOTTEN


def is_paced(queue: bytes) -> bool:
    """Whether what waits in this queue keeps to a rate."""
    return queue[:1] == _PACED


def rate_of(queue: bytes) -> str:
    """The name of that rate."""
    return queue[1:-1].decode("utf-8", "replace")


def paced_queues(first_in: Callable[[bytes, bytes], bytes | None]) -> Iterator[bytes]:
    """Those in which something waits. `first_in`: the first entry that is not below the one and below the other."""
    first = _PACED
    while (entry := first_in(first, behind(_PACED))) is not None:
        queue = entry[: entry.index(b"\0") + 1]
        yield queue
        first = behind(queue)


def entry_of(key: bytes, row: Timer | Head) -> bytes | None:
    """The entry of a row as it is now; None: it waits for another row. What is due at one time leaves as it came."""
    if isinstance(row, Head):
        return _queue(row.lane) + _number(row.due_at if row.flushed_at is None else 0) + _NO_OFFSET + key
    if row.closed_at is not None:
        if row.closes == Reason.USER_FORGOTTEN:
            return _FORGOTTEN + _number(row.closed_at + FORGOTTEN_REMEMBER_MS) + _NO_OFFSET + key
        return _remembered_from(row.closed_at) + key
    if row.digest and not row.closes:
        return None
    number = _NUMBERS(max(0, row.due_at), max(0, row.keep_offset))
    if row.pace and not row.closes:
        return _PACED + row.pace.encode() + b"\0" + number + key
    return _queue(row.lane) + number + key


def until(queue: bytes, at_ms: int) -> bytes:
    """Entries of a queue below this one are due at or before `at_ms`."""
    return queue + _number(at_ms + 1)


def behind(queue: bytes) -> bytes:
    """Entries of a queue are below this one."""
    return queue[:-1] + bytes((queue[-1] + 1,))


def left_over(queue: bytes, entries: Iterable[bytes], firing: Container[bytes], spent: Container[bytes]) -> list[bytes]:
    """Entries whose row is in none of these; of a queue that keeps to a rate, all of them."""
    if is_paced(queue):
        return list(entries)
    return [entry for entry in entries if (key := entry[_KEY_AT:]) not in firing and key not in spent]


def place_of(entry: bytes) -> IndexPlace:
    """What an entry says."""
    if entry[:1] != _PACED:
        return IndexPlace(_NUMBERS_AT(entry, 1)[0], entry[_KEY_AT:], entry)
    start = entry.index(b"\0") + 1
    at_ms = int.from_bytes(entry[start : start + _NUMBER_BYTES], "big")
    return IndexPlace(at_ms, entry[start + 2 * _NUMBER_BYTES :], entry)


@lru_cache(maxsize=16)
def _remembered_from(closed_at: int) -> bytes:
    return REMEMBERED + _number(closed_at + REMEMBER_MS) + _NO_OFFSET


def _queue(lane: str) -> bytes:
    return _LANES.get(lane, QUEUES[-1])


def _number(number: int) -> bytes:
    return max(0, number).to_bytes(_NUMBER_BYTES, "big")
