"""Records of the books for the reports' tests: planned rows, legs and receipts, as the stages write them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pushcast.model.ids import delivery_id
from pushcast.model.words import Source
from pushcast.report import rows
from pushcast.report.apply import BookEntry, apply
from pushcast.report.events import WITHOUT_REGISTRY, EventDecoders
from pushcast.report.notes import Kind, Note, joined, note_hash
from pushcast.report.slo import Seen
from pushcast.wire import headers as h
from pushcast.wire.answers.legs import Leg, encode_leg
from pushcast.wire.answers.receipts import Planned, PlannedFacts, Receipt, encode_planned, encode_receipt
from pushcast.wire.events.engagement import Engagement, Event, encode_engagement

CREATED_MS = 1_790_000_000_000
DAY_MS = 86_400_000


class Rows(dict[bytes, bytes]):
    """A store in memory."""

    def __init__(self, events: EventDecoders = WITHOUT_REGISTRY) -> None:
        super().__init__()
        self._events = events

    def apply(self, topic: str, records: Sequence[BookEntry]) -> Seen:
        seen: Seen = []
        for key, value in apply(self, topic, records, seen=seen, events=self._events).items():
            if value is None:
                self.pop(key, None)
            else:
                self[key] = value
        return seen

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.get(key) for key in keys]

    def scan(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return ((key, self[key]) for key in sorted(self) if key >= start and key.startswith(prefix))

    def note(self, note_id: str, kind: Kind = "notification") -> Note:
        name = note_hash(kind, note_id)
        found = joined(self.get(rows.note_key(name)), self.get(rows.ended_key(name)))
        assert found is not None
        return found

    def meta(self, topic: str) -> rows.Meta:
        return rows.meta_of(self[rows.meta_key(topic)])


def planned(
    *notes: tuple[int, str, dict[str, int], str],
    run: int = 0,
    created_at: int = CREATED_MS,
    source: int = Source.NOTIFICATION,
    held: int = 0,
    app: str = "news",
    klass: str = "breaking",
    ttl_ms: int = DAY_MS,
) -> bytes:
    """(offset, id, deliveries by platform, reason) of each."""
    record = Planned("normal", run, source)
    for offset, note, counts, reason in notes:
        facts = PlannedFacts(app, klass, created_at, created_at, created_at + ttl_ms, False, "xmas", held)
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


def walked(broadcast: str, user: str, device: str, outcome: str = "accepted", **more: Any) -> bytes:
    """A receipt of a broadcast."""
    return receipt(broadcast, user, device, outcome, source=Source.WALK, lane="bulk", **more)


def engagement(event: str, note: str, user: str, device: str, at: int, offset: int = 0) -> BookEntry:
    """What the user's app told."""
    told = Engagement(Event(event), user, (note,), "news", device, None, None, None, at)
    return BookEntry(offset, encode_engagement(told), key=user.encode(), timestamp_ms=at)


def entries(*values: bytes | None, first: int = 0) -> list[BookEntry]:
    """Records in the order of a log, from this offset on."""
    return [BookEntry(first + place, value) for place, value in enumerate(values)]


def by(origin: str, epoch: int, fence: bool = False) -> list[tuple[str, bytes]]:
    """Headers of a record of this writer."""
    found = [(h.ORIGIN, origin.encode()), (h.EPOCH, b"%d" % epoch)]
    return [*found, (h.FENCE, b"1")] if fence else found
