"""Lets timers go when they are due: in the order of their lanes and times, a bounded number at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

from pushcast.keep import queues, rules
from pushcast.keep.badging import MakeBadging, number_of
from pushcast.keep.capping import Capping, TakenSlot, asks_caps
from pushcast.keep.due import DueRecord, DueRecords, Put
from pushcast.keep.exact import KeepHandover
from pushcast.keep.flushing import Flushes
from pushcast.keep.index import (
    QUEUES,
    REMEMBER_MS,
    DueTimes,
    IndexPlace,
    entry_of,
    is_of_before,
    is_paced,
    key_of,
    left_over,
    place_of,
    until,
)
from pushcast.keep.joining import Joining
from pushcast.keep.lateness import LateOrder
from pushcast.keep.notices import LATE_MS, is_mark_of_forgotten
from pushcast.keep.plain_release import PlainClosing, PlainDues, plain_dues
from pushcast.keep.queues import Queues
from pushcast.keep.rows import Rows
from pushcast.keep.tenure import KeepTenure, OpenedTimer
from pushcast.keep.turns import Turns
from pushcast.model.caps import CapRule, Usage
from pushcast.model.clock import Clock
from pushcast.model.digest import DigestRule
from pushcast.model.own import OwnClass
from pushcast.model.pacing import Rates
from pushcast.model.words import Lane
from pushcast.stream.callbacks import Guarded
from pushcast.stream.edge import Count
from pushcast.stream.ports import Barrier, CallLater, Fatal, Outbox
from pushcast.stream.runner import Runner
from pushcast.stream.table import Table
from pushcast.wire.waiting.badge_rows import Badge
from pushcast.wire.waiting.digests import Head, is_head, name_of
from pushcast.wire.waiting.held import Released, released_headers
from pushcast.wire.waiting.recallable import Recallable
from pushcast.wire.waiting.timers import Timer, user_key

logger = logging.getLogger(__name__)

#: Until a partition that lets nothing go is looked at again.
HELD_SECONDS: Final = 1.0
#: Of all partitions together, under way at a time: what is urgent comes behind the acknowledgements of no more. Of each
#: one it is a slice at least.
MAX_FIRING: Final = 4_000


class Release:
    """Of all partitions of one stage. It belongs to the event loop. `late_seconds`: the longest wait beyond a due time
    since it was asked last."""

    def __init__(
        self,
        rows: Rows,
        table: Table,
        exact: KeepHandover,
        outbox: Outbox,
        clock: Clock,
        count: Count,
        *,
        room: Callable[[], Awaitable[None]],
        guarded: Guarded,
        fatal: Fatal,
        digests: Mapping[str, DigestRule],
        rates: Rates,
        partitions: int,
        badges: MakeBadging,
        caps: Sequence[CapRule],
        joining: Joining,
        late: LateOrder,
        call_later: CallLater | None = None,
        held: Callable[[KeepTenure], bool] = lambda _: False,
        may_hold_before: Callable[[KeepTenure, int], bool] = lambda *_: False,
        closing_gather_seconds: float = 0.0,
        remember_ms: int = REMEMBER_MS,
    ) -> None:
        """`held`: whether a partition lets nothing go now, however long. `may_hold_before`: whether keep records of
        this Kafka time or an earlier one may still come. `remember_ms`: see `Queues`."""
        self._held = held
        self._may_hold_before = may_hold_before
        self._rows = rows
        self._table = table
        closing = PlainClosing(rows, self._put_released).close
        self._due = DueRecords(exact, outbox, guarded, closing, call_later, closing_gather_seconds)
        self._flushes = Flushes(rows, self._due, digests, count)
        self.badges = badges(rows, self._due, clock, count)
        self._queues = Queues(table, rates, partitions, remember_ms)
        self._max_firing = max(queues.SLICE_TIMERS, MAX_FIRING // partitions)
        self.capping = Capping(rows, self._due, joining, caps, count, self._leave)
        self._outbox = outbox
        self._count = count
        self._room = room
        self._fatal = fatal
        self._call_later = call_later
        self._late_ms = 0
        self._late = late
        self._turns = Turns()

    def late_seconds(self) -> float:
        """The longest since the last question."""
        late, self._late_ms = self._late_ms, 0
        return late / 1000

    def runner_of(self, tenure: KeepTenure) -> Runner:
        """Runs when a timer of the partition is due; wake it when rows were applied or written."""
        what = f"keep: timers of partition {tenure.number}"
        return Runner(what, partial(self._wait, tenure), partial(self._work, tenure), self._fatal, self._call_later)

    def wait_seconds(self, tenure: KeepTenure) -> float | None:
        """Until the next one may leave; None: nothing waits, or something else wakes."""
        return self._wait(tenure)

    def _wait(self, tenure: KeepTenure) -> float | None:
        if self._unhealed(tenure):
            return 0.0
        tenure.is_full = len(tenure.firing) >= self._max_firing
        if tenure.is_full:
            return None  # an acknowledgement wakes
        now_ms, found = tenure.time.now_ms(), list[int]()
        if now_ms is None:
            return None  # what the table applies wakes
        for queue in self._queues.of(tenure):
            if (place := self._first(tenure, queue)) is not None:
                held_back = now_ms + self._queues.held_back(tenure, queue, now_ms)
                found.append(max(self._queues.looked_at(tenure, queue, self._queues.due_at(queue, place)), held_back))
        if not found:
            return None
        return HELD_SECONDS if self._held(tenure) else (min(found) - now_ms) / 1000

    def _first(self, tenure: KeepTenure, queue: bytes) -> IndexPlace | None:
        """The first entry of a queue whose row is not under way: when it is, the table's hook or an acknowledgement
        wakes."""
        first, limit = queue, 1  # it is asked again and again, and is the first one nearly always
        while entries := self._queues.entries(tenure, queue, first, limit):
            for place in map(place_of, left_over(queue, entries, tenure.firing, tenure.spent)):
                if not self._under_way(tenure, place.key):
                    return place
            first, limit = entries[-1] + b"\0", min(queues.SLICE_TIMERS, 16 * limit)
        return None

    def _under_way(self, tenure: KeepTenure, key: bytes) -> bool:
        if key in tenure.firing or key in tenure.blocked or self._rows.in_flight(tenure, key):
            return True
        # A member that no table has yet would be counted, and could still be lost.
        return is_head(key) and self._rows.gathering(tenure, user_key(key), name_of(key))

    async def _work(self, tenure: KeepTenure) -> None:
        self._heal(tenure)
        every = self._queues.of(tenure)
        for gone in tenure.buckets.keys() - set(every):  # a rate with nothing that waits for it begins anew
            del tenure.buckets[gone]
        await self._room()
        for at, queue in enumerate(every):
            # More urgent ones were looked at just now; once others have run, they are first again.
            first, sooner = queue, list[bytes]()
            while True:
                tenure.news.clear()
                now_ms = tenure.time.now_ms()
                if now_ms is None or self._held(tenure):
                    return
                for each in sooner:
                    self._take_all(tenure, each, self._queues.due(tenure, each, each, now_ms), now_ms)
                sooner = every[:at]
                if len(tenure.firing) >= self._max_firing:
                    await tenure.news.wait()
                    await self._room()
                    continue
                entries = self._queues.due(tenure, queue, first, now_ms)
                if not entries:
                    tenure.looked_at_ms = now_ms
                    break
                if at and not await self._has_turn(tenure, every[0]):
                    return
                first = entries[-1] + b"\0"
                self._take_all(tenure, queue, entries, now_ms)
                await (self._turns.take() if at else asyncio.sleep(0))
                await self._room()

    async def _has_turn(self, tenure: KeepTenure, urgent: bytes) -> bool:
        """Returns when a slice may be let go that is not urgent; what is leaves meanwhile. False: nothing may now."""
        while self._turns.is_taken:
            await asyncio.sleep(0)
            now_ms = tenure.time.now_ms()
            if now_ms is None or self._held(tenure):
                return False
            self._take_all(tenure, urgent, self._queues.due(tenure, urgent, urgent, now_ms), now_ms)
        return True

    def _take_all(self, tenure: KeepTenure, queue: bytes, entries: Iterable[bytes], now_ms: int) -> None:
        left = left_over(queue, entries, tenure.firing, tenure.spent)
        if is_paced(queue):
            stale = [entry for entry in left if not self._may_take(tenure, queue, place_of(entry), now_ms)]
        else:
            stale = self._take_unpaced(tenure, left, now_ms)
        self._due.finish(tenure)
        if stale:
            self._table.forget_entries(tenure.number, stale)

    def _take_unpaced(self, tenure: KeepTenure, entries: Sequence[bytes], now_ms: int) -> list[bytes]:
        """Lets timers of one queue go in their order, and late ones of them first where they expire first. Returns
        entries that say nothing any more."""
        stale: list[bytes] = []
        values = self._table.get_many(tenure.number, list(map(key_of, entries))) if entries else []
        if (places := self._late.places(entries, values, now_ms)) is not None:
            self._late_ms = max(self._late_ms, now_ms - next(filter(None, DueTimes(entries))))
            entries, values = [entries[at] for at in places], [values[at] for at in places]
        at = 0
        while at < len(entries):
            # No head of a digest is a usual timer: what `_under_way` asks of these need not be asked.
            dues = plain_dues(tenure, entries, values, at)
            if dues is not None:
                self._leave_plainly(tenure, dues, now_ms)
                at += len(dues.leaving)
            elif self._take(tenure, place_of(entries[at]), now_ms):
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

    def _may_take(self, tenure: KeepTenure, queue: bytes, place: IndexPlace, now_ms: int) -> bool:
        """`_take`, unless a rate has no room for it: then its entry stays as it is."""
        rate = self._queues.rate(queue)
        if rate is None:
            return self._take(tenure, place, now_ms)
        bucket, before = self._queues.bucket(tenure, queue, now_ms), tenure.fired
        if not bucket.allowed(rate, now_ms):
            return True
        known = self._take(tenure, place, now_ms)
        bucket.take(tenure.fired - before)
        return known

    def _take(self, tenure: KeepTenure, place: IndexPlace, now_ms: int) -> bool:
        """False for an entry that says nothing any more: only the table's own row decides that. What is in flight may
        yet be void, and the entry would be missed."""
        if self._under_way(tenure, place.key):
            return True
        row = self._rows.get(tenure, place.key)
        if row is None or isinstance(row, Badge | Usage | Recallable):
            return False
        if entry_of(place.key, row) != place.entry and not is_of_before(place.entry, row):
            return False
        if isinstance(row, Head):
            self._flushes.take(tenure, place.key, row, now_ms)
        elif row.waits:
            self._take_waiting(tenure, place.key, row, now_ms)
        else:
            kept = self._still_told(tenure, place.key, row, now_ms)
            self._due.write(tenure, place.key, partial(self._put, tenure, place.key, kept))
        return True

    def _take_waiting(self, tenure: KeepTenure, key: bytes, timer: Timer, now_ms: int) -> None:
        if timer.kind == OwnClass.BADGE:
            self.badges.put_right(tenure, key, timer)
        elif (facts := asks_caps(timer)) is not None:
            self.capping.take(tenure, key, timer, facts, now_ms)
        elif self.badges.is_counted(tenure, key, timer):
            self._fire(tenure, key, timer, now_ms)

    def at_once(self, tenure: KeepTenure, opened: Iterable[OpenedTimer]) -> None:
        """Lets urgent timers go that are due, whose rows count although the table has not applied them. What it finds
        of them later is under way, or has left. Others wait for the table, and so do these behind what it has."""
        now_ms, urgent = tenure.time.now_ms(), QUEUES[0]
        if now_ms is None or self._held(tenure):
            return
        if left_over(urgent, self._queues.due(tenure, urgent, urgent, now_ms), tenure.firing, tenure.spent):
            return
        for key, write in opened:
            if len(tenure.firing) >= self._max_firing:
                break
            if key in tenure.firing or key in tenure.blocked:
                continue
            # Written once more since: nobody knows yet whether that counts. Or the table has it, and it is found there.
            if tenure.overlay.of_user(user_key(key)).get(key) is not write:
                continue
            timer = self._rows.timer(tenure, key)
            entry = entry_of(key, timer) if timer is not None and timer.waits else None
            if timer is not None and entry is not None and entry < until(urgent, now_ms):
                self._take_waiting(tenure, key, timer, now_ms)
        self._due.finish(tenure)

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

    def applied(self, tenure: KeepTenure, rows: int, ours: Iterable[bytes]) -> None:
        """The table has so many rows more, among them the newest writes of these keys: it is told which of their
        entries say nothing any more, and what may be due is looked at, unless all are timers that left and no rate
        waits for them."""
        spent = tenure.spent
        gone = [spent.pop(key) for key in ours if key in spent] if spent else []
        if gone:
            self._table.forget_entries(tenure.number, gone)
        tenure.news.set()
        if len(gone) < rows or tenure.buckets:
            tenure.runner.wake()

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

    def _unhealed(self, tenure: KeepTenure) -> dict[bytes, int]:
        void = self._table.void(tenure.number)
        return {key: offset for key, offset in void.items() if tenure.healed.get(key) != offset}

    def _heal(self, tenure: KeepTenure) -> None:
        """Overwrites what fenced-off owners still wrote: compaction would keep it instead of a timer that waits."""
        unhealed = self._unhealed(tenure)
        if not unhealed:
            return
        logger.warning("keep: %d void rows in partition %d are overwritten", len(unhealed), tenure.number)
        barrier = self._outbox.barrier()
        for key in unhealed:
            self._rows.overwrite(tenure, barrier, key)
        tenure.healed.update(unhealed)
        self._count("void_timers", "healed", len(unhealed))
        barrier.on_acked(lambda: None)  # a refusal ends the process: the log would stay wrong


assert len(QUEUES) == len(Lane), "every lane has a queue"
