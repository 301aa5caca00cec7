"""Hears the broker's time again and again, and keeps due times true to the zones that this process knows."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from pushcast.keep.index import QUEUES, behind, place_of
from pushcast.keep.ports import KeepPorts
from pushcast.keep.queues import paced_in
from pushcast.keep.rows import Rows
from pushcast.keep.rules import looked_at_again
from pushcast.keep.tenure import KeepTenure
from pushcast.model.zones import tzdata_version
from pushcast.stream.ports import Barrier
from pushcast.stream.runner import Runner
from pushcast.wire import topics
from pushcast.wire.waiting.clock_rows import KEY, ClockRow, encode_clock, tzdata_of

#: Timers between two looks at the outbox, and turns of the loop for others.
SLICE_TIMERS: Final = 500


class Ticking:
    """Of all partitions of one stage. It belongs to the event loop. `tzdata`: the version that this process has."""

    def __init__(self, ports: KeepPorts, rows: Rows, tzdata: str | None = None) -> None:
        self._rows = rows
        self._table = ports.table
        self._outbox = ports.outbox
        self._count = ports.count
        self._room = ports.room
        self._fatal = ports.fatal
        self._call_later = ports.call_later
        self._tzdata = tzdata or tzdata_version()

    def runner_of(self, tenure: KeepTenure) -> Runner:
        """Runs every few seconds in which nothing else is written, once it is woken."""
        what = f"keep: clock of partition {tenure.number}"
        return Runner(what, partial(self._wait, tenure), partial(self._work, tenure), self._fatal, self._call_later)

    def begin(self, tenure: KeepTenure, barrier: Barrier) -> None:
        """Asks for the time, of an assignment that knows nothing yet."""
        tenure.tzdata = tzdata_of(self._table.get(tenure.number, KEY)) or self._tzdata
        self._tick(tenure, barrier)

    def _wait(self, tenure: KeepTenure) -> float:
        return 0.0 if tenure.tzdata != self._tzdata else tenure.time.asks_again_in()

    async def _work(self, tenure: KeepTenure) -> None:
        if tenure.tzdata != self._tzdata:
            await self._look_at_all(tenure)
        barrier = self._outbox.barrier()
        self._tick(tenure, barrier)
        barrier.on_acked(lambda: None)  # a refusal ends the process: nothing would be due any more

    def _tick(self, tenure: KeepTenure, barrier: Barrier) -> None:
        tenure.time.asks()
        value = encode_clock(ClockRow(tenure.tzdata))
        self._outbox.put(barrier, topics.USER, tenure.number, value, KEY, tenure.origin)

    async def _look_at_all(self, tenure: KeepTenure) -> None:
        """Zones were changed: what waits for a time of some zone goes to its planner at once, which knows when it is
        due now. The wall time is what was asked for; the instant was only found by it."""
        for queue in [*QUEUES, *paced_in(self._table, tenure.number)]:
            first = queue
            while entries := self._table.index(tenure.number, first, behind(queue), SLICE_TIMERS):
                await self._room()
                barrier = self._outbox.barrier()
                for place in map(place_of, entries):
                    if place.key in tenure.firing or self._rows.in_flight(tenure, place.key):
                        continue  # it is let go, or was written by these zones
                    timer = looked_at_again(self._rows.timer(tenure, place.key))
                    if timer is not None:
                        self._rows.put(tenure, barrier, place.key, timer)
                        self._count("zones_changed", "", 1)
                await barrier.wait()
                first = entries[-1] + b"\0"
                await asyncio.sleep(0)
        tenure.tzdata = self._tzdata
