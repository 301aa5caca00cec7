"""Receipts of deliveries, and reports of tokens that their provider calls dead."""

from __future__ import annotations

from collections.abc import Callable

from pushcast.model.batch import NO_LABEL, NO_NOTES
from pushcast.model.words import Platform
from pushcast.providers.port import Result
from pushcast.send.records import Job, Parcel
from pushcast.stream.ports import Barrier, Outbox
from pushcast.wire import topics
from pushcast.wire.counted import ended
from pushcast.wire.headers import LEDGER
from pushcast.wire.receipts import TokenInvalid, encode_token_invalid

#: Target, outcome, reason, the provider's id and HTTP status, and when it ended in milliseconds since the epoch.
Write = Callable[[int, str, str | None, str | None, int | None, int], None]
_RECEIPT: str = topics.RECEIPT


class Receipts:
    """Writes to the partition of the send record."""

    def __init__(self, outbox: Outbox, platform: Platform) -> None:
        self._outbox = outbox
        self._platform = platform

    def writing(self, parcel: Parcel, barrier: Barrier) -> Write:
        """A function that writes receipts of this message: what all of them need is looked up once."""
        message = parcel.message
        targets = message.targets
        notifications, delivery_ids = targets.notification, targets.delivery_id
        users, devices = targets.user, targets.device
        attempts, source_offsets = targets.attempt, targets.source_offset
        notification_ids, created_at = message.notification_ids, message.created_at
        partition = parcel.record.batch.partition
        prefix = parcel.record.ledger_prefix
        encode, put = parcel.writer.encode, self._outbox.put
        counted, app, klass = message.counted, message.app, message.klass
        notes, versions = message.notes, targets.app_version
        labelled = notes is not NO_NOTES and notes != NO_NOTES

        def write(
            target: int, outcome: str, reason: str | None, provider_id: str | None, status: int | None, ended_at: int
        ) -> None:
            notification = notifications[target]
            delivery_hex = delivery_ids[target].hex().encode()
            user = users[target].encode()
            value = encode(
                delivery_hex,
                notification_ids[notification].encode(),
                user,
                devices[target].encode(),
                outcome,
                reason,
                None if provider_id is None else provider_id.encode(),
                status,
                attempts[target],
                source_offsets[target],
                created_at[notification],
                ended_at,
                notes.label(notification) if labelled else NO_LABEL,
                None if versions is None else versions[target],
            )
            if counted:
                about = notification_ids[notification], app, klass, delivery_ids[target]
                put(barrier, topics.COUNTED, partition, ended(*about, outcome, reason, ended_at), user)
            put(barrier, _RECEIPT, partition, value, user, [(LEDGER, prefix + delivery_hex)])

        return write

    def report_token(self, job: Job, barrier: Barrier, result: Result, reason: str, now_ms: int) -> None:
        """For REGISTER, which decides what becomes of the device."""
        targets = job.parcel.message.targets
        target = result.target
        event = TokenInvalid(
            user=targets.user[target],
            app=job.parcel.app,
            device=targets.device[target],
            platform=self._platform,
            token_hash=targets.token_hash[target],
            reason=reason,
            provider_status=result.status,
            invalid_since=result.invalid_since,
            # Without the provider's time of sending: when it was handed over, which is earlier and so the safer bound.
            sent_at=result.sent_at or job.handed_at,
            at=result.answered_at or now_ms,
            delivery_id=targets.delivery_id[target].hex(),
        )
        self._outbox.put(
            barrier,
            topics.TOKEN_INVALID,
            job.parcel.record.batch.partition,
            encode_token_invalid(event),
            key=targets.user[target].encode(),
        )
