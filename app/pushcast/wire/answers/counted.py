"""Records of `push.counted.v1`: the keeper learns from them whether a notification keeps its slots."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec

from pushcast.model.caps import Ended, SlotPlanned, slot_id
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Outcome, Reason
from pushcast.wire.schemas import avro_type

_COUNTED: Final = avro_type("counted")
_ABOUT_BYTES: Final = 8


class Counted(msgspec.Struct, frozen=True):
    """`about`: 8 bytes of the account that was planned, or of the delivery that ended (`planned` None)."""

    notification_id: str
    app: str
    klass: str
    about: bytes
    at: int
    planned: int | None = None
    accepted: bool = False

    @property
    def word(self) -> SlotPlanned | Ended:
        """The same for those who count."""
        name = slot_id(self.notification_id)
        if self.planned is not None:
            return SlotPlanned(name, self.about, self.planned)
        return Ended(name, self.about, self.accepted, self.at, self.klass, self.app)


def account_of(lane: str, partition: int, source: int, offset: int) -> bytes:
    """8 bytes that stand for an account: copies of a record are one."""
    return blake2b(f"{lane}|{partition}|{source}|{offset}".encode(), digest_size=_ABOUT_BYTES).digest()


def ended(
    notification_id: str, app: str, klass: str, delivery: bytes, outcome: str, reason: str | None, at: int
) -> bytes:
    """Value of a record of a delivery that ended."""
    accepted = outcome == Outcome.ACCEPTED or reason == Reason.UNKNOWN_OUTCOME
    return encode_counted(Counted(notification_id, app, klass, delivery[:_ABOUT_BYTES], at, accepted=accepted))


def encode_counted(counted: Counted) -> bytes:
    """Framed Avro."""
    return _COUNTED.encode(msgspec.structs.asdict(counted))


def decode_counted(value: bytes | None) -> Counted:
    """Raises InvalidInput."""
    if value is None:
        raise InvalidInput(Reason.TOMBSTONE, "a null value means nothing here")
    counted = Counted(**_COUNTED.decode(value))
    if len(counted.about) != _ABOUT_BYTES or (counted.planned or 0) < 0:
        raise InvalidInput(Reason.INVALID_FIELD, f"about has {_ABOUT_BYTES} bytes, and planned is not below 0", "about")
    return counted
