"""Records of `push.recallable.v1`: deliveries that their push service takes back on request."""

from __future__ import annotations

from typing import Final, NamedTuple

from pushcast.wire.schemas import NEWEST_GENERATION, avro_type, written_type

#: Instead of an outcome: it may have arrived, and is tried again or ends as `dead`.
DOUBTFUL_PUSH: Final = "doubtful"
_OFFER: Final = avro_type("recall_offer")


class RecallOffer(NamedTuple):
    """How one delivery ended; `thread` and what follows: of its notification. Times in milliseconds since the epoch."""

    delivery_id: str
    notification_id: str
    app: str
    device: str
    platform: str
    outcome: str
    provider_id: str | None
    at: int
    thread: str | None = None
    created_at: int | None = None
    campaign: str | None = None
    tag: str | None = None  # what a browser knows it by, where a removal replaces it


def encode_offer(offer: RecallOffer, generation: int = NEWEST_GENERATION) -> bytes:
    """Value of a record."""
    return written_type("recall_offer", generation).encode(offer._asdict())


def decode_offer(value: bytes) -> RecallOffer:
    """Raises InvalidInput: only senders write them."""
    return RecallOffer(**_OFFER.decode(value))
