"""Rows of `push.user.v1` that name pushes which their service deletes on request."""

from __future__ import annotations

from typing import Final

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.wire.row_fences import is_row
from pushcast.wire.schemas import avro_type

_RECALLABLE: Final = avro_type("recallable")
_KIND: Final = b"r\0"
#: Of one user in one app; the newest stay.
MAX_PUSHES: Final = 32


class Push(msgspec.Struct, frozen=True):
    """One of them. `message`: the service's name of it."""

    notification: str
    device: str
    message: str


class Recallable(msgspec.Struct, frozen=True):
    """Those of one user in one app, the oldest first."""

    pushes: tuple[Push, ...] = ()

    def having(self, push: Push) -> Recallable:
        """With one more. What a device got again of a notification replaces what it had."""
        others = [each for each in self.pushes if (each.notification, each.device) != (push.notification, push.device)]
        return Recallable(tuple([*others, push][-MAX_PUSHES:]))


def recallable_key(user: str, app: str) -> bytes:
    """Row key."""
    return f"{user}\0r\0{app}".encode()


def recallables_prefix(user: str) -> bytes:
    """Key prefix of a user's rows in all apps."""
    return f"{user}\0r\0".encode()


def is_recallable(key: bytes) -> bool:
    """Whether a row under this key names such pushes."""
    return is_row(key) and key.partition(b"\0")[2].startswith(_KIND)


def app_of(key: bytes) -> str:
    """In which app they are."""
    return key.split(b"\0", 2)[2].decode("utf-8", "replace")


def encode_recallable(row: Recallable) -> bytes:
    """Value of a row."""
    return _RECALLABLE.encode(msgspec.to_builtins(row))


def readable_recallable(value: bytes) -> Recallable | None:
    """None for what this release cannot read: only KEEP writes rows."""
    try:
        return msgspec.convert(_RECALLABLE.decode(value), Recallable)
    except (InvalidInput, msgspec.ValidationError):
        return None
