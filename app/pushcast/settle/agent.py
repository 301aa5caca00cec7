"""Glue of SETTLE: retry records wait until they are due, parked ones until nothing holds them; then they go back to the
send topic that they came from.

All rungs and the parked topic, one group. Each partition is a queue whose head goes first (delays within a rung are
equal but for the jitter), so records leave in order. Nothing sleeps: a timer per partition wakes it, and the
transport's bounds pause what is full. Between passes (`passes`) a parked partition is a queue that waits.
"""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import islice

from pushcast.config.stages import Flood
from pushcast.handover import standing
from pushcast.handover.exact import Exactness
from pushcast.handover.fences import Fences
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.settle.decide import read, wait_seconds
from pushcast.settle.holding import ControlHolding
from pushcast.settle.outputs import Counters, SettleOutputs
from pushcast.settle.passes import Intervals, Passes
from pushcast.settle.queue import Queue, Waiting
from pushcast.settle.reads import GROUP
from pushcast.settle.recheck import Recheck
from pushcast.stream.batch import TP, Batch, Committed, Record
from pushcast.stream.callbacks import guarded
from pushcast.stream.cancelling import Cancels, NothingCancelled
from pushcast.stream.edge import Edge, counting
from pushcast.stream.flood import FloodGuard
from pushcast.stream.ports import CallLater, Fatal, Outbox
from pushcast.stream.retrying import retried
from pushcast.stream.runner import Runner
from pushcast.stream.stage import Stage
from pushcast.stream.tenure import Tenures
from pushcast.wire import topics
from pushcast.wire.control.control_state import ControlChange, ControlEvent, ControlState
from pushcast.wire.schemas import NEWEST_GENERATION
from pushcast.wire.sending.parked import time_of

#: Outputs, and bytes of records, before the loop gets a turn and the outbox is asked for room. One record adds at most
#: 1,000 receipts.
OUTPUTS_PER_TURN = 500
BYTES_PER_TURN = 4 << 20
#: Records at the head of a parked partition among which a probe is looked for between passes.
PROBE_RECORDS = 100


