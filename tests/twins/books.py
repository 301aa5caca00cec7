"""Records of the books for the reports' tests: planned rows, legs and receipts, as the stages write them."""

from __future__ import annotations

from typing import Any

from pushcast.model.ids import delivery_id
from pushcast.model.words import Source
from pushcast.report.apply import Entry
from pushcast.wire import headers as h
from pushcast.wire.legs import Leg, encode_leg
from pushcast.wire.receipts import Facts, Planned, Receipt, encode_planned, encode_receipt

CREATED_MS = 1_790_000_000_000
DAY_MS = 86_400_000


def planned(
    *notes: tuple[int, str, dict[str, int], str],
    run: int = 0,
    created_at: int = CREATED_MS,
    source: int = Source.NOTIFICATION,
    held: int = 0,
) -> bytes:
    """(offset, id, deliveries by platform, reason) of each."""
    record = Planned("normal", run, source)
    for offset, note, counts, reason in notes:
        facts = Facts("news", "breaking", created_at, created_at, created_at + DAY_MS, False, "xmas", held)
        record.add(offset, note, counts, 1 if reason and not held else 0, reason, facts)
    return encode_planned(record, created_at + 5)


def receipt(note: str, user: str, device: str, outcome: str = "accepted", **more: Any) -> bytes:
    """One delivery on APNs unless told otherwise, accepted after 100 ms."""
    fields: dict[str, Any] = {
        "delivery_id": delivery_id(note, user, "news", device),
        "notification_id": note,
        "user": user,
        "app": "news",
        "device": device,
        "platform": "apns",
        "lane": "normal",
        "klass": "breaking",
        "outcome": outcome,
        "reason": None if outcome == "accepted" else "provider_error",
        "provider_id": None,
        "provider_status": 200,
        "attempts": 1,
        "dry_run": False,
        "run": 0,
        "source_partition": 0,
        "source_offset": 0,
        "created_at": CREATED_MS,
        "ended_at": CREATED_MS + 100,
    }
    return encode_receipt(Receipt(**fields | more))


def leg(broadcast: str, number: int, apns: int, last: bool = False, **more: Any) -> bytes:
    """A leg of the walk of order 0."""
    return encode_leg(
        Leg("bulk", 0, broadcast, number, "", "u", CREATED_MS, CREATED_MS, apns=apns, matched=apns, last=last, **more)
    )


def walked(broadcast: str, user: str, device: str, outcome: str = "accepted") -> bytes:
    """A receipt of a broadcast."""
    return receipt(broadcast, user, device, outcome, source=Source.WALK, lane="bulk")


def entries(*values: bytes | None, first: int = 0) -> list[Entry]:
    """Records in the order of a log, from this offset on."""
    return [Entry(first + place, value) for place, value in enumerate(values)]


def by(origin: str, epoch: int, fence: bool = False) -> list[tuple[str, bytes]]:
    """Headers of a record of this writer."""
    found = [(h.ORIGIN, origin.encode()), (h.EPOCH, b"%d" % epoch)]
    return [*found, (h.FENCE, b"1")] if fence else found
