"""Keys and values of the store: what lies where, so that what is asked for is one get or one short scan. Pure.

| key | value |
|---|---|
| `d` day user NUL delivery id | one delivery |
| `b` day lane source, number of 64 offsets | planned rows of these offsets |
| `p` day lane source offset leg note | one leg |
| `n` note | what was planned of a notification or broadcast (`notes`) |
| `r` note | how its deliveries ended (`notes`) |
| `t` minute app class platform lane | what became due in it, and how that ended (`minutes`) |
| `l` minute, newest first, note | nothing: the list of notes |
| `e` bucket user NUL delivery id | what apps told of a delivery (`engaged`) |
| `f` user | until when the user is forgotten |
| `o` minute of expiry, note | it was published and not all of it had ended; no part of what the logs make |
| `w` minute of expiry, minute | not all of what became due in that minute had ended; no part of what the logs make |
| `s` note | its sums changed since they were published; no part of what the logs make |
| `m` topic | next offset and highest epochs |

A day is the UTC day of creation, so that old ones are dropped by one range. Rows of a user who was forgotten lie under
the empty user (`forgotten`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

DAY_MS: Final = 86_400_000
MINUTE_MS: Final = 60_000
DELIVERY: Final = b"d"
BLOCK: Final = b"b"
LEG: Final = b"p"
NOTE: Final = b"n"
ENDED: Final = b"r"
MINUTE: Final = b"t"
LIST: Final = b"l"
ENGAGED: Final = b"e"
FORGOTTEN: Final = b"f"
CHANGED: Final = b"s"
OPEN: Final = b"o"
WATCHED: Final = b"w"
META: Final = b"m"
#: Planned rows of neighbouring offsets lie in one row: a get and a put for all of them.
BLOCK_OFFSETS: Final = 64
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
    variant: str | None = None  # written where there is one


class Plan(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What one planned row, or one leg, counted: taken out again when a later run takes its place."""

    run: int
    platforms: dict[str, int]
    other: int
    held: int
    matched: int = 0
    held_out: int = 0
    reasons: dict[str, int] = {}


class LegPlan(Plan, array_like=True, frozen=True, gc=False):
    """Of a leg."""

    variants: dict[str, int] = {}


#: Of planned rows: by offset within the block and name of the note.
Block = dict[bytes, Plan]


class Meta(msgspec.Struct, array_like=True):
    """How far a topic was applied. `epochs`: the highest seen of each origin. The others count what was left out."""

    offset: int = 0
    epochs: dict[str, int] = {}
    void: int = 0
    unreadable: dict[str, int] = {}
    passed: dict[str, int] = {}  # of planned records: next offset of each intake, by lane and source


_ENTRIES: Final = tuple(bytes((low,)) for low in range(BLOCK_OFFSETS))
_ENCODER: Final = msgspec.msgpack.Encoder(order="deterministic")
_DELIVERIES: Final = msgspec.msgpack.Decoder(Delivery)
_LEG_PLANS: Final = msgspec.msgpack.Decoder(LegPlan)
_BLOCKS: Final = msgspec.msgpack.Decoder(list[tuple[bytes, Plan]])
_METAS: Final = msgspec.msgpack.Decoder(Meta)


def encode(row: LegPlan | Meta) -> bytes:
    """Equal rows give equal bytes."""
    return _ENCODER.encode(row)


def encode_delivery(fields: tuple[str | int | None, ...]) -> bytes:
    """Of the fields of a `Delivery`, in their order: without the object that is made thousands of times a second. A
    variant stands there only where there is one."""
    return _ENCODER.encode(fields)


def encode_delivery_row(row: Delivery) -> bytes:
    """As `encode_delivery` of its fields."""
    fields = msgspec.structs.astuple(row)
    return _ENCODER.encode(fields if row.variant is not None else fields[:-1])


def delivery_of(value: bytes) -> Delivery:
    """Of `encode`."""
    return _DELIVERIES.decode(value)


def leg_plan_of(value: bytes) -> LegPlan:
    """Of `encode`."""
    return _LEG_PLANS.decode(value)


def encode_block(block: Block) -> bytes:
    """Equal blocks give equal bytes."""
    return _ENCODER.encode(sorted(block.items()))


def block_of(value: bytes | None) -> Block:
    """Of `encode_block`; of one that is not there, too."""
    return {} if value is None else dict(_BLOCKS.decode(value))


