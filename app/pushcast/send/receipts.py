"""Receipts of a parcel's targets, and reports of tokens that their provider calls dead."""

from __future__ import annotations

from collections.abc import Sequence

from pushcast.model.words import Platform
from pushcast.providers.port import Result
from pushcast.send.records import Job, Parcel
from pushcast.stream.ports import Barrier, Outbox
from pushcast.stream.receipts import DeadToken, Receipts, Write, report_token
from pushcast.wire.answers.receipt_writer import TargetEnd


class ParcelReceipts:
    """Writes to the partition of the send record."""

    def __init__(self, outbox: Outbox, platform: Platform) -> None:
        self._outbox = outbox
        self._platform = platform
        self._receipts = Receipts(outbox)

    def writing(self, parcel: Parcel, barrier: Barrier) -> Write:
        """A function that writes receipts of this message, each with the header of its entry in the ledger."""
        record = parcel.record
        prefix = record.ledger_prefix
        return self._receipts.writing(
            barrier, record.batch.partition, parcel.message, parcel.writer, ledger_prefix=prefix
        )

    def write_all(
        self, parcel: Parcel, barrier: Barrier, ends: Sequence[TargetEnd], outcome: str, reason: str | None
    ) -> None:
        """Writes receipts of targets that ended alike, as `writing` does it one by one."""
        record = parcel.record
        place = record.batch.partition, parcel.message, parcel.writer
        self._receipts.write_all(barrier, *place, ends, outcome, reason, record.ledger_prefix)

    def report_token(self, job: Job, barrier: Barrier, result: Result, reason: str, now_ms: int) -> None:
        """For REGISTER, which decides what becomes of the device."""
        parcel = job.parcel
        # Without the provider's time of sending: when it was handed over, which is earlier and so the safer bound.
        sent_at, at = result.sent_at or job.handed_at, result.answered_at or now_ms
        report_token(
            self._outbox,
            barrier,
            parcel.record.batch.partition,
            parcel.message.targets,
            result.target,
            app=parcel.app,
            platform=self._platform,
            dead=DeadToken(reason, result.status, result.invalid_since, sent_at, at),
        )
