"""Keys and values of the store: what lies where, so that what is asked for is one get or one short scan. Pure.

| key | value |
|---|---|
| `d` day user NUL delivery id | one delivery |
| `p` day lane source offset note | one planned row, or one leg |
| `n` note | sums of a notification or broadcast (`notes`) |
| `l` minute, newest first, note | nothing: the list of notes |
| `e` bucket user NUL delivery id | what apps told of a delivery (`engaged`) |
| `f` user | until when the user is forgotten |
| `s` note | its sums changed since they were published; no part of what the logs make |
| `m` topic | next offset and highest epochs |

A day is the UTC day of creation, so that old ones are dropped by one range.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

DAY_MS: Final = 86_400_000
MINUTE_MS: Final = 60_000
DELIVERY: Final = b"d"
PLANNED: Final = b"p"
NOTE: Final = b"n"
LIST: Final = b"l"
ENGAGED: Final = b"e"
FORGOTTEN: Final = b"f"
CHANGED: Final = b"s"
META: Final = b"m"
_LAST_MINUTE: Final = 2**32 - 1


class Delivery(msgspec.Struct, array_like=True, frozen=True):
    """How a delivery ended. Times are milliseconds since the epoch."""

    run: int
    notification: str
    kind: str
    app: str | None
    device: str | None
    platform: str | None
    outcome: str
    reason: str | None
    provider_status: int | None
    attempts: int
    created_at: int
    due_at: int
    ended_at: int


class Plan(msgspec.Struct, array_like=True, frozen=True):
    """What one planned row, or one leg, counted: taken out again when a later run takes its place."""

    run: int
    platforms: dict[str, int]
    other: int
    held: int
    reason: str
    matched: int = 0
    held_out: int = 0
    reasons: dict[str, int] = {}


class Meta(msgspec.Struct, array_like=True):
    """How far a topic was applied. `epochs`: the highest seen of each origin. The others count what was left out."""

    offset: int = 0
    epochs: dict[str, int] = {}
    void: int = 0
    unreadable: dict[str, int] = {}
    passed: dict[str, int] = {}  # of planned records: next offset of each intake, by lane and source


_ENCODER: Final = msgspec.msgpack.Encoder(order="deterministic")
_DELIVERIES: Final = msgspec.msgpack.Decoder(Delivery)
_PLANS: Final = msgspec.msgpack.Decoder(Plan)
_METAS: Final = msgspec.msgpack.Decoder(Meta)


def encode(row: Delivery | Plan | Meta) -> bytes:
    """Equal rows give equal bytes."""
    return _ENCODER.encode(row)


def delivery_of(value: bytes) -> Delivery:
    """Of `encode`."""
    return _DELIVERIES.decode(value)


def plan_of(value: bytes) -> Plan:
    """Of `encode`."""
    return _PLANS.decode(value)


def meta_of(value: bytes | None) -> Meta:
    """Of `encode`; of a topic of which nothing was applied yet, too."""
    return Meta() if value is None else _METAS.decode(value)


def day_of(at_ms: int) -> bytes:
    """Two bytes that rise with the days."""
    return _day(at_ms // DAY_MS)


@lru_cache(maxsize=256)
def _day(number: int) -> bytes:
    return min(max(0, number), 0xFFFF).to_bytes(2)


def deliveries_of(day: bytes, user: str) -> bytes:
    """Prefix of a user's deliveries of a day."""
    return DELIVERY + day + user.encode() + b"\0"


def delivery_key(created_at: int, user: str, delivery_id: bytes) -> bytes:
    """Where a delivery lies."""
    return deliveries_of(day_of(created_at), user) + delivery_id


def plan_key(created_at: int, account: str, note: bytes) -> bytes:
    """`account`: lane, source, offset, and the number of a leg."""
    return PLANNED + day_of(created_at) + account.encode() + b"\0" + note


def note_key(note: bytes) -> bytes:
    """`note`: its hash (`notes.note_hash`)."""
    return NOTE + note


def list_key(created_at: int, note: bytes) -> bytes:
    """Keys of newer notes stand before those of older ones."""
    return LIST + (_LAST_MINUTE - min(created_at // MINUTE_MS, _LAST_MINUTE)).to_bytes(4) + note


def minute_of(key: bytes) -> int:
    """Minute since the epoch of a `list_key`."""
    return _LAST_MINUTE - int.from_bytes(key[1:5])


def forgotten_key(user: str) -> bytes:
    """Where it lies until when a user is forgotten: 8 bytes, milliseconds since the epoch."""
    return FORGOTTEN + user.encode()


def meta_key(topic: str) -> bytes:
    """Where the `Meta` of a topic lies."""
    return META + topic.encode()
