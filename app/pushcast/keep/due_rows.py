"""What becomes of one row that is due: its timer leaves, a cap ends it or its badge keeps it, a digest is flushed, or
what was remembered is forgotten. Queues and their pace are in `release`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from pushcast.keep import rules
from pushcast.keep.badging import Badging, number_of
from pushcast.keep.capping import Capping, TakenSlot, asks_caps
from pushcast.keep.configured import KeepRules
from pushcast.keep.due import DueRecord, DueRecords, Put
from pushcast.keep.flushing import Flushes
from pushcast.keep.index import DueTimes, IndexPlace, entry_of, is_of_before, key_of, place_of
from pushcast.keep.joining import Joining
from pushcast.keep.lateness import LateOrder
from pushcast.keep.notices import LATE_MS, is_mark_of_forgotten
from pushcast.keep.outlook import unknown
from pushcast.keep.plain_release import PlainClosing, PlainDues, plain_dues
from pushcast.keep.ports import KeepPorts
from pushcast.keep.rows import Rows
from pushcast.keep.tenure import KeepTenure
from pushcast.model.caps import Usage
from pushcast.model.own import OwnClass
from pushcast.stream.callbacks import guarded
from pushcast.stream.ports import Barrier
from pushcast.wire.events.threads import ThreadReader
from pushcast.wire.waiting.badge_rows import Badge
from pushcast.wire.waiting.digests import Head, is_head, name_of
from pushcast.wire.waiting.held import Released, released_headers
from pushcast.wire.waiting.recallable import Recallable
from pushcast.wire.waiting.timers import Timer, user_key

#: Whether keep records of this Kafka time, or of an earlier one, may still come to a partition.
MayHoldBefore = Callable[[KeepTenure, int], bool]


class DueRows:
    """Of all partitions of one stage. What it takes belongs to a slice, which `finish` ends."""

    def __init__(
        self,
        ports: KeepPorts,
        rows: Rows,
        joining: Joining,
        threads: ThreadReader,
        asked: KeepRules,
        may_hold_before: MayHoldBefore,
    ) -> None:
        self._rows = rows
        self._table = ports.table
        self._count = ports.count
        self._may_hold_before = may_hold_before
        closing = PlainClosing(rows, self._put_released).close
        safely = guarded("keep: an acknowledgement failed", ports.fatal)
        self._due = DueRecords(
            ports.exact, ports.outbox, safely, closing, ports.call_later, asked.closing_gather_seconds
        )
        self._flushes = Flushes(rows, self._due, asked.digests, ports.count)
        self.badges = Badging(rows, self._due, ports.clock, ports.count, rules=asked.badges, threads=threads)
        self.capping = Capping(rows, self._due, joining, asked.caps, ports.count, self._leave)
        self._late = LateOrder(unknown if asked.outlook is None else asked.outlook.lifetime_of)
        self._late_ms = 0

    def late_seconds(self) -> float:
        """The longest wait beyond a due time since the last question."""
        late, self._late_ms = self._late_ms, 0
        return late / 1000

    def finish(self, tenure: KeepTenure) -> None:
        """Ends the slice, if there is one; see `DueRecords`."""
        self._due.finish(tenure)

    def take_many(self, tenure: KeepTenure, entries: Sequence[bytes], now_ms: int) -> list[bytes]:
        """Lets timers of one queue go in their order, and late ones of them first where they expire first. Returns
        entries that say nothing any more."""
        stale: list[bytes] = []
        values = self._table.get_many(tenure.number, list(map(key_of, entries))) if entries else []
        if (places := self._late.places(entries, values, now_ms)) is not None:
            self._late_ms = max(self._late_ms, now_ms - next(filter(None, DueTimes(entries))))
            entries, values = [entries[at] for at in places], [values[at] for at in places]
        at = 0
        while at < len(entries):
            # No head of a digest is a usual timer: what `under_way` asks of these need not be asked.
            dues = plain_dues(tenure, entries, values, at)
            if dues is not None:
                self._leave_plainly(tenure, dues, now_ms)
                at += len(dues.leaving)
            elif self.take(tenure, place_of(entries[at]), now_ms):
                at += 1
            else:
                stale.append(entries[at])
                at += 1
        return stale

    def _leave_plainly(self, tenure: KeepTenure, dues: PlainDues, now_ms: int) -> None:
        count = len(dues.leaving)
        if dues.first_due_at:
            self._late_ms = max(self._late_ms, now_ms - dues.first_due_at)
        tenure.fired += count
        self._due.close_plain(tenure, dues)
        self._count("closed", "released", count)

    def take(self, tenure: KeepTenure, place: IndexPlace, now_ms: int) -> bool:
        """False for an entry that says nothing any more: only the table's own row decides that. What is in flight may
        yet be void, and the entry would be missed."""
        if self.under_way(tenure, place.key):
            return True
        row = self._rows.get(tenure, place.key)
        if row is None or isinstance(row, Badge | Usage | Recallable):
            return False
        if entry_of(place.key, row) != place.entry and not is_of_before(place.entry, row):
            return False
        if isinstance(row, Head):
            self._flushes.take(tenure, place.key, row, now_ms)
        elif row.waits:
            self.take_waiting(tenure, place.key, row, now_ms)
        else:
            kept = self._still_told(tenure, place.key, row, now_ms)
            self._due.write(tenure, place.key, partial(self._put, tenure, place.key, kept))
        return True

    def under_way(self, tenure: KeepTenure, key: bytes) -> bool:
        """Whether a row is being let go, or may not be now: what it waits for wakes."""
        if key in tenure.firing or key in tenure.blocked or self._rows.in_flight(tenure, key):
            return True
        # A member that no table has yet would be counted, and could still be lost.
        return is_head(key) and self._rows.gathering(tenure, user_key(key), name_of(key))

    def take_waiting(self, tenure: KeepTenure, key: bytes, timer: Timer, now_ms: int) -> None:
        """Lets a timer go that waits, unless a cap or its badge keeps it."""
        if timer.kind == OwnClass.BADGE:
            self.badges.put_right(tenure, key, timer)
        elif (facts := asks_caps(timer)) is not None:
            self.capping.take(tenure, key, timer, facts, now_ms)
        elif self.badges.is_counted(tenure, key, timer):
            self._fire(tenure, key, timer, now_ms)

    def _still_told(self, tenure: KeepTenure, key: bytes, row: Timer, now_ms: int) -> Timer | None:
        """That a user was forgotten stays while the keeper is behind: what a planner held before it would wait for
        weeks otherwise. Of anything else that has ended: None."""
        if not is_mark_of_forgotten(key) or not self._may_hold_before(tenure, row.written_at + LATE_MS):
            return None
        return rules.still_told(row, now_ms)

    def _fire(self, tenure: KeepTenure, key: bytes, timer: Timer, now_ms: int, before: Put | None = None) -> None:
        """`before`: puts a row before the one that closes the timer."""
        if timer.due_at:
            self._late_ms = max(self._late_ms, now_ms - timer.due_at)
        name = f"{timer.name}|{key.decode()}"
        tenure.fired += 1
        parted = timer.part, timer.done
        released = Released(
            timer.written_at, None, *parted, timer.due_at, timer.passed, timer.left_as, number_of(timer)
        )
        if timer.zoned and not timer.due_at and not timer.closes:
            released = released._replace(zoned=True)
        headers = released_headers(tenure.origin, name, released, timer.closes, timer.trace)
        closed = partial(self._put_released, tenure, key, timer)
        self._due.close(tenure, key, DueRecord(timer.lane, timer.event, headers), closed, before)
        self._count("closed", timer.closes or "released", 1)

    def _leave(self, tenure: KeepTenure, key: bytes, timer: Timer, now_ms: int, slot: TakenSlot) -> None:
        """Lets one go that has a slot, once its badge is counted."""
        if self.badges.is_counted(tenure, key, timer, slot.put):
            slot.note()
            self._fire(tenure, key, timer, now_ms, slot.put_noted)

    def _put_released(self, tenure: KeepTenure, key: bytes, timer: Timer, barrier: Barrier) -> None:
        if (entry := entry_of(key, timer)) is not None:
            tenure.spent[key] = entry
        now_ms = tenure.time.now_ms() or timer.due_at
        row = rules.released(timer, now_ms)
        if tenure.forgotten and tenure.forgotten.covers(user_key(key), timer.written_at):
            row = rules.remembered_shortly(row, now_ms)
        self._rows.put(tenure, barrier, key, row)

    def _put(self, tenure: KeepTenure, key: bytes, row: Timer | None, barrier: Barrier) -> None:
        self._rows.put(tenure, barrier, key, row)
