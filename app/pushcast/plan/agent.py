"""Glue of PLAN: records in, windows, send batches and planned records out. One stage per lane."""

from __future__ import annotations

import random
from collections.abc import Mapping, MutableMapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from pushcast.config.classes import Class
from pushcast.config.settings import Settings
from pushcast.handover import standing
from pushcast.handover.exact import Exactness
from pushcast.handover.fences import Fences, author_of
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.own import OwnClass
from pushcast.model.pacing import Rated
from pushcast.model.words import Lane, Source
from pushcast.observe.tracing import BatchSpans
from pushcast.plan.carried import Carried
from pushcast.plan.contents import NOTHING, HeldContents
from pushcast.plan.intake import PlanIntake
from pushcast.plan.outputs import PlanOutputs
from pushcast.plan.reading import PlanReading
from pushcast.plan.recent import Recent, Unseen
from pushcast.plan.tenure import LookAgain, PlanTenure
from pushcast.plan.windows import PartitionWindows, WindowLimits, WindowRule
from pushcast.stream.batch import TP, Bounds, Committed, Record
from pushcast.stream.callbacks import guarded
from pushcast.stream.cancelling import Cancels, NothingCancelled
from pushcast.stream.edge import Edge, counting
from pushcast.stream.flood import FloodGuard
from pushcast.stream.ports import CallLater, Fatal
from pushcast.stream.runner import Runner
from pushcast.stream.sharing import Sharing
from pushcast.stream.stage import Stage
from pushcast.stream.table import Table, require_held
from pushcast.stream.tenure import Tenures
from pushcast.stream.tracker import RECORD_OVERHEAD_BYTES
from pushcast.wire import topics
from pushcast.wire.schemas import SchemaSource

if TYPE_CHECKING:
    from pushcast.stream.batch import Batch
    from pushcast.stream.ports import Outbox

#: Source records taken between two looks at the outbox: bounds what one look lets in, and how long the loop is held.
SLICE_RECORDS = 500
SLICE_BYTES = 2 << 20
#: Of one partition: what its windows hold open before all of them close, and where the transport pauses it.
MAX_OPEN_BYTES = 16 << 20
MAX_UNFINISHED_BYTES = 32 << 20


def bounds(settings: Settings) -> Bounds:
    """Where the transport pauses a partition of PLAN: above what makes its windows close, or they would wait for it."""
    return Bounds(records=settings.plan.max_open_records + 5_000, bytes=MAX_UNFINISHED_BYTES)


