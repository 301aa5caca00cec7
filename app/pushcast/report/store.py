"""RocksDB under the reports: a database for each partition, written with the offsets that it was made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, takewhile
from pathlib import Path
from typing import Final

import rocksdict

from pushcast.report import notes, rows
from pushcast.report.answers import OVERDUE_AFTER_MS, state_of
from pushcast.report.apply import BOOKS, BookEntry, apply, dropped_before, sums_dropped_before
from pushcast.report.engaged import Told, told_of
from pushcast.report.events import WITHOUT_REGISTRY, EventDecoders
from pushcast.report.minutes import MinutePlace, MinuteSums, open_by_class, row_of
from pushcast.report.modes import EVERYTHING, Modes
from pushcast.report.notes import Kind, Note, note_hash
from pushcast.report.report_rows import ReportRows
from pushcast.report.rows import DAY_MS, Delivery, Meta
from pushcast.report.slo import Seen
from pushcast.report.unmatched import Unmatched
from pushcast.stream.rocks import row_count

#: What receipts of is kept by Kafka: what became due earlier may have ended in a receipt that is gone.
KEPT_MS: Final = 7 * DAY_MS
#: Minutes that are looked at for what is overdue, at once.
MOST_WATCHED: Final = 2000
#: What a store does beside following the logs.
_BESIDE: Final = (rows.CHANGED, rows.OPEN, rows.WATCHED)
_LOGS: Final = b"\xfflogs"  # which logs the rows were made from, and in which form they are written
#: Of the rows (`rows`, `notes`, `minutes`). A store in another form is made anew from what Kafka keeps.
_FORM: Final = "2"
_FORM_NAME: Final = "form"


class PartitionStore(ReportRows):
    """The reports of one partition. One thread writes; any thread reads.

    Not durable against power loss, but never ahead of its offsets: what is lost is read from Kafka again.
    """

    def __init__(
        self,
        path: Path,
        logs: Mapping[str, str],
        modes: Modes = EVERYTHING,
        events: EventDecoders = WITHOUT_REGISTRY,
    ) -> None:
        """`logs`: id of each book's log (`ClusterFacts.log_id`). A store of other logs is dropped with a warning.
        `events`: reads what apps write."""
        super().__init__(path)
        self._events = events
        self._modes = modes
        self.unmatched: list[Unmatched] = []  # events that were applied and fit no delivery; whoever reads them clears
        stored = _read_logs(self.get(_LOGS))
        form = stored.pop(_FORM_NAME, None)
        others = sorted(topic for topic, log in stored.items() if logs.get(topic, log) != log)
        # A topic that came later has nothing in the rows yet.
        self._made_from = _write_logs({**stored, **logs, _FORM_NAME: _FORM})
        if stored and form != _FORM:
            self.make_anew("another release wrote its rows in another form")
        elif others:
            self.make_anew(f"it was made from other topics of the names {', '.join(others)}")
        self._database.put(_LOGS, self._made_from)

    def make_anew(self, why: str) -> None:
        """Drops everything: it will be read from Kafka again, as far as that is kept."""
        self.open_anew(why)
        self._database.put(_LOGS, self._made_from)

    def apply(self, topic: str, entries: Sequence[BookEntry]) -> Seen:
        """Rows and offset in one write; what they say about the service level. Raises NewerSchema; nothing is written
        then, nor for no entries: a store would differ by how often it was asked for nothing."""
        seen: Seen = []
        if not entries:
            return seen
        batch = rocksdict.WriteBatch(raw_mode=True)
        changed = apply(self, topic, entries, self._modes, seen, self.unmatched, self._events)
        for key in sorted(changed):  # neighbours find their place in the buffer from one another
            value = changed[key]
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        self.write(batch)
        return seen

    def meta(self, topic: str) -> Meta:
        """How far a book is applied."""
        return rows.meta_of(self.get(rows.meta_key(topic)))

    def offsets(self) -> dict[str, int]:
        """Next offset of each book."""
        return {topic: self.meta(topic).offset for topic in BOOKS}

    def note(self, kind: Kind, note_id: str) -> Note | None:
        """None: nothing is known of it in this partition."""
        return self._note(note_hash(kind, note_id))

    def _note(self, name: bytes) -> Note | None:
        return notes.joined(self.get(rows.note_key(name)), self.get(rows.ended_key(name)))

    def listed(self, from_minute: int, to_minute: int, after: tuple[int, bytes] | None, limit: int) -> list[Note]:
        """Notes created in [from, to) minutes, newest first, behind the place `after`."""
        start = rows.list_key((to_minute - 1) * rows.MINUTE_MS, b"")
        if after is not None:
            start = max(start, rows.list_key(after[0] * rows.MINUTE_MS, after[1] + b"\0"))
        found: list[Note] = []
        for key, _ in self.scan(start, rows.LIST):
            if rows.minute_of(key) < from_minute or len(found) == limit:
                break
            note = self._note(key[5:])
            if note is not None:
                found.append(note)
        return found

    def deliveries(self, user: str, from_ms: int, to_ms: int) -> Iterator[tuple[bytes, Delivery]]:
        """(delivery id, row) of a user, day by day, newest day first, in no order within a day."""
        if not user:
            return  # rows of users who are forgotten
        for at_ms in range(to_ms, from_ms - DAY_MS, -DAY_MS):
            prefix = rows.deliveries_of(rows.day_of(at_ms), user.encode())
            for key, value in self.scan(prefix, prefix):
                yield key[len(prefix) :], rows.delivery_of(value)

    def first_day_ms(self) -> int | None:
        """Midnight (UTC) of the first day of which there are deliveries, in milliseconds; None: of none."""
        key = next((key for key, _ in self.scan(rows.DELIVERY, rows.DELIVERY)), None)
        return None if key is None else rows.day_ms_of(key)

    def told(self, user: str, delivery_id: bytes, created_at: int) -> Told:
        """What apps told of a delivery."""
        return told_of(self.get, user.encode(), self.forgotten_until(user), delivery_id, created_at)

    def forgotten_until(self, user: str) -> int:
        """What was created until then is not to be told; milliseconds since the epoch, 0 for never."""
        return int.from_bytes(self.get(rows.forgotten_key(user.encode())) or b"")

    def rows(self) -> Iterator[tuple[bytes, bytes]]:
        """Everything, in the order of the keys: two stores of the same logs are equal."""
        yield from (row for row in self.scan(b"", b"") if row[0] != _LOGS and row[0][:1] not in _BESIDE)

    def count(self) -> int:
        """RocksDB's estimate of the number of rows; overwritten rows count until they are compacted."""
        return row_count(self._database)

    def minutes(self, from_minute: int, to_minute: int) -> Iterator[tuple[MinutePlace, MinuteSums]]:
        """Sums of minutes in [from, to), as they are due."""
        for key, value in self.scan(rows.first_key_of_minute(from_minute * rows.MINUTE_MS), rows.MINUTE):
            place, sums = row_of(key, value)
            if place.minute >= to_minute:
                return
            yield place, sums

    def unpublished(self, limit: int) -> list[tuple[bytes, Note]]:
        """(name, sums) of notes that have changed since they were published."""
        found: list[tuple[bytes, Note]] = []
        for key, _ in self.scan(rows.CHANGED, rows.CHANGED):
            note = self._note(key[1:])
            if note is not None:
                found.append((key[1:], note))
            if len(found) == limit:
                break
        return found

    def published(self, name: bytes, note: Note) -> None:
        """Its sums, which are these now, are in Kafka."""
        self._database.delete(rows.CHANGED + name)
        if note.expires_at and note.planned_count != note.ended_count:
            self._database.put(rows.open_key(note.expires_at, name), b"")
        else:
            self._database.delete(rows.open_key(note.expires_at, name))

    def overdue(self, now_ms: int) -> Counter[str]:
        """Deliveries that should have ended by now, by class; of broadcasts under the empty one. On the thread that
        writes.

        Notes that are published are counted by their own expiry. Others are not kept in an order of expiry: they count
        when everything of their class has expired that was due in the same minute. What was due more than 7 days ago is
        left out."""
        found = Counter[str]()
        last_minute = (now_ms - OVERDUE_AFTER_MS) // rows.MINUTE_MS - 1
        expired = takewhile(lambda row: rows.note_of_open(row[0])[0] <= last_minute, self.scan(rows.OPEN, rows.OPEN))
        for key in [key for key, _ in expired]:
            note = self._note(rows.note_of_open(key)[1])
            if note is None or state_of(note, now_ms) != "overdue" or note.first_planned_at < now_ms - KEPT_MS:
                self._database.delete(key)  # the rest has ended, it expires later than it did, or its sums were dropped
            else:
                found[note.klass] += note.planned_count - note.ended_count
        self._count_unpublished(found, now_ms, last_minute)
        return found

    def _count_unpublished(self, found: Counter[str], now_ms: int, last_minute: int) -> None:
        first_due = (now_ms - KEPT_MS) // rows.MINUTE_MS
        watched: dict[int, list[bytes]] = {}
        for key, _ in islice(self.scan(rows.WATCHED, rows.WATCHED), MOST_WATCHED):
            expiry, due = rows.minute_of_watched(key)
            if expiry > last_minute:
                break
            watched.setdefault(due, []).append(key)
        for due, keys in watched.items():
            before_ms = (last_minute + 1) * rows.MINUTE_MS
            classes = {} if due < first_due else open_by_class(self.minutes(due, due + 1), before_ms)
            if not classes:
                for key in keys:
                    self._database.delete(key)
            for klass, count in classes.items():
                if count is not None and klass not in self._modes.full:
                    found[klass] += count

    def drop_before(self, at_ms: int, sums_ms: int = 0) -> None:
        """Drops deliveries and planned rows of the days before `at_ms`, and sums of the time before `sums_ms`."""
        for start, end in dropped_before(at_ms):
            self._database.delete_range(start, end)
        for start, end in sums_dropped_before(sums_ms) if sums_ms else ():
            if start[:1] == rows.LIST:
                for name in [key[5:] for key, _ in self.scan(start, rows.LIST)]:
                    self._database.delete(rows.note_key(name))
                    self._database.delete(rows.ended_key(name))
            self._database.delete_range(start, end)
        for key, value in list(self.scan(rows.FORGOTTEN, rows.FORGOTTEN)):
            if int.from_bytes(value) < at_ms:
                self._database.delete(key)


def _write_logs(logs: Mapping[str, str]) -> bytes:
    return "\n".join(f"{topic} {log}" for topic, log in sorted(logs.items())).encode()


def _read_logs(value: bytes | None) -> dict[str, str]:
    lines = [] if value is None else bytes(value).decode().splitlines()
    return dict(line.split(" ", 1) for line in lines)
