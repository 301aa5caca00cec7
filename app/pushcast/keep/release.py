"""Lets timers go when they are due: in the order of their lanes and times, a bounded number at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from pushcast.keep.exact import KeepHandover
from pushcast.keep.index import ALL, QUEUES, Place, behind, entry_of, place_of, until
from pushcast.keep.rows import Rows
from pushcast.keep.rules import released
from pushcast.keep.tenure import KeepTenure
from pushcast.model.clock import Clock
from pushcast.model.words import Lane
from pushcast.stream.callbacks import Guarded
from pushcast.stream.edge import Count
from pushcast.stream.ports import CallLater, Fatal, Outbox
from pushcast.stream.runner import Runner
from pushcast.stream.table import Table
from pushcast.wire import topics
from pushcast.wire.held import released_headers
from pushcast.wire.timers import Timer, user_key

logger = logging.getLogger(__name__)

#: Timers between two looks at the outbox, and turns of the loop for others.
SLICE_TIMERS: Final = 500
#: Of one partition, under way at a time.
MAX_FIRING: Final = 5_000


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
        call_later: CallLater | None = None,
    ) -> None:
        self._rows = rows
        self._table = table
        self._exact = exact
        self._outbox = outbox
        self._clock = clock
        self._count = count
        self._room = room
        self._guarded = guarded
        self._fatal = fatal
        self._call_later = call_later
        self._late_ms = 0

    def late_seconds(self) -> float:
        """The longest since the last question."""
        late, self._late_ms = self._late_ms, 0
        return late / 1000

    def runner_of(self, tenure: KeepTenure) -> Runner:
        """Runs when a timer of the partition is due; wake it when rows were applied or written."""
        what = f"keep: timers of partition {tenure.number}"
        return Runner(what, partial(self._wait, tenure), partial(self._work, tenure), self._fatal, self._call_later)

    def _wait(self, tenure: KeepTenure) -> float | None:
        if self._unhealed(tenure):
            return 0.0
        if len(tenure.firing) >= MAX_FIRING:
            return None  # an acknowledgement wakes
        found = [place.at_ms for queue in ALL if (place := self._first(tenure, queue)) is not None]
        return (min(found) - self._clock.now_ms()) / 1000 if found else None

    def _first(self, tenure: KeepTenure, queue: bytes) -> Place | None:
        """The first entry of a queue whose row is not under way: when it is, the table's hook or an acknowledgement
        wakes."""
        first = queue
        while entries := self._table.index(tenure.number, first, behind(queue), SLICE_TIMERS):
            for place in map(place_of, entries):
                if not self._under_way(tenure, place.key):
                    return place
            first = entries[-1] + b"\0"
        return None

    def _under_way(self, tenure: KeepTenure, key: bytes) -> bool:
        return key in tenure.firing or self._rows.in_flight(tenure, key)

    async def _work(self, tenure: KeepTenure) -> None:
        self._heal(tenure)
        for queue in ALL:
            first = queue
            while True:
                await self._room()
                now_ms = self._clock.now_ms()
                entries = self._table.index(tenure.number, first, until(queue, now_ms), SLICE_TIMERS)
                if not entries or len(tenure.firing) >= MAX_FIRING:
                    break
                first = entries[-1] + b"\0"
                stale = [place.entry for place in map(place_of, entries) if not self._take(tenure, place, now_ms)]
                if stale:
                    self._table.forget_entries(tenure.number, stale)
                await asyncio.sleep(0)

    def _take(self, tenure: KeepTenure, place: Place, now_ms: int) -> bool:
        """False for an entry that says nothing any more: only the table's own row decides that. What is in flight may
        yet be void, and the entry would be missed."""
        if self._under_way(tenure, place.key):
            return True
        timer = self._rows.get(tenure, place.key)
        if timer is None or entry_of(place.key, timer) != place.entry:
            return False
        if timer.waits:
            self._fire(tenure, place.key, timer, now_ms)
        else:
            self._close(tenure, place.key, None)
        return True

    def _fire(self, tenure: KeepTenure, key: bytes, timer: Timer, now_ms: int) -> None:
        number = self._exact.begin(tenure.number)
        tenure.firing.add(key)
        tenure.pending.begun()
        if timer.due_at:
            self._late_ms = max(self._late_ms, now_ms - timer.due_at)
        name = f"{timer.name}|{key.decode()}"
        headers = released_headers(
            tenure.origin,
            name,
            timer.written_at,
            timer.closes,
            timer.trace,
            timer.part,
            timer.done,
            timer.due_at,
        )
        barrier = self._outbox.barrier()
        topic = topics.due(Lane(timer.lane))
        self._outbox.put(barrier, topic, tenure.number, timer.event, user_key(key), headers)
        barrier.on_acked(partial(self._guarded, partial(self._let_go, tenure, key, timer, number)))
        self._count("closed", timer.closes or "released", 1)

    def _let_go(self, tenure: KeepTenure, key: bytes, timer: Timer, number: int) -> None:
        """Kafka has the due record: the timer is closed."""
        firings = self._exact.firings(tenure.number)

        def closed() -> None:
            firings.end(number)
            self._ended(tenure, key)

        barrier = self._outbox.barrier()
        self._rows.put(tenure, barrier, key, released(timer, self._clock.now_ms()))
        barrier.on_acked(partial(self._guarded, closed))

    def _close(self, tenure: KeepTenure, key: bytes, timer: Timer | None) -> None:
        """Writes a row that nothing waits for."""
        tenure.firing.add(key)
        tenure.pending.begun()
        barrier = self._outbox.barrier()
        self._rows.put(tenure, barrier, key, timer)
        barrier.on_acked(partial(self._guarded, partial(self._ended, tenure, key)))

    def _ended(self, tenure: KeepTenure, key: bytes) -> None:
        tenure.firing.discard(key)
        tenure.pending.ended()
        tenure.runner.wake()

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