class SettleStage(Stage):
    """See the module. Not thread safe: it belongs to the event loop."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        clock: Clock,
        longest_seconds: float,
        exact: Exactness,
        counters: Counters,
        fatal: Fatal,
        call_later: CallLater | None = None,
        control: ControlState | None = None,
        intervals: Intervals = Intervals(),  # noqa: B008 - immutable
        flood: Flood = Flood(),  # noqa: B008 - immutable
        schema_generation: int = NEWEST_GENERATION,
        cancels: Cancels | None = None,
        quiet_spread_ms: int = 0,
        recheck: Recheck | None = None,
    ) -> None:
        """Without `control` nothing holds; without `cancels` nothing is cancelled while it waits."""
        self.counters = counters
        self._cancels: Cancels = cancels or NothingCancelled()
        self._outputs = SettleOutputs(
            outbox, clock, counters, self._cancels.state, schema_generation, quiet_spread_ms, recheck
        )
        self._count = counting(counters)
        self._edge = Edge("settle", outbox, self._count, FloodGuard(flood, clock))
        self._outbox = outbox
        self._clock = clock
        self._longest_seconds = longest_seconds
        self._fatal = fatal
        self._guarded = guarded(f"{GROUP}: a step of the settler failed", fatal)
        self._call_later = call_later
        self._exact = exact
        control = control or ControlState()
        self._holding = ControlHolding(control)
        self._intervals = intervals
        self._queues = Tenures(self._new_queue)
        control.subscribe(self._changed)

    def waiting(self) -> int:
        """Records that are fetched and not due yet, or not passed on yet."""
        return sum(len(queue.records) for queue in self._queues)

    async def handle(self, batch: Batch) -> None:
        """Takes the records over and returns; each is passed on when it is due."""
        tp = TP(batch.topic, batch.partition)
        queue = self._queues.of(tp)
        now_ms, now = self._clock.now_ms(), self._clock.monotonic_seconds()
        nobodys: list[int] = []
        for record in batch.records:
            if not self._counts(queue, record):
                nobodys.append(record.offset)
                continue
            if queue.passes is not None:
                queue.records.append(Waiting(batch, record, now))
                if self._holding.may_go(record):
                    queue.passes.may_go(now)
                elif (until_ms := time_of(record.headers)) is not None:
                    queue.passes.may_go_at(now + max(0.0, (until_ms - now_ms) / 1000))
            else:
                wait = wait_seconds(record.headers, record.timestamp, now_ms, self._longest_seconds)
                queue.records.append(Waiting(batch, record, now + wait))
        batch.done_many(nobodys)
        queue.runner.wake()

    def _new_queue(self, tp: TP, committed: Committed) -> Queue:
        passes = Passes(self._intervals, self._clock.monotonic_seconds()) if tp.topic == topics.PARKED else None
        return Queue(tp, Fences(standing.decode(committed.metadata).origins), passes, self._runner_of)

    def _runner_of(self, queue: Queue) -> Runner:
        what = f"{GROUP}: {queue.tp.topic}[{queue.tp.partition}]"
        return Runner(what, partial(self._wait, queue), partial(self._pass_on, queue), self._fatal, self._call_later)

    def _wait(self, queue: Queue) -> float | None:
        return queue.wait_seconds(self._clock.monotonic_seconds(), self._holding.probing())

    def _counts(self, queue: Queue, record: Record) -> bool:
        """False for fences, for what a settler carried over that had lost its partition, and for copies."""
        try:
            if not queue.fences.counts(record.headers, record.offset, partial(self._void, queue)):
                return False
        except InvalidInput:
            return True  # what is wrong with it is said when it is due
        return not queue.copies.leaves_out(queue.tp, record, self._count)

    def _void(self, queue: Queue) -> None:
        self.counters["void", queue.tp.topic] += 1

    def _changed(self, change: ControlChange) -> None:
        if change.event in (ControlEvent.RESUMED, ControlEvent.CLOSED):
            for queue in self._queues:
                if queue.passes is not None:
                    queue.passes.resumed()
        self._guarded(self._wake_parked)

    def _wake_parked(self) -> None:
        for queue in self._queues:
            if queue.passes is not None:
                queue.runner.wake()

    # partitions come and go

    async def assigned(self, committed: dict[TP, Committed]) -> None:
        """Forgets what waited before: Kafka hands it over again. Learns what predecessors passed on already."""
        self._queues.begin(committed)
        await self._cancels.follow(tp.partition for tp in committed)
        await self._exact.take_over(self.work, committed)
        await self._exact.look_back(committed, lambda tp: self._queues.of(tp).copies)
        for tp in committed:
            passes = self._queues.of(tp).passes
            if passes is not None:
                passes.go_on(self._exact.unseen_from(tp))

    def commit_metadata(self, tp: TP, offset: int) -> str:
        """Epoch and output positions of the hand-over, and the fences below the offset."""
        queue = self._queues.get(tp)
        origins = {} if queue is None else queue.fences.below(offset)
        return self._exact.metadata(tp, offset, origins)

    async def refresh(self) -> None:
        """Output positions of partitions where nothing happens."""
        await self._exact.refresh(self.work)

    async def revoking(self, partitions: set[TP]) -> None:
        """Passes nothing more on, and waits until Kafka has acknowledged what was passed on. The rest is redelivered.

        The transport bounds the wait.
        """
        await self._queues.end(partitions)

    # passing on

    async def _pass_on(self, queue: Queue) -> None:
        """Everything that is due, in order; waits for nothing but the outbox's room."""
        if queue.passes is not None:
            await self._begin(queue, queue.passes)
        while queue.is_due(self._clock.monotonic_seconds()):
            await self._outbox.room()
            if queue.closed or not queue.records:
                return
            self._turn(queue)
            await asyncio.sleep(0)

    async def _begin(self, queue: Queue, passes: Passes) -> None:
        """Begins a pass or a probe, when none is under way and it is time."""
        now = self._clock.monotonic_seconds()
        if not queue.records or queue.records[0].record.offset < passes.end:
            return
        if passes.due(now):
            await retried(
                f"the end of {queue.tp.topic}[{queue.tp.partition}]",
                partial(self._begin_pass, queue, passes),
                lambda: queue.closed,
            )
        elif passes.probe_due(now):
            at = self._holding.probe_among(islice(queue.records, PROBE_RECORDS))
            if at is None:
                passes.no_probe(now)
            else:
                passes.begin_probe(at + 1, now, self._fresh(queue))

    async def _begin_pass(self, queue: Queue, passes: Passes) -> None:
        passes.starting()
        ends = await self.work.ends([queue.tp])
        passes.begin(ends[queue.tp], self._clock.monotonic_seconds(), self._fresh(queue))

    def _fresh(self, queue: Queue) -> frozenset[tuple[str, str]]:
        return self._holding.fresh_among(islice(queue.records, PROBE_RECORDS))

    def _turn(self, queue: Queue) -> None:
        barrier = self._outbox.barrier()
        offsets: dict[Batch, list[int]] = {}
        outputs = size = 0
        tp, origin = queue.tp, self._exact.origin(queue.tp)
        now = self._clock.monotonic_seconds()
        while outputs < OUTPUTS_PER_TURN and size < BYTES_PER_TURN and queue.is_due(now):
            batch, record, _ = queue.records.popleft()
            if batch.lost:
                continue
            there = self._exact.begin(tp, record.offset)
            try:
                sent, doubtful = read(record.value, record.headers)
            except Exception as error:
                self._bury(queue, batch, record, self._edge.refusal(record, error))
                outputs += 1
                continue
            self._edge.note(tp, 1)
            if queue.passes is None:
                outputs += self._outputs.put(barrier, record, sent, doubtful, origin, there).puts
            else:
                holds = self._holding.holds(queue.passes, record)
                put = self._outputs.put(barrier, record, sent, doubtful, origin, there, holds)
                outputs += put.puts
                returning = put.sent_bytes if self._holding.may_return(record) else 0
                queue.passes.costs(put.carried_bytes + returning)
            size += len(record.value or b"")
            offsets.setdefault(batch, []).append(record.offset)
        if offsets:
            queue.pending.begun()
            barrier.on_acked(partial(self._guarded, partial(self._acked, queue, offsets)))

    def _bury(self, queue: Queue, batch: Batch, record: Record, error: InvalidInput) -> None:
        """Raises Flooded when too many records of this partition are no batches."""
        self._edge.note(queue.tp, 0, (error,))
        queue.pending.begun()
        self._edge.bury(record, error, partial(self._guarded, partial(self._acked, queue, {batch: [record.offset]})))

    def _acked(self, queue: Queue, offsets: dict[Batch, list[int]]) -> None:
        queue.pending.ended()
        for batch, mine in offsets.items():
            batch.done_many(mine)
