"""Who holds which keys: what each registrar and sender with a keyring says of itself on `push.where.v1`. Pure.

Key `keyring/<instance>`, value JSON. A process says it every ten seconds and takes it back when it ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.wire.json_errors import decoded
from pushcast.wire.sealing.keyring import KeyringRole

HEARTBEAT_SECONDS: Final = 10.0
#: Who has said nothing for so long is gone, or as good as gone: what it still has to open waits for it.
LIVE_SECONDS: Final = 60.0
_PREFIX: Final = "keyring/"
_TimeMs = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Holder(msgspec.Struct, frozen=True):
    """A process. `ids`: keys that it opens with; `sealing`: the one it seals with, of a registrar."""

    role: KeyringRole
    host: str
    pid: int
    ids: frozenset[str]
    sealing: str | None
    at_ms: _TimeMs

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.role} {self.host}:{self.pid}"


_DECODER: Final = msgspec.json.Decoder(Holder)


def key_of(instance: str) -> bytes:
    """The record key."""
    return f"{_PREFIX}{instance}".encode()


def encode(holder: Holder) -> bytes:
    """The record value."""
    return msgspec.json.encode(holder)


def decode(value: bytes) -> Holder:
    """Raises InvalidInput."""
    return decoded(_DECODER, value)


def live(records: Iterable[tuple[bytes | None, bytes | None]], now_ms: int) -> list[Holder]:
    """Processes that are there, from the records of the topic in their order. Others' records are left out."""
    last: dict[bytes, bytes | None] = {}
    for key, value in records:
        if key is not None and key.startswith(_PREFIX.encode()):
            last[key] = value
    found: list[Holder] = []
    for value in last.values():
        try:
            holder = None if value is None else decode(value)
        except InvalidInput:
            continue  # of a release that says it otherwise
        if holder is not None and holder.at_ms >= now_ms - LIVE_SECONDS * 1000:
            found.append(holder)
    return sorted(found, key=lambda holder: holder.name)
