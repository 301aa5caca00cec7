"""The number on an app's icon: which notifications it counts, and what changes it. Pure.

It is compared with what was sent, so that a device that shows another number is put right. What is counted is counted
by name: a notification that is released again, or read twice, changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from pushcast.keep import fates
from pushcast.model.caps import Ended, SlotPlanned
from pushcast.model.notification import MAX_BADGE, ONE_MORE
from pushcast.wire.waiting.badge_rows import NAME_BYTES, Badge, name_of
from pushcast.wire.waiting.thread_places import (
    NO_THREAD,
    PLACE_BYTES,
    is_within,
    joined,
    later,
    places_of,
    thread_place,
    within,
)

MAX_UNREAD: Final = 256
MAX_READ: Final = 64
MAX_READ_THREADS: Final = 16
_NOTHING_UNREAD: Final = {"unread": b"", "threads": b"", "pending": b""}


def counts(badge: Badge, note_id: str, change: str) -> bool:
    """Whether a release has done its part: the number is that of its push. `change`: `+1`, or what it is set to."""
    name = name_of(note_id)
    if change == ONE_MORE:
        return _has(badge.unread, name) or _has(badge.read, name)
    return badge.set_by == name


def changed(badge: Badge, note_id: str, change: str, place: bytes = NO_THREAD) -> Badge:
    """After a release. What was read before it was released counts nothing. `place`: of `thread_places`."""
    name = name_of(note_id)
    if change != ONE_MORE:
        return msgspec.structs.replace(badge, base=int(change), set_by=name, beyond=0, **_NOTHING_UNREAD)
    if counts(badge, note_id, change) or badge.number >= MAX_BADGE:
        return badge
    if is_within(place, _places(badge.read_threads)):
        return _without(badge, [name])
    unread, beyond = [*_unread(badge), (name, place)], badge.beyond
    if len(unread) > MAX_UNREAD:
        unread, beyond = unread[1:], beyond + 1
    pending = fates.begun(badge.pending, name)
    return msgspec.structs.replace(_with_unread(badge, unread), beyond=beyond, pending=pending)


def sent(badge: Badge) -> Badge:
    """Its number is about to be in a push."""
    return msgspec.structs.replace(badge, sent=badge.number)


def read(badge: Badge, ids: Iterable[str]) -> Badge:
    """Without these notifications: read, opened, cancelled or taken back."""
    return _without(badge, [name_of(note_id) for note_id in ids])


def read_thread(badge: Badge, thread: str, up_to: int) -> Badge:
    """Without those of a thread that were created until then, also when they are released later."""
    unread = _unread(badge)
    are_in = within([place for _, place in unread], thread, up_to)
    less = _without(badge, [name for (name, _), is_in in zip(unread, are_in, strict=True) if is_in])
    lasts = later(_places(badge.read_threads), thread_place(thread, up_to))[-MAX_READ_THREADS:]
    return msgspec.structs.replace(less, read_threads=b"".join(lasts))


def told(badge: Badge, word: SlotPlanned | Ended) -> Badge:
    """After word of what became of a notification: one that reached no device counts no more."""
    pending, failed = fates.heard(badge.pending, word)
    if failed:
        return _without(badge, [word.id])
    return badge if pending == badge.pending else msgspec.structs.replace(badge, pending=pending)


def reset(badge: Badge, count: int) -> Badge:
    """The app shows this number now: nobody needs to be told."""
    return msgspec.structs.replace(badge, base=count, beyond=0, sent=count, **_NOTHING_UNREAD)


def differs(badge: Badge) -> bool:
    """Whether devices show another number than they should. Before the first push there is nothing to be put right."""
    return badge.sent is not None and badge.sent != badge.number


def _without(badge: Badge, names: list[bytes]) -> Badge:
    gone = set(names)
    known = [name for name in _names(badge.read) if name not in gone] + list(dict.fromkeys(names))
    left = _with_unread(badge, [each for each in _unread(badge) if each[0] not in gone])
    pending = fates.without(badge.pending, gone)
    return msgspec.structs.replace(left, read=b"".join(known[-MAX_READ:]), pending=pending)


def _unread(badge: Badge) -> list[tuple[bytes, bytes]]:
    """(name, place of the thread) of what counts by name."""
    names = _names(badge.unread)
    return list(zip(names, places_of(badge.threads, len(names)), strict=True))


def _places(places: bytes) -> list[bytes]:
    return places_of(places, len(places) // PLACE_BYTES)


def _with_unread(badge: Badge, unread: list[tuple[bytes, bytes]]) -> Badge:
    names, threads = b"".join([name for name, _ in unread]), joined([place for _, place in unread])
    return msgspec.structs.replace(badge, unread=names, threads=threads)


def _has(names: bytes, name: bytes) -> bool:
    return name in _names(names)


def _names(names: bytes) -> list[bytes]:
    return [names[at : at + NAME_BYTES] for at in range(0, len(names), NAME_BYTES)]
