"""Glue of PLAN: records in, windows, send batches and planned records out. One stage per lane."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, MutableMapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from pushcast.config.settings import Settings
from pushcast.model.clock import Clock
from pushcast.model.words import Lane
from pushcast.plan.entry import Entry
from pushcast.plan.intake import Intake
from pushcast.plan.outputs import Outputs
from pushcast.plan.recent import Recent
from pushcast.plan.state import PartitionState, Timer
from pushcast.plan.windows import Limits, PartitionWindows, WindowRule
from pushcast.stream.batch import TP, Bounds, Committed, Record
from pushcast.stream.callbacks import guarded
from pushcast.stream.edge import Edge
from pushcast.stream.flood import FloodGuard
from pushcast.stream.stage import Stage
from pushcast.stream.tracker import record_bytes
from pushcast.wire import headers as h
from pushcast.wire.schemas import SchemaSource

if TYPE_CHECKING:
    from pushcast.handover.runner import Handover
    from pushcast.stream.batch import Batch
    from pushcast.stream.ports import Outbox
    from pushcast.stream.table import Table

#: Source records taken between two looks at the outbox: bounds what one look lets in, and how long the loop is held.
SLICE_RECORDS = 500
SLICE_BYTES = 2 << 20
#: Of one partition: what its windows hold open before all of them close, and where the transport pauses it.
MAX_OPEN_BYTES = 16 << 20
MAX_UNFINISHED_BYTES = 32 << 20

CallLater = Callable[[float, Callable[[], None]], Timer]


def bounds(settings: Settings) -> Bounds:
    """Where the transport pauses a partition of PLAN: above what makes its windows close, or they would wait for it."""
    return Bounds(records=settings.plan.max_open_records + 5_000, bytes=MAX_UNFINISHED_BYTES)


class PlanStage(Stage):
    """One planner App's stage. `fatal` ends the process unacknowledged when a timer's work fails unexpectedly.

    `call_later` is the loop's unless a test has its own. Without `handover` what was under way when a process died is
    planned twice.
    """

    def __init__(
        self,
        settings: Settings,
        lane: Lane,
        table: Table,
        outbox: Outbox,
        clock: Clock,
        *,
        fatal: Callable[[BaseException], None],
        counters: MutableMapping[tuple[str, str], int],
        schemas: SchemaSource | None = None,
        call_later: CallLater | None = None,
        handover: Handover | None = None,
    ) -> None:
        self._settings = settings
        self._table = table
        self._outbox = outbox
        self._clock = clock
        self._fatal = fatal
        self._counters = counters
        self._call_later = call_later
        self._handover = handover
        self._stage = f"plan-{lane}"
        self._guarded = guarded(f"{self._stage}: a step failed", lambda _, error: fatal(error))
        self._edge = Edge(self._stage, outbox, self._count, FloodGuard(settings.flood, clock))
        self._outputs = Outputs(outbox, lane, clock, self._count, self._edge, self._guarded)
        self._intake = Intake(settings, lane, table, clock, self._outputs, self._count, schemas, handover)
        self._schemas = schemas
        seed = settings.plan.window_seed
        rng = random.Random(seed) if seed is not None else random.SystemRandom()
        self._rules = {name: WindowRule(rule, rng) for name, rule in settings.classes.items()}
        plan = settings.plan
        self._limits = Limits(plan.max_targets, plan.max_batch_bytes, plan.max_open_records, MAX_OPEN_BYTES)
        self._partitions: dict[int, PartitionState] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def assigned(self, committed: dict[TP, Committed]) -> None:
        """Fences the predecessors off and reads what they wrote; nothing is planned before.

        Raises TimeoutError, and is called again, while this process has no table for one of the partitions.
        """
        missing = sorted(tp.partition for tp in committed if not self._table.held(tp.partition))
        if missing:
            raise TimeoutError(f"the devices table has no partition {missing}: its topic is not known to the group yet")
        for tp in committed:
            self._partitions.pop(tp.partition, None)
        if self._handover is not None:
            await self._handover.take_over(self.work, committed)

    def commit_metadata(self, tp: TP, offset: int) -> str:
        """Epoch and output positions of the hand-over."""
        return "" if self._handover is None else self._handover.metadata(tp, offset)

    async def refresh(self) -> None:
        """Output positions of partitions where nothing happens."""
        if self._handover is not None:
            await self._handover.refresh(self.work)

    async def revoking(self, partitions: set[TP]) -> None:
        """Closes every window and settles every second look-up, then waits until Kafka has it all."""
        states = [state for tp in partitions if (state := self._partitions.get(tp.partition)) is not None]
        try:
            for state in states:
                state.closing = True
                state.stop_timer()
                await self._look_up_again(state, float("inf"))
                state.windows.close_all()
                await self._emit(state)
            for state in states:
                await state.idle()
        finally:
            for state in states:
                self._partitions.pop(state.number, None)

    async def handle(self, batch: Batch) -> None:
        """Returns when the records are in windows or in the outbox; they are done later, out of order.

        Records that were taken before an error are skipped when the batch comes again.
        """
        if self._schemas is not None:
            await self._schemas.prepare([record.value for record in batch.records])
        state = self._partition(TP(batch.topic, batch.partition))
        records = batch.records
        start = 0
        while start < len(records):
            end = _slice_end(records, start)
            fresh = [record for record in records[start:end] if record.offset >= state.taken_to]
            await self._outbox.room()
            if fresh:
                taken = self._intake.read(state, fresh)
                self._edge.note(state.tp, len(taken.records), [error for _, error in taken.refused])
                if self._handover is not None:
                    self._handover.note(state.tp, fresh[0].offset, fresh[-1].offset)
                state.taken_to = fresh[-1].offset + 1
                self._intake.plan(state, batch, taken)
                await self._turn(state)
            start = end

    async def _look_up_again(self, state: PartitionState, now: float) -> None:
        while state.later and state.later[0][0] <= now:
            await self._outbox.room()
            # No await from here on: an entry is in `later`, in a window or in the outbox.
            entries: list[Entry] = []
            while state.later and state.later[0][0] <= now and len(entries) < SLICE_RECORDS:
                entries.append(state.later.popleft()[1])
            self._intake.plan_again(state, entries)

    async def _turn(self, state: PartitionState) -> None:
        """Emits what has closed and sets the timer for what closes next."""
        state.windows.close_due(self._clock.monotonic_seconds())
        if state.windows.has_closed:
            await self._emit(state)
        if state.closing:
            return
        state.stop_timer()
        due = state.next_due()
        if due is not None:
            call_later: CallLater = self._call_later or asyncio.get_running_loop().call_later
            delay = max(0.0, due - self._clock.monotonic_seconds())
            state.timer = call_later(delay, partial(self._guarded, partial(self._start_turn, state)))

    async def _emit(self, state: PartitionState) -> None:
        while state.windows.has_closed:
            await self._outbox.room()
            if state.windows.has_closed:  # another turn may have taken it meanwhile
                self._outputs.window(state, state.windows.take_closed())

    def _start_turn(self, state: PartitionState) -> None:
        state.timer = None
        task = asyncio.get_running_loop().create_task(self._timed_turn(state))
        self._tasks.add(task)
        task.add_done_callback(self._turned)

    async def _timed_turn(self, state: PartitionState) -> None:
        await self._look_up_again(state, self._clock.monotonic_seconds())
        await self._turn(state)

    def _turned(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fatal(error)

    def _partition(self, tp: TP) -> PartitionState:
        state = self._partitions.get(tp.partition)
        if state is None:
            windows = PartitionWindows(self._rules, self._limits)
            if self._handover is None:
                origin = h.origin(self._stage, tp.partition, self._clock.now_ms() // 1000)
            else:
                origin = self._handover.origin(tp)
            state = PartitionState(tp, windows, Recent(self._settings.plan.max_open_records), origin)
            self._partitions[tp.partition] = state
        return state

    def _count(self, name: str, word: str, by: int) -> None:
        key = (name, word)
        self._counters[key] = self._counters.get(key, 0) + by


def _slice_end(records: Sequence[Record], start: int) -> int:
    end, size = start, 0
    while end < len(records) and end - start < SLICE_RECORDS and size < SLICE_BYTES:
        size += record_bytes(records[end])
        end += 1
    return end
