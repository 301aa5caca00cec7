"""Rows of `push.user.v1` that hold the number on an app's icon."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.wire.devices.row_fences import is_row
from pushcast.wire.flat import FlatType

_KIND: Final = b"\0b\0"
NAME_BYTES: Final = 8


class Badge(msgspec.Struct, frozen=True):
    """Names of notifications are `name_of`, one behind the other."""

    base: int = 0
    unread: bytes = b""
    beyond: int = 0
    read: bytes = b""
    set_by: bytes = b""
    sent: int | None = None
    engaged: int = 0
    cancelled: int = 0
    threads: bytes = b""  # of the last ones in `unread` (`thread_places.joined`)
    read_threads: bytes = b""  # places of the last moments of threads that were read
    pending: bytes = b""  # those of `unread` of which nobody knows yet whether they arrived (`keep.fates`)

    @property
    def number(self) -> int:
        """What the icon is to show."""
        return self.base + self.beyond + len(self.unread) // NAME_BYTES


_BADGE: Final = FlatType("badge", Badge, usual=8)


def name_of(note_id: str) -> bytes:
    """8 bytes that stand for a notification among those of its user."""
    return blake2b(note_id.encode(), digest_size=NAME_BYTES).digest()


def badge_key(user: str, app: str) -> bytes:
    """Row key."""
    return f"{user}\0b\0{app}".encode()


def badges_prefix(user: str) -> bytes:
    """Key prefix of a user's badges in all apps."""
    return f"{user}\0b\0".encode()


def is_badge(key: bytes) -> bool:
    """Whether a row under this key is a badge."""
    user, kind, _ = key.partition(b"\0")[0], key.partition(b"\0")[2][:2], key
    return is_row(key) and bool(user) and kind == _KIND[1:]


def app_of(key: bytes) -> str:
    """In which app a badge is."""
    return key.partition(_KIND)[2].decode("utf-8", "replace")


def encode_badge(badge: Badge) -> bytes:
    """Value of a row."""
    return _BADGE.encode(badge)


def readable_badge(value: bytes) -> Badge | None:
    """None for what this release cannot read: only KEEP writes rows."""
    try:
        return _BADGE.decode(value)
    except InvalidInput:
        return None
