"""Tickets: pushes that a provider took and tells about later. In columns, as send batches are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from pushcast.model.batch import NO_LABEL, ReceiptLabel
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import DELIVERY_ID_BYTES
from pushcast.model.words import Reason
from pushcast.wire.schemas import NEWEST_GENERATION, avro_type, written_type

#: A record holds at most so many. With ids of the greatest length they are below the topic's limit.
MAX_TICKETS = 1000
_MAX_ASKS = 2**31 - 2  # an Avro int, and one more is counted

_TYPE = avro_type("ticket_batch")
_COLUMNS: Final = ("ticket_id", "user", "device", "token_hash", "delivery_id")
#: The accounts of the pushes, and what reports sort them by: absent in records of the first version.
_ACCOUNT_COLUMNS: Final = ("notification_id", "source", "source_offset")
_LABEL_COLUMNS: Final = ("campaign", "variant")


class TicketAccount(NamedTuple):
    """Where a push is accounted, beside its lane and partition."""

    notification_id: str
    source: int
    source_offset: int


@dataclass(slots=True)
class TicketBatch:
    """Tickets of one app. `sent_at`: when the earliest push left, milliseconds since the epoch. `asks`: how often the
    provider was asked and knew none of these.

    The columns behind `delivery_id` are empty in a batch of the first version of the schema, which says no accounts.
    """

    platform: str
    app: str
    sent_at: int
    asks: int = 0
    ticket_id: list[str] = field(default_factory=list)
    user: list[str] = field(default_factory=list)
    device: list[str] = field(default_factory=list)
    token_hash: list[bytes] = field(default_factory=list)
    delivery_id: list[bytes] = field(default_factory=list)
    lane: str = ""
    notification_id: list[str] = field(default_factory=list)
    source: list[int] = field(default_factory=list)
    source_offset: list[int] = field(default_factory=list)
    campaign: list[str | None] | None = None
    variant: list[str | None] | None = None

    def __len__(self) -> int:
        return len(self.ticket_id)

    def add(
        self,
        ticket_id: str,
        user: str,
        device: str,
        token_hash: bytes,
        delivery_id: bytes,
        account: TicketAccount | None = None,
        label: ReceiptLabel = NO_LABEL,
    ) -> None:
        """One more push. Of one batch either all pushes say their account or none."""
        self.ticket_id.append(ticket_id)
        self.user.append(user)
        self.device.append(device)
        self.token_hash.append(token_hash)
        self.delivery_id.append(delivery_id)
        if account is not None:
            self.notification_id.append(account.notification_id)
            self.source.append(account.source)
            self.source_offset.append(account.source_offset)
        self.campaign = _with(self.campaign, label.campaign, len(self))
        self.variant = _with(self.variant, label.variant, len(self))

    def picked(self, indices: Sequence[int], asks: int) -> TicketBatch:
        """These tickets alone."""
        columns: dict[str, Any] = {
            name: [column[index] for index in indices] if (column := getattr(self, name)) else column
            for name in (*_COLUMNS, *_ACCOUNT_COLUMNS, *_LABEL_COLUMNS)
        }
        return replace(self, asks=asks, **columns)


def _with(column: list[str | None] | None, value: str | None, length: int) -> list[str | None] | None:
    """The column with one more value; none at all while nothing has one."""
    if column is None and value is not None:
        column = [None] * (length - 1)
    if column is not None:
        column.append(value)
    return column


def encode_tickets(batch: TicketBatch, generation: int = NEWEST_GENERATION) -> bytes:
    """Framed Avro for `push.ticket.<platform>.v1`. Generation 1 leaves the accounts out."""
    return written_type("ticket_batch", generation).encode(
        {name: getattr(batch, name) for name in TicketBatch.__dataclass_fields__}
    )


def decode_tickets(value: bytes | None) -> TicketBatch:
    """Raises InvalidInput: no TicketBatch, columns of different lengths, more tickets than a record holds."""
    if value is None:
        raise InvalidInput(Reason.TOMBSTONE, "the record has no value; ticket topics take no tombstones")
    batch = TicketBatch(**_TYPE.decode(value))
    optional = [column for name in (*_ACCOUNT_COLUMNS, *_LABEL_COLUMNS) if (column := getattr(batch, name))]
    if {len(column) for column in (*(getattr(batch, name) for name in _COLUMNS), *optional)} != {len(batch)}:
        raise InvalidInput(Reason.INVALID_FIELD, "the columns of tickets differ in length", "ticket_id")
    if len(batch) > MAX_TICKETS:
        raise InvalidInput(Reason.TOO_LARGE, f"{len(batch)} tickets, a record holds at most {MAX_TICKETS}", "ticket_id")
    if any(len(delivery_id) != DELIVERY_ID_BYTES for delivery_id in batch.delivery_id):
        raise InvalidInput(Reason.INVALID_FIELD, f"a delivery id has not {DELIVERY_ID_BYTES} bytes", "delivery_id")
    if not 0 <= batch.asks <= _MAX_ASKS:
        raise InvalidInput(Reason.INVALID_FIELD, f"asks is not 0 to {_MAX_ASKS}", "asks")
    return batch
