"""Receipts of broadcast `b-1` as readers hand them on, and what they were planned for."""

from __future__ import annotations

from typing import Any

from pushcast.model.words import Source
from pushcast.wire.receipt_reader import ReadReceipt, Section


def read_receipt(
    delivery: int | bytes, outcome: str = "accepted", run: int = 0, offset: int = 7, lane: str = "bulk", **fields: Any
) -> tuple[ReadReceipt, tuple[int, int]]:
    """One receipt, and partition and offset of its record."""
    id_ = delivery if isinstance(delivery, bytes) else delivery.to_bytes(16)
    known: dict[str, Any] = {"delivery": id_, "user": b"u-1", "app": "news", "device": "d"}
    known |= {"source": Source.WALK, "run": run, **fields}
    section = Section("apns", lane, "default", outcome, None)
    made = ReadReceipt(
        notification_id="b-1", section=section, provider_status=200, attempts=1, dry_run=False, created_at=0,
        ended_at=0, due_at=0, **known,
    )  # fmt: skip
    return made, (0, offset)
