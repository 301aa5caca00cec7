"""Rows of `push.user.v1` that gather notifications of a user into one push."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.wire.devices.row_fences import is_row
from pushcast.wire.flat import FlatType
from pushcast.wire.waiting.facts import Facts

_KIND: Final = b"\0d\0"
_PUSH: Final = "digest/"
_ID: Final = "digest:"


class Head(msgspec.Struct, frozen=True):
    """One digest. Times are milliseconds since the epoch. `flushed_at` None: it is open."""

    name: str
    lane: str
    app: str | None
    klass: str
    key: str
    dry_run: bool
    opened_at: int
    due_at: int
    count: int = 0
    upto: int = 0
    flushed_at: int | None = None
    left_as: str = ""

    @property
    def id(self) -> str:
        """Notification id of the push: the same after any crash."""
        return _ID + _hashed(self.app, self.klass, self.key, self.dry_run, self.name)


_HEAD: Final = FlatType("digest_head", Head, usual=12)


def heads_prefix(user: str, facts: Facts) -> bytes:
    """Key prefix of all digests of a user that such a notification may join."""
    return f"{user}\0d\0{_hashed(facts.app, facts.klass, facts.key, facts.dry_run)}\0".encode()


def all_heads_prefix(user: str) -> bytes:
    """Key prefix of all digests of a user."""
    return f"{user}\0d\0".encode()


def head_key(user: str, facts: Facts, name: str) -> bytes:
    """Row key."""
    return heads_prefix(user, facts) + name.encode()


def is_head(key: bytes) -> bool:
    """Whether a row under this key is a digest."""
    return is_row(key) and key.find(_KIND, 1) == key.find(b"\0", 1)


def name_of(key: bytes) -> str:
    """The digest that a row key names."""
    return key.rpartition(b"\0")[2].decode("utf-8", "replace")


def closing_name(head: Head, key: bytes, upto: int, at: int) -> str:
    """`held.TIMER` of a digest's push: what a new owner has to know of it to close its row."""
    return f"{_PUSH}{upto}/{at}|{head.id}|{key.decode()}"


def closed_by(name: str) -> tuple[bytes, int, int] | None:
    """(row key, upto, flushed_at) of a push of that name; None: a timer has it."""
    if not name.startswith(_PUSH):
        return None
    numbers, _, key = name.removeprefix(_PUSH).split("|", 2)
    upto, at = numbers.split("/")
    return key.encode(), int(upto), int(at)


def is_digest(note_id: str) -> bool:
    """Whether the push of a digest has this id: producers may give none like it."""
    return note_id.startswith(_ID)


def encode_head(head: Head) -> bytes:
    """Value of a row."""
    return _HEAD.encode(head)


def readable_head(value: bytes) -> Head | None:
    """None for what no keeper of this release wrote."""
    try:
        return _HEAD.decode(value)
    except InvalidInput:
        return None


def _hashed(*parts: object) -> str:
    return blake2b("\0".join(map(repr, parts)).encode(), digest_size=12).hexdigest()
