"""What apps told of deliveries (`push.engagement.v1`), joined with how those ended. Pure.

An event names a delivery and not the day of its creation, so what was told lies in 32-day buckets of its own time. A
delivery counts what was told from the day before its creation to 8 days after it. Event and receipt may come in either
order: each looks for the other, and both ways give the same sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import msgspec

from pushcast.model.ids import delivery_id
from pushcast.report import rows
from pushcast.report.notes import WITHIN_SECONDS, Note
from pushcast.report.rows import DAY_MS, Delivery
from pushcast.wire.engagement import Engagement, Event

BUCKET_MS: Final = 32 * DAY_MS
#: Days from creation to event that still belong together: a phone's clock may be slow, and it may have been off.
FIRST_DAY: Final = -1
LAST_DAY: Final = 8
Get = Callable[[bytes], bytes | None]


class Told(NamedTuple):
    """When an app first told it, within a bucket; milliseconds since the epoch, 0 for never."""

    received_at: int = 0
    opened_at: int = 0


NOTHING: Final = Told()
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Told)


def told_key(at_ms: int, user: str, delivery: bytes) -> bytes:
    """Where a bucket's word on a delivery lies."""
    return rows.ENGAGED + bucket_of(at_ms) + user.encode() + b"\0" + delivery


def bucket_of(at_ms: int) -> bytes:
    """Two bytes that rise with time."""
    return (at_ms // BUCKET_MS).to_bytes(2)


def first_bucket_of(created_at: int) -> bytes:
    """The first in which something may lie of deliveries that were created then or later."""
    return bucket_of(max(0, created_at + FIRST_DAY * DAY_MS))


def told_of(get: Get, user: str, delivery: bytes, created_at: int) -> Told:
    """What was told of a delivery within its days."""
    keys = {told_key(created_at + day * DAY_MS, user, delivery) for day in (FIRST_DAY, LAST_DAY)}
    found = NOTHING
    for key in keys:
        value = get(key)
        if value is not None:
            found = _earliest(found, _within(_DECODER.decode(value), created_at))
    return found


def applied(get: Get, event: Engagement) -> Iterator[tuple[bytes, bytes, list[tuple[bytes, Told, Told]]]]:
    """For each delivery of which the event says something new: (key, value) to put, and what that changes.

    A change is (key of the delivery's row, told before, told now), of each row that is there. What is put must be seen
    by `get` before the next is asked for.
    """
    if event.event not in (Event.RECEIVED, Event.OPENED) or event.app is None or event.device is None:
        return
    news = Told(event.at, 0) if event.event is Event.RECEIVED else Told(0, event.at)
    for note_id in dict.fromkeys(event.ids):
        delivery = delivery_id(note_id, event.user, event.app, event.device)
        key = told_key(event.at, event.user, delivery)
        stored = get(key)
        before = NOTHING if stored is None else _DECODER.decode(stored)
        now = _earliest(before, news)
        if now == before:
            continue
        value = _ENCODER.encode(now)
        changes = []
        later = _with(get, key, value)
        for row_key in _candidates({*before, *now} - {0}, event.user, delivery):
            if (row := get(row_key)) is not None:
                whose = event.user, delivery, rows.delivery_of(row).created_at
                changes.append((row_key, told_of(get, *whose), told_of(later, *whose)))
        yield key, value, changes


def count(note: Note, delivery: Delivery, told: Told, sign: int) -> None:
    """Adds what was told of a delivery to the sums of its note, or takes it out."""
    if told.received_at:
        note.received += sign
        for place, seconds in enumerate(WITHIN_SECONDS):
            note.received_within[place] += sign * (told.received_at - delivery.due_at <= seconds * 1000)
    note.opened += sign * bool(told.opened_at)


def _with(get: Get, key: bytes, value: bytes) -> Get:
    return lambda asked: value if asked == key else get(asked)


def _candidates(times: set[int], user: str, delivery: bytes) -> Iterator[bytes]:
    days = {at // DAY_MS - day for at in times for day in range(FIRST_DAY, LAST_DAY + 1)}
    for day in sorted(days):
        yield rows.delivery_key(day * DAY_MS, user, delivery)


def _within(told: Told, created_at: int) -> Told:
    first, last = (created_at // DAY_MS + FIRST_DAY) * DAY_MS, (created_at // DAY_MS + LAST_DAY + 1) * DAY_MS
    return Told(*(at if first <= at < last else 0 for at in (told.received_at, told.opened_at)))


def _earliest(one: Told, other: Told) -> Told:
    return Told(
        min(filter(None, (one.received_at, other.received_at)), default=0),
        min(filter(None, (one.opened_at, other.opened_at)), default=0),
    )
