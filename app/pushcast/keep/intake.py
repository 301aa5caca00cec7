"""What becomes of a source record: the rows that it opens or changes. Nothing here waits."""

from __future__ import annotations

from pushcast.handover.fences import Fences, author_of
from pushcast.keep import rules
from pushcast.keep.asked import AppsAsking
from pushcast.keep.badging import Badging
from pushcast.keep.called_off import CalledOff
from pushcast.keep.capping import Capping
from pushcast.keep.joining import Joining
from pushcast.keep.notices import Notices
from pushcast.keep.reading import KeepReading
from pushcast.keep.removing import Removing
from pushcast.keep.revising import Revising
from pushcast.keep.rows import Rows
from pushcast.keep.tenure import KeepTenure
from pushcast.model.clock import Clock
from pushcast.model.marks import mark_of
from pushcast.model.words import Lane, Reason
from pushcast.stream.batch import Record
from pushcast.stream.cancelling import Cancels
from pushcast.stream.edge import Count, check_place
from pushcast.stream.ports import Barrier
from pushcast.wire.answers.counted import decode_counted
from pushcast.wire.control.cancel_state import CancelRecord
from pushcast.wire.events.cancels import CancelDecoder
from pushcast.wire.events.engagement import EngagementDecoder
from pushcast.wire.events.threads import ThreadReader
from pushcast.wire.headers import TRACEPARENT, first
from pushcast.wire.keys import user_of
from pushcast.wire.schemas import SchemaSource
from pushcast.wire.sending.recall_offers import decode_offer
from pushcast.wire.waiting.facts import decode_facts
from pushcast.wire.waiting.held import Held, held_of
from pushcast.wire.waiting.held_broadcasts import held_broadcast_key
from pushcast.wire.waiting.notices import notice_of
from pushcast.wire.waiting.timers import Timer, part_key, timer_key


