"""Glue of PLAN: records in, windows, send batches and planned records out. One stage per lane."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, MutableMapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pushcast.config.settings import Settings
from pushcast.kafka.batch import TP, Bounds, Committed, Record, Stage
from pushcast.kafka.flood import FloodGuard
from pushcast.kafka.tracker import record_bytes
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import device_row_prefix, partition_of
from pushcast.model.notification import Notification
from pushcast.model.words import Lane, Outcome, Reason
from pushcast.plan.entry import Entry
from pushcast.plan.exact import resume
from pushcast.plan.match import Row, devices_of
from pushcast.plan.outputs import Outputs, Refused
from pushcast.plan.recent import Recent
from pushcast.plan.state import PartitionState, Timer
from pushcast.plan.windows import Limits, PartitionWindows, WindowRule
from pushcast.wire import headers as h
from pushcast.wire.keys import user_of
from pushcast.wire.notifications import ClassRule, NotificationDecoder
from pushcast.wire.row_reader import Device
from pushcast.wire.schemas import SchemaSource

if TYPE_CHECKING:
    from pushcast.kafka.batch import Batch
    from pushcast.kafka.handover.runner import Handover
    from pushcast.kafka.outbox import Outbox
    from pushcast.kafka.table import SourceTable

HOW_TO_FIX_PARTITION = (
    "produced to partition {found}, the key belongs to {right} of {count}: use the Java default partitioner "
    "(librdkafka: partitioner=murmur2_random)"
)
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


class _Taken(NamedTuple):
    """A slice of a batch, read. Nothing was written for it yet."""

    records: list[Record]
    notes: list[Notification]
    rows: list[list[Row]]
    refused: list[Refused]


class PlanStage(Stage):
    """One planner App's stage. `fatal` ends the process unacknowledged when a timer's work fails unexpectedly.

    `call_later` is the loop's unless a test has its own. Without `handover` what was under way when a process died is
    planned twice.
    """

    def __init__(
        self,
        settings: Settings,
        lane: Lane,
        table: SourceTable,
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
        self._lane = lane
        self._outputs = Outputs(outbox, lane, clock, self._count)
        self._stage = f"plan-{lane}"
        self._flood = FloodGuard(settings.flood, clock)
        rules = {name: ClassRule(rule.ttl_seconds * 1000) for name, rule in settings.classes.items()}
        self._schemas = schemas
        self._decoder = NotificationDecoder(settings.apps, rules, schemas)
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
                taken = self._read(state, fresh)
                self._flood.note(state.tp, len(taken.records), [error for _, error in taken.refused])
                if self._handover is not None:
                    self._handover.note(state.tp, fresh[0].offset, fresh[-1].offset)
                state.taken_to = fresh[-1].offset + 1
                self._plan(state, batch, taken)
                await self._turn(state)
            start = end

    def _read(self, state: PartitionState, records: Sequence[Record]) -> _Taken:
        """Decodes, and looks the users up."""
        decode = self._decoder.decode
        taken = _Taken([], [], [], [])
        notes, valid = taken.notes, taken.records
        for record in records:
            try:
                trace = h.first(record.headers, h.TRACEPARENT) if record.headers else None
                notes.append(decode(user_of(record.key), record.value, record.timestamp, trace))
            except InvalidInput as error:
                taken.refused.append((record, error))
            else:
                valid.append(record)
        prefixes = [device_row_prefix(note.user, note.app) for note in notes]
        return taken._replace(rows=self._table.multi_scan(state.number, prefixes)) if notes else taken

    def _plan(self, state: PartitionState, batch: Batch, taken: _Taken) -> None:
        now, now_ms = self._clock.monotonic_seconds(), self._clock.now_ms()
        is_duplicate, add = state.recent.is_duplicate, state.windows.add
        refused = taken.refused
        duplicates: list[Entry] = []
        nothing: list[tuple[Entry, Outcome, Reason]] = []
        tail = None if self._handover is None else self._handover.of(state.tp).tail or None
        known: list[int] = []
        resumed: list[Entry] = []
        self._count("consumed", "", len(taken.records) + len(refused))
        state.open(len(taken.records) + len(refused))
        for note, record, rows in zip(taken.notes, taken.records, taken.rows, strict=True):
            if tail and tail.is_done(record.offset):
                is_duplicate(note.user, note.id)  # so that the next one is
                known.append(record.offset)
                continue
            devices: Sequence[Device] = devices_of(rows, self._unreadable) if rows else ()
            if tail and (there := tail.take(record.offset)):
                is_duplicate(note.user, note.id)
                entry = Entry(batch, record.offset, record_bytes(record), note)
                devices = resume(entry, self._lane, there, devices)
                if devices and note.expires_at > now_ms:
                    add(entry, devices, now)
                else:
                    resumed.append(entry)
                continue
            if not devices and not self._belongs(state, batch, record, refused):
                continue
            entry = Entry(batch, record.offset, record_bytes(record), note)
            if is_duplicate(note.user, note.id):
                duplicates.append(entry)
            elif note.expires_at <= now_ms:
                nothing.append((entry, Outcome.EXPIRED, Reason.EXPIRED))
            elif devices:
                add(entry, devices, now)
            elif self._is_young(record, now_ms):
                state.later.append((now + self._settings.plan.lookup_again_seconds, entry))
            else:
                nothing.append((entry, Outcome.SUPPRESSED, Reason.NO_DEVICES))
        if refused:
            self._outputs.dead_letters(state, batch, refused)
        self._outputs.nothing(state, nothing)
        self._outputs.duplicates(state, duplicates)
        self._outputs.resumed(state, resumed)
        self._outputs.known(state, batch, known)

    def _belongs(self, state: PartitionState, batch: Batch, record: Record, refused: list[Refused]) -> bool:
        """Whether the record is in its key's partition; if not, it is forwarded once, then a dead letter."""
        count = self._settings.kafka.partitions
        right = partition_of(record.key or b"", count)
        if right == batch.partition:
            return True
        text = HOW_TO_FIX_PARTITION.format(found=batch.partition, right=right, count=count)
        error = InvalidInput(Reason.WRONG_PARTITION, text, "key")
        if h.first(record.headers, h.FORWARDED) is None:
            self._outputs.forward(state, batch, record, right, error)
        else:
            refused.append((record, error))
        return False

    def _is_young(self, record: Record, now_ms: int) -> bool:
        """A registration may be on its way: a young event's user is looked up once more, then there are no devices."""
        plan = self._settings.plan
        return (
            plan.lookup_again_seconds > 0 and now_ms - record.timestamp < plan.lookup_again_younger_than_seconds * 1000
        )

    async def _look_up_again(self, state: PartitionState, now: float) -> None:
        while state.later and state.later[0][0] <= now:
            await self._outbox.room()
            # No await from here on: an entry is in `later`, in a window or in the outbox.
            entries: list[Entry] = []
            while state.later and state.later[0][0] <= now and len(entries) < SLICE_RECORDS:
                entries.append(state.later.popleft()[1])
            self._plan_again(state, entries)

    def _plan_again(self, state: PartitionState, entries: Sequence[Entry]) -> None:
        waiting = [(entry, entry.note) for entry in entries if entry.note is not None]
        prefixes = [device_row_prefix(note.user, note.app) for _, note in waiting]
        now, now_ms = self._clock.monotonic_seconds(), self._clock.now_ms()
        nothing: list[tuple[Entry, Outcome, Reason]] = []
        for (entry, note), rows in zip(waiting, self._table.multi_scan(state.number, prefixes), strict=True):
            devices = devices_of(rows, self._unreadable)
            if note.expires_at <= now_ms:
                nothing.append((entry, Outcome.EXPIRED, Reason.EXPIRED))
            elif devices:
                state.windows.add(entry, devices, now)
            else:
                nothing.append((entry, Outcome.SUPPRESSED, Reason.NO_DEVICES))
        self._outputs.nothing(state, nothing)

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
            state.timer = call_later(delay, lambda: self._start_turn(state))

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

    def _unreadable(self, error: InvalidInput) -> None:
        self._count("unreadable_rows", error.reason, 1)

    def _count(self, name: str, word: str, by: int) -> None:
        key = (name, word)
        self._counters[key] = self._counters.get(key, 0) + by


def _slice_end(records: Sequence[Record], start: int) -> int:
    end, size = start, 0
    while end < len(records) and end - start < SLICE_RECORDS and size < SLICE_BYTES:
        size += record_bytes(records[end])
        end += 1
    return end
