"""The index of timers in KEEP's local copy: by when they are due, the urgent lane first; and when to forget them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from pushcast.model.words import Lane
from pushcast.wire.digests import Head, is_head, readable_head
from pushcast.wire.timers import Timer, is_timer, readable

#: A released timer is remembered so long: the same id again is a duplicate.
REMEMBER_MS: Final = 86_400_000
_FORGET: Final = b"\xf0"
_LANES: Final = {str(lane): bytes((number,)) for number, lane in enumerate(Lane)}
#: In the order in which they are released.
QUEUES: Final = tuple(_LANES.values())
ALL: Final = (*QUEUES, _FORGET)
_TIME_BYTES: Final = 8


class Place(NamedTuple):
    """An entry of the index. `at_ms`: when it is due, or to be forgotten."""

    at_ms: int
    key: bytes
    entry: bytes


def entries_of(key: bytes, value: bytes) -> Iterable[bytes]:
    """The entries of a row: one for what has a time of its own, none for anything else."""
    row = readable(value) if is_timer(key) else readable_head(value) if is_head(key) else None
    entry = None if row is None else entry_of(key, row)
    return () if entry is None else (entry,)


def entry_of(key: bytes, row: Timer | Head) -> bytes | None:
    """The entry of a row as it is now; None: it waits for another row."""
    if isinstance(row, Head):
        return _queue(row.lane) + _time(row.due_at if row.flushed_at is None else 0) + key
    if row.closed_at is not None:
        return _FORGET + _time(row.closed_at + REMEMBER_MS) + key
    if row.digest and not row.closes:
        return None
    return _queue(row.lane) + _time(row.due_at) + key


def until(queue: bytes, at_ms: int) -> bytes:
    """Entries of a queue below this one are due at or before `at_ms`."""
    return queue + _time(at_ms + 1)


def behind(queue: bytes) -> bytes:
    """Entries of a queue are below this one."""
    return bytes((queue[0] + 1,))


def place_of(entry: bytes) -> Place:
    """What an entry says."""
    return Place(int.from_bytes(entry[1 : 1 + _TIME_BYTES], "big"), entry[1 + _TIME_BYTES :], entry)


def _queue(lane: str) -> bytes:
    return _LANES.get(lane, QUEUES[-1])


def _time(at_ms: int) -> bytes:
    return max(0, at_ms).to_bytes(_TIME_BYTES, "big")
