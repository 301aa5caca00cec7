"""Receipts of a broadcast as they are read, with the place of its order."""

from __future__ import annotations

from typing import Any

from pushcast.model.words import Source
from pushcast.wire.answers.receipt_reader import ReadReceipt, Section


def placed(
    delivery: int | bytes, outcome: str = "accepted", run: int = 0, offset: int = 7, lane: str = "bulk", **fields: Any
) -> tuple[ReadReceipt, tuple[int, int]]:
    """Of broadcast `b-1`, whose order lies at `offset` of partition 0."""
    id_ = delivery if isinstance(delivery, bytes) else delivery.to_bytes(16)
    known: dict[str, Any] = {"delivery": id_, "user": b"u-1", "app": "news", "device": "d"}
    known |= {"source": Source.WALK, "run": run, **fields}
    section = Section("apns", lane, "default", outcome, None)
    made = ReadReceipt(
        notification_id="b-1", section=section, provider_status=200, attempts=1, dry_run=False, created_at=0,
        ended_at=0, due_at=0, **known,
    )  # fmt: skip
    return made, (0, offset)