class PlanStage(Stage):
    """One planner App's stage. `call_later` is the loop's unless a test has its own."""

    def __init__(
        self,
        settings: Settings,
        lane: Lane,
        table: Table,
        outbox: Outbox,
        clock: Clock,
        *,
        exact: Exactness,
        fatal: Fatal,
        counters: MutableMapping[tuple[str, str], int],
        schemas: SchemaSource | None = None,
        call_later: CallLater | None = None,
        cancels: Cancels | None = None,
        paces: Mapping[str, Rated] | None = None,
        batch_spans: BatchSpans | None = None,
        sharing: Sharing | None = None,
        contents: HeldContents | None = None,
    ) -> None:
        """`paces`: of campaigns, by the control topic. `batch_spans`: of sampled events; None: nobody traces.
        `sharing`: events are ahead of what the keeper let go; None: they come alone. `contents`: of broadcasts that the
        keeper held; None: there are none."""
        self._sharing = sharing
        self._event_topic = topics.notification(lane)
        self._settings = settings
        self._table = table
        self._outbox = outbox
        self._clock = clock
        self._fatal = fatal
        self._call_later = call_later
        self._exact = exact
        self._stage = f"plan-{lane}"
        self._due_topic = topics.due(lane)
        count = self._count = counting(counters)
        self._edge = Edge(self._stage, outbox, count, FloodGuard(settings.flood, clock))
        step = guarded(f"{self._stage}: a step failed", fatal)
        carried = Carried(settings, paces)
        generation = settings.schemas.write
        self._outputs = PlanOutputs(
            outbox, lane, clock, count, self._edge, step, generation, carried=carried, batch_spans=batch_spans
        )
        self._cancels: Cancels = cancels or NothingCancelled()
        state = self._cancels.state
        self._reading = PlanReading(settings, lane, table, clock, self._outputs, count, schemas)
        self._contents = contents
        self._intake = PlanIntake(settings, lane, table, clock, self._outputs, count, exact, state, carried)
        self._schemas = schemas
        seed = settings.plan.window_seed
        rng = random.Random(seed) if seed is not None else random.SystemRandom()
        self._rng = rng
        self._rules = _window_rules(settings, rng)
        self._rules |= {str(name): WindowRule(Class(window_seconds=0.05), rng) for name in OwnClass}
        plan = settings.plan
        removable = frozenset(name for name, each in settings.classes.items() if each.removable)
        bounds = plan.max_targets, plan.max_batch_bytes, plan.max_open_records, MAX_OPEN_BYTES
        self._limits = WindowLimits(*bounds, removable)
        self._tenures = Tenures(self._new_tenure)

    def reload(self, settings: Settings) -> None:
        """Windows that open and notifications that come from now on go by these classes."""
        self._rules.update(_window_rules(settings, self._rng))
        self._reading.reload(settings)
        if self._contents is not None:
            self._contents.reload(settings)

    async def assigned(self, committed: dict[TP, Committed]) -> None:
        """Fences the predecessors off and reads what they wrote; nothing is planned before.

        Raises TimeoutError, and is called again, while this process has no table for one of the partitions.
        """
        require_held(self._table, (tp.partition for tp in committed))
        self._tenures.forget(committed)
        await self._cancels.follow(tp.partition for tp in committed)
        await self._exact.take_over(self.work, committed)
        self._tenures.begin(committed)
        let_go = {tp: at for tp, at in committed.items() if tp.topic == self._due_topic}
        await self._exact.look_back(let_go, lambda tp: self._tenures.of(tp).copies)

    def commit_metadata(self, tp: TP, offset: int) -> str:
        """Epoch and output positions of the hand-over."""
        tenure = self._tenures.get(tp)
        return self._exact.metadata(tp, offset, None if tenure is None else tenure.fences.below(offset))

    async def refresh(self) -> None:
        """Output positions of partitions where nothing happens."""
        await self._exact.refresh(self.work)

    async def revoking(self, partitions: set[TP]) -> None:
        """Closes every window and settles every second look-up, then waits until Kafka has it all."""
        try:
            self._tenures.close(partitions)
            for tenure in filter(None, map(self._tenures.get, partitions)):
                await self._look_up_again(tenure, float("inf"))
                tenure.windows.close_all()
                await self._emit(tenure)
            await self._tenures.settled(partitions)
        finally:
            self._tenures.forget(partitions)

    async def handle(self, batch: Batch) -> None:
        """Returns when the records are in windows or in the outbox; they are done later, out of order.

        Records that were taken before an error are skipped when the batch comes again.
        """
        if self._schemas is not None:
            await self._schemas.prepare([record.value for record in batch.records])
        tenure = self._tenures.of(TP(batch.topic, batch.partition))
        records = batch.records
        start = 0
        while start < len(records):
            end = _slice_end(records, start)
            fresh = records[start:end]
            if fresh[0].offset < tenure.taken_to:
                fresh = [record for record in fresh if record.offset >= tenure.taken_to]
            if tenure.source is Source.DUE:
                fresh = self._counting(tenure, batch, fresh)
            await self._outbox.room()
            began = 0.0 if self._sharing is None else self._sharing.began()
            if fresh:
                await self._take(tenure, batch, fresh)
            if self._sharing is not None and tenure.source is Source.DUE:
                await self._sharing.give_way(self.work, [TP(self._event_topic, tenure.number)], began)
            start = end

    async def _take(self, tenure: PlanTenure, batch: Batch, fresh: Sequence[Record]) -> None:
        """Raises NewerSchema when the partition has to wait; what came before that is taken."""
        contents = NOTHING
        if self._contents is not None and tenure.source is Source.DUE:
            contents = await self._contents.of(tenure.number, [record.value for record in fresh])
        taken = self._reading.read(tenure, fresh, contents)
        if taken.waits is not None:
            offset, newer = taken.waits
            if before := [record for record in fresh if record.offset < offset]:
                await self._take(tenure, batch, before)
            raise newer
        self._edge.note(tenure.tp, len(taken.records), [error for _, error in taken.refused])
        self._exact.note(tenure.tp, fresh[0].offset, fresh[-1].offset)
        tenure.taken_to = fresh[-1].offset + 1
        self._intake.plan(tenure, batch, taken)
        await self._close_due(tenure)
        tenure.runner.wake()

    def _counting(self, tenure: PlanTenure, batch: Batch, records: Sequence[Record]) -> list[Record]:
        """Without fences, copies, and what a keeper let go that had lost its partition: its successor does."""
        counting: list[Record] = []
        for record in records:
            try:
                counts = tenure.fences.admit(author_of(record.headers), record.offset)
            except InvalidInput:
                counts = True  # what is wrong with it is said when it is read
            if counts and not tenure.copies.leaves_out(tenure.tp, record, self._count):
                counting.append(record)
            else:
                batch.done_many((record.offset,))
        return counting

    async def _look_up_again(self, tenure: PlanTenure, now: float) -> None:
        waiting: list[LookAgain] = []
        while tenure.later and tenure.later[0].at <= now:
            await self._outbox.room()
            # No await from here on: an entry is in `later`, in a window or in the outbox.
            looked: list[LookAgain] = []
            while tenure.later and tenure.later[0].at <= now and len(looked) < SLICE_RECORDS:
                looked.append(tenure.later.popleft())
            waiting += self._intake.plan_again(tenure, looked)
        if now == float("inf"):
            tenure.pending.ended(len(waiting))  # not done: the next owner gets them
        else:
            again_at = now + self._settings.plan.lookup_again_seconds
            tenure.later += [each._replace(at=again_at) for each in waiting]

    async def _turn(self, tenure: PlanTenure) -> None:
        """What is due by now, without a batch that brings it along."""
        await self._look_up_again(tenure, self._clock.monotonic_seconds())
        await self._close_due(tenure)

    async def _close_due(self, tenure: PlanTenure) -> None:
        tenure.windows.close_due(self._clock.monotonic_seconds())
        if tenure.windows.has_closed:
            await self._emit(tenure)

    async def _emit(self, tenure: PlanTenure) -> None:
        while tenure.windows.has_closed:
            await self._outbox.room()
            if tenure.windows.has_closed:  # another turn may have taken it meanwhile
                self._outputs.window(tenure, tenure.windows.take_closed())

    def _new_tenure(self, tp: TP, committed: Committed) -> PlanTenure:
        windows = PartitionWindows(self._rules, self._limits)
        limit = self._settings.plan.max_open_records
        is_due = tp.topic == self._due_topic
        recent = Unseen(limit) if is_due else Recent(limit)
        source = Source.DUE if is_due else Source.NOTIFICATION
        tenure = PlanTenure(tp, windows, recent, self._exact.origin(tp), self._runner_of, source)
        tenure.fences = Fences(standing.decode(committed.metadata).origins)
        return tenure

    def _runner_of(self, tenure: PlanTenure) -> Runner:
        what = f"{self._stage}: windows of partition {tenure.number}"
        return Runner(what, partial(self._wait, tenure), partial(self._turn, tenure), self._fatal, self._call_later)

    def _wait(self, tenure: PlanTenure) -> float | None:
        return tenure.wait_seconds(self._clock.monotonic_seconds())


def _window_rules(settings: Settings, rng: random.Random) -> dict[str, WindowRule]:
    counted = settings.counted_classes
    return {name: WindowRule(rule, rng, counted=name in counted) for name, rule in settings.classes.items()}


def _slice_end(records: Sequence[Record], start: int) -> int:
    end = min(len(records), start + SLICE_RECORDS)
    # `record_bytes`, in line: every record comes by.
    sizes = [record.serialized_key_size + record.serialized_value_size for record in records[start:end]]
    if sum(sizes) + RECORD_OVERHEAD_BYTES * len(sizes) <= SLICE_BYTES:
        return end
    size = 0
    for index, more in enumerate(sizes):
        size += more + RECORD_OVERHEAD_BYTES
        if size >= SLICE_BYTES:
            return start + index + 1
    return end
