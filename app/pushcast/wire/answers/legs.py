"""Legs: how far a walk over one partition's devices has come, and what it planned on the way."""

from __future__ import annotations

from typing import Final

import msgspec

from pushcast.model.words import Source
from pushcast.wire.headers import Headers
from pushcast.wire.schemas import avro_type
from pushcast.wire.sending.retries import number

_TYPE = avro_type("leg")
#: On a leg: about how many rows the partition has, decimal. Absent: not known. A header, because it is a guess that
#: decides nothing.
ROWS: Final = "push-rows"
_MOST_ROWS: Final = 2**53


class Leg(msgspec.Struct, frozen=True):
    """One record of `push.walked.v1`. Times are milliseconds since the epoch."""

    lane: str
    source_offset: int  # of the order; its partition is the record's own
    broadcast: str
    leg: int
    from_user: str  # the leg begins behind this user; empty: at the start of the partition
    to_user: str  # the last user of the leg
    elapsed_from: int  # Kafka time of the order: what the pace counts from
    at: int
    source: int = Source.WALK
    rows_before: int = 0
    scanned: int = 0
    matched: int = 0
    apns: int = 0
    fcm: int = 0
    expo: int = 0
    webpush: int = 0
    held: int = 0
    held_out: int = 0
    other: int = 0
    reasons: dict[str, int] = {}
    variants: dict[str, int] = {}
    step: int = 0
    last: bool = False
    count_only: bool = False
    reason: str | None = None
    users: int = 0  # with a delivery
    expires_at: int = 0  # of the broadcast; 0: not known

    @property
    def planned(self) -> int:
        """Deliveries on all platforms."""
        return self.apns + self.fcm + self.expo + self.webpush


def leg_headers(origin: Headers, rows: int) -> Headers:
    """Of a record. `rows`: of the partition, about; 0: not known."""
    return [*origin, (ROWS, b"%d" % rows)] if rows else list(origin)


def rows_of(headers: Headers) -> int:
    """About how many rows the partition of a leg has; 0: not known. Raises InvalidInput."""
    return number(headers, ROWS, _MOST_ROWS) or 0


def encode_leg(leg: Leg) -> bytes:
    """Framed Avro."""
    return _TYPE.encode(msgspec.structs.asdict(leg))


def decode_leg(value: bytes) -> Leg:
    """Raises InvalidInput."""
    return Leg(**_TYPE.decode(value))
