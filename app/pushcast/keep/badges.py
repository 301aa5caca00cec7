"""The number on an app's icon: which notifications it counts, and what changes it. Pure.

It is compared with what was sent, so that a device that shows another number is put right. What is counted is counted
by name: a notification that is released again, or read twice, changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from pushcast.model.notification import MAX_BADGE, ONE_MORE
from pushcast.wire.badge_rows import NAME_BYTES, Badge, name_of

MAX_UNREAD: Final = 256
MAX_READ: Final = 64


def counts(badge: Badge, note_id: str, change: str) -> bool:
    """Whether a release has done its part: the number is that of its push. `change`: `+1`, or what it is set to."""
    name = name_of(note_id)
    if change == ONE_MORE:
        return _has(badge.unread, name) or _has(badge.read, name)
    return badge.set_by == name


def changed(badge: Badge, note_id: str, change: str) -> Badge:
    """After a release. What was read before it was released counts nothing."""
    name = name_of(note_id)
    if change != ONE_MORE:
        return msgspec.structs.replace(badge, base=int(change), unread=b"", beyond=0, set_by=name)
    if counts(badge, note_id, change) or badge.number >= MAX_BADGE:
        return badge
    unread, beyond = badge.unread + name, badge.beyond
    if len(unread) > MAX_UNREAD * NAME_BYTES:
        unread, beyond = unread[NAME_BYTES:], beyond + 1
    return msgspec.structs.replace(badge, unread=unread, beyond=beyond)


def sent(badge: Badge) -> Badge:
    """Its number is about to be in a push."""
    return msgspec.structs.replace(badge, sent=badge.number)


def read(badge: Badge, ids: Iterable[str]) -> Badge:
    """Without these notifications: read, opened, cancelled or taken back."""
    unread, known = _names(badge.unread), _names(badge.read)
    names = [name_of(note_id) for note_id in ids]
    gone = set(names)
    known = [name for name in known if name not in gone] + list(dict.fromkeys(names))
    left = b"".join(name for name in unread if name not in gone)
    return msgspec.structs.replace(badge, unread=left, read=b"".join(known[-MAX_READ:]))


def reset(badge: Badge, count: int) -> Badge:
    """The app shows this number now: nobody needs to be told."""
    return msgspec.structs.replace(badge, base=count, unread=b"", beyond=0, sent=count)


def differs(badge: Badge) -> bool:
    """Whether devices show another number than they should. Before the first push there is nothing to be put right."""
    return badge.sent is not None and badge.sent != badge.number


def _has(names: bytes, name: bytes) -> bool:
    return name in _names(names)


def _names(names: bytes) -> list[bytes]:
    return [names[at : at + NAME_BYTES] for at in range(0, len(names), NAME_BYTES)]
