"""Receipts, planned records and invalid-token records: what Pushcast answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pushcast.model.words import Platform
from pushcast.wire.schemas import avro_type

_RECEIPT = avro_type("receipt")
_PLANNED = avro_type("planned")
_INVALID = avro_type("token_invalid")
PLATFORMS = tuple(str(platform) for platform in Platform)


class Receipt(NamedTuple):
    """The end of one delivery. Times are milliseconds since the epoch."""

    delivery_id: bytes
    notification_id: str
    user: str
    app: str | None
    device: str | None
    platform: str | None
    lane: str
    klass: str
    outcome: str
    reason: str | None
    provider_id: str | None
    provider_status: int | None
    attempts: int
    dry_run: bool
    run: int
    source_partition: int
    source_offset: int
    created_at: int
    ended_at: int
    replay_of: str | None = None


def encode_receipt(receipt: Receipt) -> bytes:
    """Framed Avro, flat, for `push.receipt.v1`."""
    datum = receipt._asdict()
    datum["delivery_id"] = receipt.delivery_id.hex()
    datum["class"] = receipt.klass
    return _RECEIPT.encode(datum)


def decode_receipt(value: bytes) -> dict[str, Any]:
    """The receipt's fields by their names in the schema. Raises InvalidInput."""
    return _RECEIPT.decode(value)


@dataclass(slots=True)
class Planned:
    """What became of the notifications of one handled batch, in columns."""

    lane: str
    run: int = 0
    source_offset: list[int] = field(default_factory=list)
    notification_id: list[str] = field(default_factory=list)
    platforms: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in PLATFORMS})
    other: list[int] = field(default_factory=list)
    reason: list[str] = field(default_factory=list)

    def add(
        self, offset: int, notification_id: str, counts: Mapping[str, int], other: int = 0, reason: str = ""
    ) -> None:
        """One notification. `counts`: deliveries per platform; `other`: receipts that the planner itself wrote."""
        self.source_offset.append(offset)
        self.notification_id.append(notification_id)
        for name, column in self.platforms.items():
            column.append(counts.get(name, 0))
        self.other.append(other)
        self.reason.append(reason)

    def __len__(self) -> int:
        return len(self.source_offset)

    def rows(self) -> Sequence[tuple[int, str, int, str]]:
        """(source offset, notification id, planned terminal receipts, reason) of each notification."""
        totals = map(sum, zip(*self.platforms.values(), self.other, strict=True))
        return list(zip(self.source_offset, self.notification_id, totals, self.reason, strict=True))


def encode_planned(planned: Planned, at_ms: int) -> bytes:
    """Framed Avro for `push.planned.v1`."""
    return _PLANNED.encode(
        {
            "lane": planned.lane,
            "run": planned.run,
            "source_offset": planned.source_offset,
            "notification_id": planned.notification_id,
            **planned.platforms,
            "other": planned.other,
            "reason": planned.reason,
            "at": at_ms,
        }
    )


def decode_planned(value: bytes) -> Planned:
    """Raises InvalidInput."""
    datum = _PLANNED.decode(value)
    return Planned(
        datum["lane"],
        datum["run"],
        datum["source_offset"],
        datum["notification_id"],
        {name: datum[name] for name in PLATFORMS},
        datum["other"],
        datum["reason"],
    )


class TokenInvalid(NamedTuple):
    """A provider's word that a token is no more. Times are milliseconds since the epoch."""

    user: str
    app: str
    device: str
    platform: str
    token_hash: bytes
    reason: str
    provider_status: int | None
    invalid_since: int | None  # the provider's own time
    sent_at: int
    at: int
    delivery_id: str


def encode_token_invalid(event: TokenInvalid) -> bytes:
    """Framed Avro for `push.token.invalid.v1`."""
    return _INVALID.encode(event._asdict())


def decode_token_invalid(value: bytes) -> TokenInvalid:
    """Raises InvalidInput."""
    return TokenInvalid(**_INVALID.decode(value))
