"""How every stage writes a receipt, and what goes with it: the record that frequency caps count, the report of a token.

SEND and SETTLE end targets of send batches (`Receipts`); PLAN ends notifications without a device (`receipt_of`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from pushcast.model.batch import NO_LABEL, NO_NOTES, Message
from pushcast.model.ids import broadcast_delivery_id, delivery_id, device_row_key
from pushcast.model.notification import Notification
from pushcast.stream.ports import Barrier, Outbox, putting_many
from pushcast.wire import topics
from pushcast.wire.answers.counted import ended
from pushcast.wire.answers.receipt_writer import ReceiptWriter, TargetEnd
from pushcast.wire.answers.receipts import Receipt, TokenInvalid, encode_token_invalid
from pushcast.wire.headers import LEDGER, Headers
from pushcast.wire.schemas import NEWEST_GENERATION

#: Target, outcome, reason, the provider's id and HTTP status, and when it ended in milliseconds since the epoch.
Write = Callable[[int, str, str | None, str | None, int | None, int], None]
_RECEIPT: Final[str] = topics.RECEIPT
_MAX_WRITERS: Final = 1024


class SentFrom(NamedTuple):
    """Where a delivery's source record came from: with its offset, the account. `run`: resends by `dlq redrive`."""

    platform: str
    lane: str
    run: int
    source: int
    partition: int


class ReceiptWriters:
    """A fast writer for each kind of message, up to a bound. `generation`: `schemas.write`."""

    def __init__(self, generation: int = NEWEST_GENERATION) -> None:
        self._generation = generation
        self._writers: dict[tuple[SentFrom, str, str, bool], ReceiptWriter] = {}

    def of(self, origin: SentFrom, message: Message) -> ReceiptWriter:
        """For the receipts of this message."""
        dry_run = message.options.dry_run
        key = (origin, message.app, message.klass, dry_run)
        writer = self._writers.get(key)
        if writer is None:
            if len(self._writers) >= _MAX_WRITERS:
                self._writers.clear()
            writer = self._writers[key] = ReceiptWriter(
                app=message.app,
                klass=message.klass,
                platform=origin.platform,
                lane=origin.lane,
                dry_run=dry_run,
                run=origin.run,
                source_partition=origin.partition,
                source=origin.source,
                generation=self._generation,
            )
        return writer


class Receipts:
    """Puts receipts of targets into the partition of their send record."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._put_many = putting_many(outbox)

    def write_all(
        self,
        barrier: Barrier,
        partition: int,
        message: Message,
        writer: ReceiptWriter,
        ends: Sequence[TargetEnd],
        outcome: str,
        reason: str | None,
        ledger_prefix: bytes,
    ) -> None:
        """Writes receipts of targets of this message that ended alike, each with the header of its entry in the ledger:
        as `writing` does it one by one (tests/laws/test_receipts_together.py)."""
        records = None if message.counted else writer.encode_all(message, ends, outcome, reason, ledger_prefix)
        if records is not None:
            self._put_many(barrier, _RECEIPT, partition, records)
            return
        write = self.writing(barrier, partition, message, writer, ledger_prefix=ledger_prefix)
        for target, provider_id, status, ended_at in ends:
            write(target, outcome, reason, provider_id, status, ended_at)

    def writing(
        self,
        barrier: Barrier,
        partition: int,
        message: Message,
        writer: ReceiptWriter,
        headers: Headers | None = None,
        ledger_prefix: bytes | None = None,
    ) -> Write:
        """A function that writes receipts of this message: what all of them need is looked up once.

        `headers`: of each receipt. With a `ledger_prefix` each has the header of its entry in the ledger instead.
        """
        targets = message.targets
        notifications, delivery_ids = targets.notification, targets.delivery_id
        users, devices = targets.user, targets.device
        attempts, source_offsets = targets.attempt, targets.source_offset
        notification_ids, created_at = message.notification_ids, message.created_at
        encode, put = writer.encode, self._outbox.put
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
            own = headers if ledger_prefix is None else [(LEDGER, ledger_prefix + delivery_hex)]
            put(barrier, _RECEIPT, partition, value, user, own)

        return write


class SourcePlace(NamedTuple):
    """The source record of a notification."""

    lane: str
    source: int
    partition: int
    offset: int


class EndOfNote(NamedTuple):
    """How a notification ended that has no device. `at`: milliseconds since the epoch."""

    outcome: str
    reason: str | None
    at: int
    provider_id: str | None = None  # of the digest that it left in


def receipt_of(note: Notification, account: SourcePlace, end: EndOfNote) -> Receipt:
    """Of a notification that ends before it has a device."""
    ended = delivery_id(note.id, note.user, note.app or "", "")
    if note.broadcast is not None:
        ended = broadcast_delivery_id(note.id, device_row_key(note.user, note.app or "", ""))
    return Receipt(
        delivery_id=ended,
        notification_id=note.id,
        user=note.user,
        app=note.app,
        device=None,
        platform=None,
        lane=account.lane,
        klass=note.klass,
        outcome=end.outcome,
        reason=end.reason,
        provider_id=end.provider_id,
        provider_status=None,
        attempts=0,
        dry_run=note.options.dry_run,
        run=0,
        source_partition=account.partition,
        source_offset=account.offset,
        created_at=note.created_at,
        ended_at=end.at,
        source=account.source,
        due_at=None if note.timing is None else note.due_at,
        campaign=note.campaign,
        replay_of=note.replay_of,
        variant=None if note.broadcast is None else note.broadcast.variant,
    )


class Addressed(Protocol):
    """Columns that say whose device a delivery was for: targets of a message, or tickets."""

    @property
    def user(self) -> Sequence[str]: ...
    @property
    def device(self) -> Sequence[str]: ...
    @property
    def token_hash(self) -> Sequence[bytes]: ...
    @property
    def delivery_id(self) -> Sequence[bytes]: ...


class DeadToken(NamedTuple):
    """What a provider said of a token. Times are milliseconds since the epoch."""

    reason: str
    status: int | None
    invalid_since: int | None  # the provider's own time
    sent_at: int  # when it was sent at the latest: what was registered later is another token
    at: int


def report_token(
    outbox: Outbox,
    barrier: Barrier,
    partition: int,
    columns: Addressed,
    index: int,
    *,
    app: str,
    platform: str,
    dead: DeadToken,
) -> None:
    """Tells REGISTER, which decides what becomes of the device."""
    user = columns.user[index]
    event = TokenInvalid(
        user=user,
        app=app,
        device=columns.device[index],
        platform=platform,
        token_hash=columns.token_hash[index],
        reason=dead.reason,
        provider_status=dead.status,
        invalid_since=dead.invalid_since,
        sent_at=dead.sent_at,
        at=dead.at,
        delivery_id=columns.delivery_id[index].hex(),
    )
    outbox.put(barrier, topics.TOKEN_INVALID, partition, encode_token_invalid(event), user.encode())
