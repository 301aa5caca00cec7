"""What apps told of deliveries (`push.engagement.v1`), joined with how those ended. Pure.

An event names a delivery and not the day of its creation, so what was told lies in 32-day buckets of its own time. A
delivery counts what was told from the day before its creation to 8 days after it. Event and receipt may come in either
order: each looks for the other, and both ways give the same sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from pushcast.model.ids import delivery_id
from pushcast.report import rows
from pushcast.report.notes import OPENED, RECEIVED, WITHIN_SECONDS, EndedSums, add, variant_key
from pushcast.report.rows import DAY_MS, Delivery
from pushcast.wire.events.engagement import Engagement, Event

BUCKET_MS: Final = 32 * DAY_MS
#: Days from creation to event that still belong together: a phone's clock may be slow, and it may have been off.
FIRST_DAY: Final = -1
LAST_DAY: Final = 8
Get = Callable[[bytes], bytes | None]


class Told(NamedTuple):
    """When an app first told it, within a bucket; milliseconds since the epoch, 0 for never."""

    received_at: int = 0
    opened_at: int = 0


class News(NamedTuple):
    """What an event says that is new of a delivery: rows to be written (None deletes), and what they change."""

    delivery: bytes
    writes: list[tuple[bytes, bytes | None]]
    changed: list[tuple[Delivery, Told, Told]]  # row of the delivery, told before, told now


NOTHING: Final = Told()
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Told)


def told_key(at_ms: int, owner: bytes, delivery: bytes) -> bytes:
    """Where a bucket's word on a delivery lies. `owner`: the user, or nobody where the user is forgotten."""
    return rows.ENGAGED + bucket_of(at_ms) + owner + b"\0" + delivery


def told_in(value: bytes) -> Told:
    """Of a row."""
    return _DECODER.decode(value)


def first_of(told: Told) -> int:
    """The earlier of the two times: it says whether the row belongs to the time before the user was forgotten."""
    return min(filter(None, told), default=0)


def bucket_of(at_ms: int) -> bytes:
    """Two bytes that rise with time, as far as they reach: whoever writes a notification says when it was created."""
    return min(max(0, at_ms // BUCKET_MS), 0xFFFF).to_bytes(2)


def first_bucket_of(created_at: int) -> bytes:
    """The first in which something may lie of deliveries that were created then or later."""
    return bucket_of(max(0, created_at + FIRST_DAY * DAY_MS))


def told_of(get: Get, user: bytes, until: int, delivery: bytes, created_at: int) -> Told:
    """What was told of a delivery within its days. `until`: when the user was forgotten, 0 for never."""
    days = (created_at + day * DAY_MS for day in (FIRST_DAY, LAST_DAY))
    found = NOTHING
    for key in {told_key(at, owner, delivery) for at in days for owner in _owners(user, until)}:
        value = get(key)
        if value is not None:
            found = _earliest(found, _within(_DECODER.decode(value), created_at))
    return found


def applied(get: Get, event: Engagement, until: int) -> Iterator[News]:
    """For each delivery of which the event says something new. What is to be written must be seen by `get` before the
    next is asked for."""
    if event.event not in (Event.RECEIVED, Event.OPENED) or event.app is None or event.device is None:
        return
    told = Told(event.at, 0) if event.event is Event.RECEIVED else Told(0, event.at)
    user = event.user.encode()
    for note_id in dict.fromkeys(event.ids):
        delivery = delivery_id(note_id, event.user, event.app, event.device)
        places = {
            told_key(event.at, owner, delivery): get(told_key(event.at, owner, delivery))
            for owner in _owners(user, until)
        }
        before = NOTHING
        for stored in places.values():
            before = before if stored is None else _earliest(before, _DECODER.decode(stored))
        now = _earliest(before, told)
        if now == before:
            continue
        place = told_key(event.at, b"" if first_of(now) <= until else user, delivery)
        writes: dict[bytes, bytes | None] = {key: None for key, stored in places.items() if stored is not None}
        writes[place] = _ENCODER.encode(now)
        later = _with(get, writes)
        changed = []
        for row_key in _candidates({*before, *now} - {0}, _owners(user, until), delivery):
            if (row := get(row_key)) is not None:
                found = rows.delivery_of(row)
                whose = user, until, delivery, found.created_at
                changed.append((found, told_of(get, *whose), told_of(later, *whose)))
        yield News(delivery, list(writes.items()), changed)


def is_of_a_delivery(get: Get, user: bytes, until: int, delivery: bytes, at: int) -> bool:
    """Whether an event of this time belongs to a delivery that is there."""
    return any(get(key) is not None for key in _candidates({at}, _owners(user, until), delivery))


def count(sums: EndedSums, due_at: int, told: Told, sign: int, variant: str | None) -> None:
    """Adds what was told of a delivery to the sums of its note, or takes it out. `variant`: of a split."""
    if variant is not None:
        for what, at in ((RECEIVED, told.received_at), (OPENED, told.opened_at)):
            if at:
                add(sums.variants, variant_key(variant, what), sign)
    if told.received_at:
        sums.received += sign
        for place, seconds in enumerate(WITHIN_SECONDS):
            sums.received_within[place] += sign * (told.received_at - due_at <= seconds * 1000)
    sums.opened += sign * bool(told.opened_at)


def _owners(user: bytes, until: int) -> tuple[bytes, ...]:
    return (user, b"") if until else (user,)


def _with(get: Get, writes: Mapping[bytes, bytes | None]) -> Get:
    return lambda asked: writes[asked] if asked in writes else get(asked)


def _candidates(times: set[int], owners: Sequence[bytes], delivery: bytes) -> Iterator[bytes]:
    days = {at // DAY_MS - day for at in times for day in range(FIRST_DAY, LAST_DAY + 1)}
    for day in sorted(days):
        for owner in owners:
            yield rows.delivery_key(day * DAY_MS, owner, delivery)


def _within(told: Told, created_at: int) -> Told:
    first, last = (created_at // DAY_MS + FIRST_DAY) * DAY_MS, (created_at // DAY_MS + LAST_DAY + 1) * DAY_MS
    return Told(*(at if first <= at < last else 0 for at in (told.received_at, told.opened_at)))


def _earliest(one: Told, other: Told) -> Told:
    return Told(
        min(filter(None, (one.received_at, other.received_at)), default=0),
        min(filter(None, (one.opened_at, other.opened_at)), default=0),
    )