class KeepIntake:
    """Of all partitions of one stage; it keeps nothing of them.

    Both `hold` and `cancel` raise what decoding raises, and `Misplaced`.
    """

    def __init__(
        self,
        rows: Rows,
        clock: Clock,
        cancels: Cancels,
        count: Count,
        *,
        partitions: int,
        schemas: SchemaSource | None,
        joining: Joining,
        removing: Removing,
        badging: Badging,
        capping: Capping,
    ) -> None:
        self._capping = capping
        self._badging = badging
        self._engagements = EngagementDecoder(schemas).decode
        threads = ThreadReader(schemas)
        self._reading = KeepReading(rows, threads, joining)
        self._called_off = CalledOff(rows, joining, cancels, threads, clock)
        self._removing = removing
        self._rows = rows
        self._clock = clock
        self._cancels = cancels
        self._count = count
        self._partitions = partitions
        self._decode = CancelDecoder(schemas).decode
        self._joining = joining
        self._revising = Revising(rows, joining)
        self._notices = Notices(rows, joining, count)
        self._asked = AppsAsking(rows, count)

    def hold(self, lane: Lane, fences: Fences, tenure: KeepTenure, barrier: Barrier, record: Record) -> None:
        """A timer, unless the record was taken before, or was written by a planner that had been fenced off. A record
        without an event is a registrar's notice. Usual ones take a shorter way (`plain_intake`)."""
        if not fences.admit(author_of(record.headers), record.offset):
            return
        user = user_of(record.key)
        check_place(record, self._partitions)
        if not record.value:
            written_at = record.timestamp if record.timestamp >= 0 else self._clock.now_ms()
            self._notices.heard(tenure, barrier, user, notice_of(record.headers), written_at)
            return
        held = held_of(record.headers)
        facts = decode_facts(held.facts) if held.facts else None
        timer = _timer(lane, record, held)
        key, other = _key(lane, user, held), timer_key(user, held.note_id, timer.name)
        revises = timer.revision >= 0 and not held.part
        if revises and self._revising.is_known(tenure, barrier, user, held, timer):
            return
        known, waiting = None, 0
        if not self._rows.has_none(tenure, user.encode()):
            known, waiting = self._rows.timer(tenure, key), self._rows.waiting(tenure, user)
            self._notices.recall(tenure, user)
            if rules.is_known(timer.name, (known, self._rows.timer(tenure, other))):
                return
            if known is None and waiting and held.zoned and not (revises or held.part or held.broadcast):
                # Parts of it may wait for longer than the first one, which has left, is remembered.
                known = next(iter(self._rows.named(tenure, user, held.note_id).values()), None)
        is_cancelled = self._called_off.covers(tenure, user, held.note_id, timer)
        is_read = self._reading.is_read(tenure, user, held.note_id, timer, self._clock.now_ms())
        place = None
        if revises and not (is_cancelled or is_read):
            timer, place = self._revising.opened(tenure, user, held, timer)
            if place is not None:
                key, known, waiting = place.key, None, 0
        row = rules.opened(timer, known, waiting, cancelled=is_cancelled, read=is_read)
        row = self._asked.opened(tenure, user, held, row, self._clock.now_ms()) if held.if_active else row
        if (tenure.forgotten or tenure.moved) and not row.closes:
            row = self._notices.opened(tenure, user, row)
        if facts is not None and facts.gate == Reason.DIGEST and not row.closes:
            row = self._joining.join(tenure, barrier, user, held.note_id, row, facts)
        key = key if known is None else other
        self._rows.put(tenure, barrier, key, row)
        if lane is Lane.URGENT and row.due_at <= self._clock.now_ms():
            tenure.opened.append((key, tenure.overlay.of_user(user.encode())[key]))
        if place is not None:
            self._revising.supersede(tenure, barrier, user, held.note_id, place.former)
        self._count("opened", str(lane), 1)

    def cancel(self, tenure: KeepTenure, barrier: Barrier, record: Record) -> None:
        """Timers that are called off are due at once. What is held later finds the mark."""
        user = user_of(record.key)
        check_place(record, self._partitions)
        written_at = record.timestamp if record.timestamp >= 0 else self._clock.now_ms()
        cancel = self._decode(user, record.value, written_at)
        # The tail may be behind: a timer that is opened from here on must find it.
        self._cancels.state.apply(
            tenure.number, [CancelRecord(record.key, record.value, written_at)], self._clock.now_ms()
        )
        self._badging.cancelled(tenure, barrier, cancel, record.offset, written_at)
        if cancel.remove:
            self._removing.ask(tenure, barrier, cancel, record.offset, written_at)
        self._called_off.heard(tenure, barrier, cancel)

    def count(self, tenure: KeepTenure, barrier: Barrier, record: Record) -> None:
        """What became of a notification that caps or a badge count."""
        user = user_of(record.key)
        check_place(record, self._partitions)
        counted = decode_counted(record.value)
        self._capping.told(tenure, barrier, user, counted.word, self._clock.now_ms())
        self._badging.told(tenure, barrier, user, counted.app, counted.word, record.offset)

    def engage(self, tenure: KeepTenure, barrier: Barrier, record: Record) -> None:
        """What an app tells of its user: what was read ends, and counts no more in the badge."""
        user = user_of(record.key)
        check_place(record, self._partitions)
        written_at = record.timestamp if record.timestamp >= 0 else self._clock.now_ms()
        engagement = self._engagements(user, record.value, written_at)
        self._badging.engaged(tenure, barrier, engagement, record.offset, written_at)
        self._reading.heard(tenure, barrier, engagement)
        self._asked.heard(tenure, barrier, engagement)
        self._removing.read(tenure, barrier, engagement, record.offset, written_at)

    def offered(self, tenure: KeepTenure, barrier: Barrier, record: Record) -> None:
        """What a sender tells of a push that can be taken back."""
        check_place(record, self._partitions)
        user, offer = user_of(record.key), decode_offer(record.value or b"")
        now_ms = self._clock.now_ms()
        read = tenure.read.has_threads or tenure.read.covers(mark_of(user, offer.notification_id), now_ms)
        is_named = read or self._called_off.names(tenure, user, offer.notification_id, offer.created_at or now_ms)
        self._removing.offered(tenure, barrier, user, offer, is_named=is_named)


def _key(lane: Lane, user: str, held: Held) -> bytes:
    if held.broadcast:
        return held_broadcast_key(user, held.note_id, lane, held.broadcast, held.part)
    return part_key(user, held.note_id, held.part)


def _timer(lane: Lane, record: Record, held: Held) -> Timer:
    trace = first(record.headers, TRACEPARENT)
    return Timer(
        str(lane),
        record.offset,
        held.due_at,
        held.written_at,
        trace=None if trace is None else trace.decode("ascii", "ignore"),
        event=record.value or b"",
        part=held.part,
        done=held.done,
        facts=held.facts,
        passed=held.passed,
        app=held.app,
        badge=held.badge,
        pace=held.pace,
        zoned=held.zoned,
        revision=-1 if held.revision is None else held.revision,
    )
