"""Tickets of pushes that their provider took: written beside the receipts, for whoever asks it later."""

from __future__ import annotations

from pushcast.model.words import Lane, Platform
from pushcast.send.records import Parcel
from pushcast.stream.ports import Barrier, Outbox
from pushcast.wire import topics
from pushcast.wire.schemas import NEWEST_GENERATION
from pushcast.wire.sending.tickets import TicketAccount, TicketBatch, encode_tickets

#: In one record: as many receipts as Expo's own SDK asks for at a time.
TICKETS_PER_RECORD = 300
#: Expo's are UUIDs. A longer one is not followed up: the record must fit its topic whatever a provider sends.
MAX_TICKET_ID_CHARS = 256


class Tickets:
    """Collects tickets of one flush and writes a record for each partition and app, in their order."""

    def __init__(self, outbox: Outbox, platform: Platform, lane: Lane, generation: int = NEWEST_GENERATION) -> None:
        """`generation`: `schemas.write`."""
        self._outbox = outbox
        self._generation = generation
        self._platform = platform
        self._lane = str(lane)
        self._topic = topics.ticket(platform)
        self._batches: dict[tuple[int, str], TicketBatch] = {}

    def add(self, barrier: Barrier, parcel: Parcel, target: int, ticket_id: str, sent_at: int) -> None:
        """`sent_at` in milliseconds since the epoch."""
        if len(ticket_id) > MAX_TICKET_ID_CHARS:
            return
        key = (parcel.record.batch.partition, parcel.app)
        batch = self._batches.get(key)
        if batch is None:
            batch = self._batches[key] = TicketBatch(str(self._platform), parcel.app, sent_at, lane=self._lane)
        batch.sent_at = min(batch.sent_at, sent_at)
        message, targets = parcel.message, parcel.message.targets
        notification = targets.notification[target]
        batch.add(
            ticket_id,
            targets.user[target],
            targets.device[target],
            targets.token_hash[target],
            targets.delivery_id[target],
            TicketAccount(message.notification_ids[notification], parcel.record.source, targets.source_offset[target]),
            message.notes.label(notification),
        )
        if len(batch) >= TICKETS_PER_RECORD:
            self._write(barrier, key[0], self._batches.pop(key))

    def put(self, barrier: Barrier) -> None:
        """Writes what is collected."""
        for (partition, _), batch in self._batches.items():
            self._write(barrier, partition, batch)
        self._batches.clear()

    def _write(self, barrier: Barrier, partition: int, batch: TicketBatch) -> None:
        self._outbox.put(barrier, self._topic, partition, encode_tickets(batch, self._generation), batch.app.encode())
