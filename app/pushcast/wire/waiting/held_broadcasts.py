"""What of a broadcast waits for one user: between walk, keeper and planner.

A broadcast may be held for a million users, so the record names the order that holds the content, by its offset and by
the hash of its event, and the devices that wait by their delivery ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import msgspec

from pushcast.model.ids import DELIVERY_ID_BYTES, TOKEN_HASH_BYTES
from pushcast.wire.flat import FlatType
from pushcast.wire.schemas import FRAME_BYTES
from pushcast.wire.waiting.timers import timer_key

CONTENT_BYTES: Final = 16


class HeldBroadcast(msgspec.Struct, frozen=True):
    """`variant`: of a split; empty: none. `deliveries`, `token_hashes`: 16 bytes for each device that waits."""

    broadcast: str
    user: str
    walk_offset: int
    content: bytes
    variant: str
    deliveries: bytes
    token_hashes: bytes

    @property
    def delivery_ids(self) -> frozenset[bytes]:
        """Of the devices that wait."""
        return frozenset(_parts(self.deliveries, DELIVERY_ID_BYTES))

    @property
    def tokens(self) -> dict[bytes, bytes]:
        """The hash of the token that each delivery waits for."""
        hashes = _parts(self.token_hashes, TOKEN_HASH_BYTES)
        return dict(zip(_parts(self.deliveries, DELIVERY_ID_BYTES), hashes, strict=False))

    @property
    def place(self) -> str:
        """Names it among all that is held of broadcasts of one id: `push-broadcast` of a keep record."""
        return f"{self.walk_offset}:{self.variant}"


_TYPE: Final = FlatType("held_broadcast", HeldBroadcast, usual=7)


def _parts(joined: bytes, size: int) -> Sequence[bytes]:
    return [joined[at : at + size] for at in range(0, len(joined), size)]


def content_of(event: bytes) -> bytes:
    """What stands for the event of an order."""
    return blake2b(event, digest_size=CONTENT_BYTES).digest()


def encode_held(held: HeldBroadcast) -> bytes:
    """Value of a keep record."""
    return _TYPE.encode(held)


def is_held_broadcast(value: bytes | None) -> bool:
    """Whether the value of a keep or due record, or the event of a timer, is of a broadcast."""
    return value is not None and value[:FRAME_BYTES] == _TYPE.frame


def decode_held(value: bytes) -> HeldBroadcast:
    """Raises InvalidInput: only planners write it, so that means a foreign writer."""
    return _TYPE.decode(value)


def held_broadcast_key(user: str, broadcast: str, lane: str, place: str, part: int) -> bytes:
    """Row key of the timer: notifications of its id, and its other orders and lanes, have others."""
    return timer_key(user, broadcast, f"b|{lane}|{place}+{part}")
