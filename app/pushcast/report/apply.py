"""Records of the books applied to the rows of one partition. Pure: the rows are asked, what changes is returned."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec

from pushcast.handover.fences import author_of
from pushcast.model.errors import InvalidInput
from pushcast.report import engaged, forgotten, rows
from pushcast.report.ending import take_receipts
from pushcast.report.events import WITHOUT_REGISTRY, EventDecoders
from pushcast.report.modes import EVERYTHING, Modes
from pushcast.report.notes import add, kind_of
from pushcast.report.pending import PendingRows, StoredRows
from pushcast.report.planning import PlannedRecord, take_legs, take_planned
from pushcast.report.rows import Meta
from pushcast.report.slo import Seen
from pushcast.report.unmatched import Unmatched
from pushcast.wire import topics
from pushcast.wire.answers.legs import decode_leg
from pushcast.wire.answers.planned_reader import read_planned
from pushcast.wire.answers.receipts_together import read_receipts
from pushcast.wire.events.engagement import Engagement
from pushcast.wire.headers import LEDGER, Headers
from pushcast.wire.keys import user_of
from pushcast.wire.newer import waited_for

BOOKS: Final = (topics.PLANNED, topics.WALKED, topics.RECEIPT, topics.ENGAGEMENT, topics.DEVICE_CHANGED)
#: Those that users' apps write: their records have a user as key, and a time that counts.
OF_USERS: Final = frozenset({topics.ENGAGEMENT, topics.DEVICE_CHANGED})
#: Those whose records' times count.
TIMED: Final = OF_USERS | {topics.PLANNED}


class BookEntry(msgspec.Struct, frozen=True, gc=False):
    """A record of one of the books. Only those of users need a key and a time."""

    offset: int
    value: bytes | None
    headers: Headers = ()
    key: bytes | None = None
    timestamp_ms: int = 0


class _Read(NamedTuple):
    """What records say, in their order, and why others cannot be read, by their places."""

    said: list[Any]
    refused: Mapping[int, InvalidInput]


class _Book(NamedTuple):
    """How its records are read, all of which have a value, and what they say applied."""

    read: Callable[[list[BookEntry], EventDecoders], _Read]
    take: Callable[[PendingRows, list[Any]], None]


def apply(
    stored: StoredRows,
    topic: str,
    entries: Sequence[BookEntry],
    modes: Modes = EVERYTHING,
    seen: Seen | None = None,
    unmatched: list[Unmatched] | None = None,
    events: EventDecoders = WITHOUT_REGISTRY,
) -> dict[bytes, bytes | None]:
    """What these records change; None deletes. Records below the stored offset are left out.

    `seen` gets what they say about the service level, `unmatched` the events of which no delivery is there.
    `entries`: in offset order, of the partition whose rows are stored. `events` reads those of apps. Raises
    NewerSchema: nothing is changed then.
    """
    changes = PendingRows(stored, modes)
    meta = rows.meta_of(stored.get(rows.meta_key(topic)))
    book = _BOOKS[topic]
    book.take(changes, _counting(meta, topic, entries, lambda counting: book.read(counting, events)))
    for intake, offset in changes.passed.items():
        meta.passed[intake] = max(offset, meta.passed.get(intake, 0))
    changes.put(rows.meta_key(topic), rows.encode(meta))
    if unmatched is not None:
        unmatched += changes.unmatched
    return changes.all([] if seen is None else seen)


def _counting(
    meta: Meta, topic: str, entries: Sequence[BookEntry], read: Callable[[list[BookEntry]], _Read]
) -> list[Any]:
    """What the records say that count."""
    if not entries or entries[-1].offset < meta.offset:
        return []
    counting: list[BookEntry] = []
    last: Headers = ()
    writer: Headers = ()  # what of them tells who wrote the record, and more
    counts = True
    for entry in entries[bisect_left(entries, meta.offset, key=_offset) :]:
        headers = entry.headers
        if headers != last or not counts:  # neighbours mostly have one writer
            last = headers
            if writer != (of_writer := [each for each in headers if each[0] != LEDGER]) or not counts:
                last, writer, counts = (), (), True
                try:
                    # Apps fence nobody off: what they write there is no claim of a stage.
                    counts = topic in OF_USERS or _counts(meta, of_writer)
                except InvalidInput as error:
                    _leave_out(meta, topic, entry, error)
                    continue
                last, writer = headers, of_writer
        if counts and entry.value is not None:
            counting.append(entry)
    meta.offset = entries[-1].offset + 1
    said, refused = read(counting)
    for place, refusal in refused.items():
        _leave_out(meta, topic, counting[place], refusal)
    return said


def _leave_out(meta: Meta, topic: str, entry: BookEntry, error: InvalidInput) -> None:
    """It cannot be read. Raises NewerSchema for one that a newer release can: what apps write, no upgrade mends."""
    if topic not in OF_USERS:
        waited_for(error, f"{topic}@{entry.offset}")
    add(meta.unreadable, error.reason, 1)


def _counts(meta: Meta, headers: Headers) -> bool:
    """Whether its writer had the partition. A record of an epoch proves that the fence of this epoch lies before it."""
    author = author_of(headers)
    if author is None:
        return True
    if author.epoch < meta.epochs.get(author.origin, -1):
        meta.void += not author.fence
        return False
    meta.epochs[author.origin] = author.epoch
    return not author.fence


class _EngagementRecord(NamedTuple):
    """An event, and Kafka's time of its record."""

    event: Engagement
    timestamp_ms: int