def meta_of(value: bytes | None) -> Meta:
    """Of `encode`; of a topic of which nothing was applied yet, too."""
    return Meta() if value is None else _METAS.decode(value)


def day_of(at_ms: int) -> bytes:
    """Two bytes that rise with the days."""
    return _day(at_ms // DAY_MS)


@lru_cache(maxsize=256)
def _day(number: int) -> bytes:
    return min(max(0, number), 0xFFFF).to_bytes(2)


def deliveries_of(day: bytes, user: bytes) -> bytes:
    """Prefix of a user's deliveries of a day."""
    return DELIVERY + day + user + b"\0"


def delivery_key(created_at: int, user: bytes, delivery_id: bytes) -> bytes:
    """Where a delivery lies."""
    return deliveries_of_day(created_at // DAY_MS) + user + b"\0" + delivery_id


@lru_cache(maxsize=256)
def deliveries_of_day(number: int) -> bytes:
    """Prefix of the deliveries of a day. `number`: days since the epoch."""
    return DELIVERY + _day(number)


def day_ms_of(key: bytes) -> int:
    """Midnight (UTC) of the day of a `delivery_key`, in milliseconds since the epoch."""
    return int.from_bytes(key[1:3]) * DAY_MS


def block_key(created_at: int, account: bytes, offset: int) -> bytes:
    """Where planned rows lie. `account`: lane and source."""
    return b"%c%b%b%b" % (BLOCK, _day(created_at // DAY_MS), account, max(0, offset // BLOCK_OFFSETS).to_bytes(8))


def block_entry(offset: int, note: bytes) -> bytes:
    """One row of a block."""
    return _ENTRIES[offset % BLOCK_OFFSETS] + note


def leg_key(created_at: int, account: str, note: bytes) -> bytes:
    """`account`: lane, source, offset of the order, and the number of the leg."""
    return LEG + day_of(created_at) + account.encode() + b"\0" + note


def note_key(note: bytes) -> bytes:
    """Where it lies what was planned. `note`: its hash (`notes.note_hash`)."""
    return NOTE + note


def ended_key(note: bytes) -> bytes:
    """Where it lies how deliveries ended."""
    return ENDED + note


def minute_key(minute: int, app: str, klass: str, platform: str, lane: str) -> bytes:
    """`minute`: since the epoch, of the due time."""
    return MINUTE + _minute(minute) + "\0".join((app, klass, platform, lane)).encode()


def first_key_of_minute(at_ms: int) -> bytes:
    """No key of an earlier minute is greater."""
    return MINUTE + _minute(at_ms // MINUTE_MS)


def _minute(number: int) -> bytes:
    return min(max(0, number), _LAST_MINUTE).to_bytes(4)


def open_key(expires_at: int, note: bytes) -> bytes:
    """Keys of what expires earlier stand first."""
    return OPEN + _minute(expires_at // MINUTE_MS) + note


def note_of_open(key: bytes) -> tuple[int, bytes]:
    """Of an `open_key`: minute of expiry since the epoch, and name of the note."""
    return int.from_bytes(key[1:5]), key[5:]


def watched_key(expires_at: int, minute: int) -> bytes:
    """Keys of what expires earlier stand first. `minute`: since the epoch, of the due time."""
    return WATCHED + _minute(expires_at // MINUTE_MS) + _minute(minute)


def minute_of_watched(key: bytes) -> tuple[int, int]:
    """Of a `watched_key`: minutes of expiry and of the due time since the epoch."""
    return int.from_bytes(key[1:5]), int.from_bytes(key[5:9])


def list_key(created_at: int, note: bytes) -> bytes:
    """Keys of newer notes stand before those of older ones."""
    return LIST + (_LAST_MINUTE - min(max(0, created_at // MINUTE_MS), _LAST_MINUTE)).to_bytes(4) + note


def minute_of(key: bytes) -> int:
    """Minute since the epoch of a `list_key`."""
    return _LAST_MINUTE - int.from_bytes(key[1:5])


def forgotten_key(user: bytes) -> bytes:
    """Where it lies until when a user is forgotten: 8 bytes, milliseconds since the epoch."""
    return FORGOTTEN + user


def meta_key(topic: str) -> bytes:
    """Where the `Meta` of a topic lies."""
    return META + topic.encode()
