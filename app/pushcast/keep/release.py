"""Lets timers go when they are due: in the order of their lanes and times, a bounded number at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from pushcast.keep import queues
from pushcast.keep.configured import KeepRules
from pushcast.keep.due_rows import DueRows
from pushcast.keep.healing import KeepHealing
from pushcast.keep.index import QUEUES, IndexPlace, entry_of, is_paced, left_over, place_of, until
from pushcast.keep.ports import KeepPorts
from pushcast.keep.queues import Queues
from pushcast.keep.rows import Rows
from pushcast.keep.tenure import KeepTenure, OpenedTimer
from pushcast.keep.turns import Turns
from pushcast.model.words import Lane
from pushcast.stream.runner import Runner
from pushcast.wire.waiting.timers import user_key

#: Until a partition that lets nothing go is looked at again.
HELD_SECONDS: Final = 1.0
#: Of all partitions together, under way at a time: what is urgent comes behind the acknowledgements of no more. Of each
#: one it is a slice at least.
MAX_FIRING: Final = 4_000


class Release:
    """Of all partitions of one stage. It belongs to the event loop."""

    def __init__(
        self,
        ports: KeepPorts,
        rows: Rows,
        due_rows: DueRows,
        healing: KeepHealing,
        asked: KeepRules,
        held: Callable[[KeepTenure], bool],
    ) -> None:
        """`held`: whether a partition lets nothing go now, however long."""
        self._table = ports.table
        self._rows = rows
        self._room = ports.room
        self._fatal = ports.fatal
        self._call_later = ports.call_later
        self._due_rows = due_rows
        self._healing = healing
        self._held = held
        self._queues = Queues(ports.table, asked.rates, asked.partitions, asked.remember_ms)
        self._max_firing = max(queues.SLICE_TIMERS, MAX_FIRING // asked.partitions)
        self._turns = Turns()

    def runner_of(self, tenure: KeepTenure) -> Runner:
        """Runs when a timer of the partition is due; wake it when rows were applied or written."""
        what = f"keep: timers of partition {tenure.number}"
        return Runner(
            what, partial(self.wait_seconds, tenure), partial(self._work, tenure), self._fatal, self._call_later
        )

    def wait_seconds(self, tenure: KeepTenure) -> float | None:
        """Until the next one may leave; None: nothing waits, or something else wakes."""
        if self._healing.unhealed(tenure):
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
                if not self._due_rows.under_way(tenure, place.key):
                    return place
            first, limit = entries[-1] + b"\0", min(queues.SLICE_TIMERS, 16 * limit)
        return None

    async def _work(self, tenure: KeepTenure) -> None:
        self._healing.heal(tenure)
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
            stale = self._due_rows.take_many(tenure, left, now_ms)
        self._due_rows.finish(tenure)
        if stale:
            self._table.forget_entries(tenure.number, stale)

    def _may_take(self, tenure: KeepTenure, queue: bytes, place: IndexPlace, now_ms: int) -> bool:
        """`DueRows.take`, unless a rate has no room for it: then its entry stays as it is."""
        rate = self._queues.rate(queue)
        if rate is None:
            return self._due_rows.take(tenure, place, now_ms)
        bucket, before = self._queues.bucket(tenure, queue, now_ms), tenure.fired
        if not bucket.allowed(rate, now_ms):
            return True
        known = self._due_rows.take(tenure, place, now_ms)
        bucket.take(tenure.fired - before)
        return known

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
                self._due_rows.take_waiting(tenure, key, timer, now_ms)
        self._due_rows.finish(tenure)

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


assert len(QUEUES) == len(Lane), "every lane has a queue"
