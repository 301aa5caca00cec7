"""Glue of WALK: orders in, send batches and legs out. One stage per lane, in the planner's App beside PLAN.

A walk takes the event loop for slices of a millisecond. It waits while it is held, while it is ahead of its pace, and
while the senders have too much of it; and it takes a tenth of the time while notifications of its partition wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Final

from pushcast.config.settings import Settings
from pushcast.handover import standing
from pushcast.handover.fences import Fences
from pushcast.handover.runner import Handover
from pushcast.model.clock import Clock
from pushcast.model.words import Lane
from pushcast.stream.batch import TP, Batch, Committed
from pushcast.stream.callbacks import guarded
from pushcast.stream.edge import Edge, counting
from pushcast.stream.flood import FloodGuard
from pushcast.stream.lane_senders import LaneSenders
from pushcast.stream.ports import CallLater, Fatal, PositionedOutbox
from pushcast.stream.retrying import retried
from pushcast.stream.runner import Runner
from pushcast.stream.sharing import Sharing
from pushcast.stream.stage import Stage
from pushcast.stream.table import Table
from pushcast.stream.tenure import Tenures
from pushcast.walk.ahead import Ahead
from pushcast.walk.course import Course
from pushcast.walk.courses import Courses
from pushcast.walk.intake import OrderIntake
from pushcast.walk.legs import START
from pushcast.walk.outputs import WalkOutputs
from pushcast.walk.pace import PartitionRates
from pushcast.walk.senders import Asking
from pushcast.walk.served import Served
from pushcast.walk.slices import Slices
from pushcast.walk.tenure import Underway, WalkTenure
from pushcast.walk.waits import WalkWaits
from pushcast.walk.walking import Walking
from pushcast.wire import topics
from pushcast.wire.control.control_state import ControlState

COUNTED_ROWS: Final = 5_000  # at a time, when the rows of a partition are counted
Sleep = Callable[[float], Awaitable[None]]


class WalkStage(Stage):
    """One planner App's walks. `call_later` and `sleep` are the loop's, `cpu_seconds` its thread's, unless a test has
    its own."""

    def __init__(
        self,
        settings: Settings,
        lane: Lane,
        table: Table,
        outbox: PositionedOutbox,
        clock: Clock,
        *,
        handover: Handover,
        control: ControlState,
        senders: LaneSenders,
        served: Served,
        fatal: Fatal,
        counters: MutableMapping[tuple[str, str], int],
        call_later: CallLater | None = None,
        sleep: Sleep = asyncio.sleep,
        cpu_seconds: Callable[[], float] = time.thread_time,
    ) -> None:
        self._settings = settings
        self._limits = settings.broadcast
        self._table = table
        self._outbox = outbox
        self._clock = clock
        self._handover = handover
        self._served = served
        self._fatal = fatal
        self._call_later = call_later
        self._sleep = sleep
        self._sharing = Sharing(clock, sleep, self._limits.min_share)
        self._name = f"walk-{lane}"
        self._count = counting(counters)
        edge = Edge(self._name, outbox, self._count, FloodGuard(settings.flood, clock))
        step = guarded(f"{self._name}: a step failed", fatal)
        self._outputs = WalkOutputs(outbox, lane, clock, handover, self._count, step)
        self._courses = Courses(settings, lane, clock.now_ms, control.paces)
        self._orders = OrderIntake(self._name, clock, edge, self._count, self._courses, settings.kafka.partitions)
        self._tenures = Tenures(self._new_tenure)
        self._waits = WalkWaits(self._limits, table, control, clock)
        self._slices = Slices(self._limits, table, self._outputs, self._waits, clock, cpu_seconds)
        self._asking = Asking(self._name, senders, self._tenures, clock, fatal, call_later)

    def reload(self, settings: Settings) -> None:
        """Broadcasts that come from now on go by these classes."""
        self._courses.reload(settings)

    def _new_tenure(self, tp: TP, committed: Committed) -> WalkTenure:
        walking = self._handover.state(tp)
        if not isinstance(walking, Walking):
            raise TypeError(f"{self._name}: the hand-over has no walks")
        fences = Fences(standing.decode(committed.metadata).origins)
        ahead = Ahead(self._limits.max_ahead_targets)
        rates = PartitionRates(self._courses.rates, self._settings.kafka.partitions)
        return WalkTenure(tp, walking, fences, ahead, rates, self._limits.slice_rows, self._new_runner)

    def _new_runner(self, tenure: WalkTenure) -> Runner:
        what = f"{self._name}: a walk of partition {tenure.number}"
        return Runner(what, partial(self._wait, tenure), partial(self._work, tenure), self._fatal, self._call_later)

    # partitions come and go

    async def assigned(self, committed: dict[TP, Committed]) -> None:
        """Fences predecessors off, learns what they planned, and says their cursors again.

        Raises TimeoutError, and is called again, while this process has no table for one of the partitions.
        """
        missing = sorted(tp.partition for tp in committed if not self._table.held(tp.partition))
        if missing:
            raise TimeoutError(f"the devices table has no partition {missing}: its topic is not known to the group yet")
        self._tenures.forget(committed)
        await self._handover.take_over(self.work, committed)
        self._tenures.begin(committed)
        for tp in committed:
            await self._restate(self._tenures.of(tp))

    async def _restate(self, tenure: WalkTenure) -> None:
        cursors = tenure.walking.to_restate()
        await self._outbox.room()
        at = self._outputs.positions(tenure)[topics.WALKED]
        barrier = self._outbox.barrier()
        for walk, leg in cursors:
            self._outputs.inherited(barrier, tenure, walk, leg)
        if cursors:
            await barrier.wait()
        for walk, leg in cursors:
            tenure.walking.restated(walk, leg, at)

    def commit_metadata(self, tp: TP, offset: int) -> str:
        """Epoch and positions of the hand-over, fences of the orders' writer, and how far orders were taken."""
        tenure = self._tenures.get(tp)
        return self._handover.metadata(tp, offset, None if tenure is None else tenure.fences.below(offset))

    async def refresh(self) -> None:
        """Output positions of partitions where nothing happens."""
        await self._handover.refresh(self.work)

    async def revoking(self, partitions: set[TP]) -> None:
        """Begins no slice any more, and waits until Kafka has what is under way."""
        try:
            await self._tenures.end(partitions)
        finally:
            self._tenures.forget(partitions)

    # orders

    async def handle(self, batch: Batch) -> None:
        """Takes the orders over and returns; each is done when its last leg is acknowledged."""
        tenure = self._tenures.of(TP(batch.topic, batch.partition))
        for record in batch.records:
            await self._outbox.room()
            self._orders.take(tenure, batch, record)
        tenure.runner.wake()

    # slices

    def _wait(self, tenure: WalkTenure) -> float | None:
        waits = [self._blocked(tenure, order) for order in tenure.orders[: self._limits.max_open]]
        return min((wait for wait in waits if wait is not None), default=None)

    def _blocked(self, tenure: WalkTenure, order: Underway) -> float | None:
        wait = self._waits.blocked(tenure, order)
        if wait and self._waits.too_far_ahead(tenure, self._clock.monotonic_seconds()):
            self._asking.wake()
        return wait

    async def _work(self, tenure: WalkTenure) -> None:
        """One slice after the other, of each order in turn, while there is one that may go on."""
        while not tenure.closed:
            order = next(
                (each for each in tenure.turns(self._limits.max_open) if self._blocked(tenure, each) == 0.0), None
            )
            if order is None:
                return
            await self._outbox.room()
            if not self._waits.ending(order):
                if order.table_end is None:
                    await retried(self._name, partial(self._look_at_table, tenure, order), lambda: tenure.closed)
                    continue
                if order.course is not None and order.course.served is None:
                    await retried(self._name, partial(self._read_served, tenure, order.course), lambda: tenure.closed)
                    continue
                if order.pacer is not None and order.pacer.counts_rows:
                    order.rows = order.pacer.rows = await self._count_rows(tenure)
            if tenure.closed:
                return
            began = self._clock.monotonic_seconds()
            self._slices.take(tenure, order, began)
            self._asking.wake()
            await self._sharing.pause(partial(self.work.waits_beside, tenure.number), began)

    async def _look_at_table(self, tenure: WalkTenure, order: Underway) -> None:
        """A registration that was acknowledged before the order came is in the table before it is walked."""
        at = TP(topics.DEVICE, tenure.number)
        order.table_end = (await self.work.ends([at]))[at]
        order.rows = self._table.count(tenure.number)

    async def _read_served(self, tenure: WalkTenure, course: Course) -> None:
        """Read again by every owner: what a predecessor knew is not written down."""
        if course.broadcast.not_to is not None:
            course.served = await self._served(tenure.number, course.broadcast.not_to)

    async def _count_rows(self, tenure: WalkTenure) -> int:
        count, key = 0, START
        while rows := self._table.rows_after(tenure.number, key, COUNTED_ROWS):
            count, key = count + len(rows), rows[-1][0]
            await self._sleep(0)
        return count