def _take_engagements(changes: PendingRows, records: list[_EngagementRecord]) -> None:
    for event, timestamp_ms in records:
        until = forgotten.until_of(changes, event.user.encode())
        for news in engaged.applied(changes.get, event, until):
            for key, value in news.writes:
                changes.put(key, value)
            for delivery, before, now in news.changed:
                sums = changes.ended.known(kind_of(delivery.kind), delivery.notification)
                if sums is not None:
                    engaged.count(sums, delivery.due_at, before, -1, delivery.variant)
                    engaged.count(sums, delivery.due_at, now, 1, delivery.variant)
                    changes.publish(sums.kind, sums.id)
            if not news.changed:
                about = event.app or "", event.user.encode(), news.delivery, event.at
                changes.unmatched.append(Unmatched(*about, timestamp_ms))


def _each(read: Callable[[bytes, BookEntry, EventDecoders], Any]) -> Callable[[list[BookEntry], EventDecoders], _Read]:
    """Reads one by one. `read` may raise InvalidInput; None: the record means nothing here."""

    def read_all(entries: list[BookEntry], events: EventDecoders) -> _Read:
        found: list[Any] = []
        refused: dict[int, InvalidInput] = {}
        for place, entry in enumerate(entries):
            try:
                said = read(entry.value or b"", entry, events)
            except InvalidInput as error:
                refused[place] = error
            else:
                if said is not None:
                    found.append(said)
        return _Read(found, refused)

    return read_all


_offset: Final = attrgetter("offset")
_BOOKS: Final[Mapping[str, _Book]] = {
    topics.PLANNED: _Book(
        _each(lambda value, entry, events: PlannedRecord(read_planned(value), entry.timestamp_ms)), take_planned
    ),
    topics.WALKED: _Book(_each(lambda value, entry, events: decode_leg(value)), take_legs),
    topics.RECEIPT: _Book(
        lambda entries, events: _Read(*read_receipts([each.value or b"" for each in entries])), take_receipts
    ),
    topics.ENGAGEMENT: _Book(
        _each(
            lambda value, entry, events: _EngagementRecord(
                events.engagements.decode(user_of(entry.key), value, entry.timestamp_ms), entry.timestamp_ms
            )
        ),
        _take_engagements,
    ),
    topics.DEVICE_CHANGED: _Book(
        _each(
            lambda value, entry, events: forgotten.read_forgetting(
                events.changes, value, entry.key, entry.timestamp_ms, entry.headers
            )
        ),
        forgotten.take_forgettings,
    ),
}


def dropped_before(at_ms: int) -> Iterable[tuple[bytes, bytes]]:
    """Ranges of keys that belong to days before that of `at_ms`: [from, to) of each."""
    for prefix in (rows.DELIVERY, rows.BLOCK, rows.LEG):
        yield prefix + b"\0\0", prefix + rows.day_of(at_ms)
    yield rows.ENGAGED + b"\0\0", rows.ENGAGED + engaged.first_bucket_of(at_ms)


def sums_dropped_before(at_ms: int) -> Iterable[tuple[bytes, bytes]]:
    """Ranges of keys of minutes, and of the list of notes, before that of `at_ms`: [from, to) of each."""
    yield rows.MINUTE, rows.first_key_of_minute(at_ms)
    yield rows.list_key(at_ms - rows.MINUTE_MS, b""), rows.LIST + b"\xff" * 5
