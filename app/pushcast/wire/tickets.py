"""Tickets: pushes that a provider took and tells about later. In columns, as send batches are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pushcast.model.errors import InvalidInput
from pushcast.model.ids import DELIVERY_ID_BYTES
from pushcast.model.words import Reason
from pushcast.wire.schemas import avro_type

#: A record holds at most so many. With ids of the greatest length they are below the topic's limit.
MAX_TICKETS = 1000
_MAX_ASKS = 2**31 - 2  # an Avro int, and one more is counted

_TYPE = avro_type("ticket_batch")
_COLUMNS = ("ticket_id", "user", "device", "token_hash", "delivery_id")


@dataclass(slots=True)
class TicketBatch:
    """Tickets of one app. `sent_at`: when the earliest push left, milliseconds since the epoch. `asks`: how often the
    provider was asked and knew none of these."""

    platform: str
    app: str
    sent_at: int
    asks: int = 0
    ticket_id: list[str] = field(default_factory=list)
    user: list[str] = field(default_factory=list)
    device: list[str] = field(default_factory=list)
    token_hash: list[bytes] = field(default_factory=list)
    delivery_id: list[bytes] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ticket_id)

    def add(self, ticket_id: str, user: str, device: str, token_hash: bytes, delivery_id: bytes) -> None:
        """One more push."""
        self.ticket_id.append(ticket_id)
        self.user.append(user)
        self.device.append(device)
        self.token_hash.append(token_hash)
        self.delivery_id.append(delivery_id)

    def picked(self, indices: Sequence[int], asks: int) -> TicketBatch:
        """These tickets alone."""
        columns = ([getattr(self, name)[index] for index in indices] for name in _COLUMNS)
        return TicketBatch(self.platform, self.app, self.sent_at, asks, *columns)


def encode_tickets(batch: TicketBatch) -> bytes:
    """Framed Avro for `push.ticket.<platform>.v1`."""
    return _TYPE.encode({name: getattr(batch, name) for name in TicketBatch.__dataclass_fields__})


def decode_tickets(value: bytes | None) -> TicketBatch:
    """Raises InvalidInput: no TicketBatch, columns of different lengths, more tickets than a record holds."""
    if value is None:
        raise InvalidInput(Reason.TOMBSTONE, "the record has no value; ticket topics take no tombstones")
    batch = TicketBatch(**_TYPE.decode(value))
    if {len(getattr(batch, name)) for name in _COLUMNS} != {len(batch)}:
        raise InvalidInput(Reason.INVALID_FIELD, "the columns of tickets differ in length", "ticket_id")
    if len(batch) > MAX_TICKETS:
        raise InvalidInput(Reason.TOO_LARGE, f"{len(batch)} tickets, a record holds at most {MAX_TICKETS}", "ticket_id")
    if any(len(delivery_id) != DELIVERY_ID_BYTES for delivery_id in batch.delivery_id):
        raise InvalidInput(Reason.INVALID_FIELD, f"a delivery id has not {DELIVERY_ID_BYTES} bytes", "delivery_id")
    if not 0 <= batch.asks <= _MAX_ASKS:
        raise InvalidInput(Reason.INVALID_FIELD, f"asks is not 0 to {_MAX_ASKS}", "asks")
    return batch
