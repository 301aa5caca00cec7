"""Records of `push.recallable.v1`: deliveries that their push service takes back on request."""

from __future__ import annotations

from typing import Final, NamedTuple

from pushcast.wire.schemas import avro_type

_OFFER: Final = avro_type("recall_offer")


class RecallOffer(NamedTuple):
    """How one delivery ended. `at`: milliseconds since the epoch."""

    delivery_id: str
    notification_id: str
    app: str
    device: str
    platform: str
    outcome: str
    provider_id: str | None
    at: int


def encode_offer(offer: RecallOffer) -> bytes:
    """Value of a record."""
    return _OFFER.encode(offer._asdict())


def decode_offer(value: bytes) -> RecallOffer:
    """Raises InvalidInput: only senders write them."""
    return RecallOffer(**_OFFER.decode(value))
