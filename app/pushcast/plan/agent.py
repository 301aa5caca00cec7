"""Glue of PLAN: records in, windows, send batches and planned records out. One stage per lane.

A source record is done only when every output that it caused, and then its planned record, is acknowledged by Kafka.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, MutableMapping
from functools import partial
from typing import TYPE_CHECKING

from pushcast.config.settings import Settings
from pushcast.kafka.batch import TP, Record, Stage
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import delivery_id, device_row_prefix, partition_of
from pushcast.model.notification import Notification
from pushcast.model.words import Lane, Outcome, Platform, Reason
from pushcast.plan.match import Device, devices_of
from pushcast.plan.recent import Recent
from pushcast.plan.windows import Entry, PartitionWindows, Window, WindowRule
from pushcast.wire import headers as h
from pushcast.wire import topics
from pushcast.wire.batches import encode_batch
from pushcast.wire.dead_letters import dead_letter
from pushcast.wire.keys import user_of
from pushcast.wire.notifications import ClassRule, NotificationDecoder
from pushcast.wire.receipts import Planned, Receipt, encode_planned, encode_receipt
from pushcast.wire.schemas import SchemaSource

if TYPE_CHECKING:
    from pushcast.kafka.batch import Batch
    from pushcast.kafka.outbox import Outbox
    from pushcast.kafka.table import SourceTable

HOW_TO_FIX_PARTITION = (
    "produced to partition {found}, the key belongs to {right} of {count}: use the Java default partitioner "
    "(librdkafka: partitioner=murmur2_random)"
)


class _Partition:
    """What PLAN holds open of one partition."""

    def __init__(self, number: int, windows: PartitionWindows, recent: Recent, epoch: int) -> None:
        self.number = number
        self.windows = windows
        self.recent = recent
        self.epoch = epoch
        self.later: list[tuple[float, Entry]] = []  # users without devices, to be looked up once more; oldest first
        self.unfinished = 0
        self.idle = asyncio.Event()
        self.idle.set()
        self.timer: asyncio.TimerHandle | None = None

    def next_due(self) -> float | None:
        due = self.windows.next_due()
        if self.later and (due is None or self.later[0][0] < due):
            return self.later[0][0]
        return due


class PlanStage(Stage):
    """One planner App's stage. `fatal` ends the process unacknowledged when a timer's work fails unexpectedly."""

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
    ) -> None:
        self._settings = settings
        self._lane = lane
        self._table = table
        self._outbox = outbox
        self._clock = clock
        self._fatal = fatal
        self._counters = counters
        rules = {name: ClassRule(rule.ttl_seconds * 1000) for name, rule in settings.classes.items()}
        self._decoder = NotificationDecoder(settings.apps, rules, schemas)
        seed = settings.plan.window_seed
        rng = random.Random(seed) if seed is not None else random.SystemRandom()
        self._rules = {name: WindowRule(rule, rng) for name, rule in settings.classes.items()}
        self._partitions: dict[int, _Partition] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stage = f"plan-{lane}"

    # ---- the transport's hooks

    async def revoking(self, partitions: set[TP]) -> None:
        """Closes every window and settles every second look-up, then waits until Kafka has it all."""
        states = [state for tp in partitions if (state := self._partitions.get(tp.partition)) is not None]
        for state in states:
            if state.timer is not None:
                state.timer.cancel()
                state.timer = None
            self._look_up_again(state, float("inf"))
            state.windows.close_all()
            await self._outbox.room()
            self._emit(state)
        try:
            for state in states:
                await state.idle.wait()
        finally:
            for state in states:
                self._partitions.pop(state.number, None)

    async def handle(self, batch: Batch) -> None:
        """Returns when the records are in windows or in the outbox; they are done later, out of order."""
        await self._outbox.room()
        state = self._partition(batch.partition)
        notes, records = self._decode(batch, state)
        if notes:
            self._plan(batch, state, notes, records)
        if state.unfinished >= self._settings.plan.max_open_records:
            state.windows.close_all()
        self._turn(state)

    # ---- decoding

    def _decode(self, batch: Batch, state: _Partition) -> tuple[list[Notification], list[Record]]:
        decode = self._decoder.decode
        notes: list[Notification] = []
        records: list[Record] = []
        for record in batch.records:
            try:
                trace = h.first(record.headers, h.TRACEPARENT) if record.headers else None
                notes.append(decode(user_of(record.key), record.value, record.timestamp, trace))
            except InvalidInput as error:
                self._dead_letter(batch, record, error)
            else:
                records.append(record)
        self._count("consumed", "", len(batch.records))
        return notes, records

    def _dead_letter(self, batch: Batch, record: Record, error: InvalidInput) -> None:
        letter = dead_letter(record, error, stage=self._stage)
        barrier = self._outbox.barrier()
        self._outbox.put(
            barrier, letter.topic, letter.partition, letter.value, letter.key, letter.headers, letter.timestamp_ms
        )
        barrier.on_acked(partial(batch.done, record.offset))
        self._count("dead_letters", error.reason)

    # ---- planning

    def _plan(self, batch: Batch, state: _Partition, notes: list[Notification], records: list[Record]) -> None:
        found = self._table.multi_scan(state.number, [device_row_prefix(note.user, note.app) for note in notes])
        now, now_ms = self._clock.monotonic_seconds(), self._clock.now_ms()
        is_duplicate, add, finish = state.recent.is_duplicate, state.windows.add, batch.done
        settled: list[Entry] = []
        expired: list[Entry] = []
        taken = 0
        for note, record, rows in zip(notes, records, found, strict=True):
            entry = Entry(record.offset, note, finish)
            devices = devices_of(rows) if rows else None
            if not devices and not self._belongs(batch, record):
                continue
            taken += 1
            if is_duplicate(note.user, note.id, record.offset):
                entry.reason = Reason.DUPLICATE
                settled.append(entry)
            elif note.expires_at <= now_ms:
                expired.append(entry)
            elif devices:
                add(entry, devices, now)
            else:
                self._without_devices(state, entry, record.timestamp, now, now_ms, settled)
        self._open(state, taken)
        for entry in expired:
            self._nothing(state, entry, Outcome.EXPIRED, Reason.EXPIRED)
        if settled:
            self._settle(state, settled)

    def _belongs(self, batch: Batch, record: Record) -> bool:
        """Whether the record is in its key's partition; if not, it is forwarded once, then a dead letter."""
        count = self._settings.kafka.partitions
        right = partition_of(record.key or b"", count)
        if right == batch.partition:
            return True
        text = HOW_TO_FIX_PARTITION.format(found=batch.partition, right=right, count=count)
        if h.first(record.headers, h.FORWARDED) is not None:
            self._dead_letter(batch, record, InvalidInput(Reason.WRONG_PARTITION, text, "key"))
            return False
        barrier = self._outbox.barrier()
        headers = [*record.headers, (h.FORWARDED, f"{batch.partition}".encode())]
        self._outbox.put(barrier, batch.topic, right, record.value, record.key, headers, record.timestamp)

        def refused(_: Exception) -> None:  # the added header made it larger than the topic takes
            self._dead_letter(batch, record, InvalidInput(Reason.WRONG_PARTITION, text, "key"))

        barrier.on_acked(partial(batch.done, record.offset), refused)
        self._count("forwarded", "")
        return False

    def _without_devices(
        self, state: _Partition, entry: Entry, timestamp_ms: int, now: float, now_ms: int, settled: list[Entry]
    ) -> None:
        """A registration may be on its way: a young event's user is looked up once more, then there are no devices."""
        plan = self._settings.plan
        if now_ms - timestamp_ms < plan.lookup_again_younger_than_seconds * 1000 and plan.lookup_again_seconds > 0:
            state.later.append((now + plan.lookup_again_seconds, entry))
        else:
            self._nothing(state, entry, Outcome.SUPPRESSED, Reason.NO_DEVICES)

    def _look_up_again(self, state: _Partition, now: float) -> None:
        due = 0
        while due < len(state.later) and state.later[due][0] <= now:
            due += 1
        if not due:
            return
        entries = [entry for _, entry in state.later[:due]]
        del state.later[:due]
        prefixes = [device_row_prefix(entry.notification.user, entry.notification.app) for entry in entries]
        found: list[list[Device]] = [devices_of(rows) for rows in self._table.multi_scan(state.number, prefixes)]
        for entry, devices in zip(entries, found, strict=True):
            if entry.notification.expires_at <= self._clock.now_ms():
                self._nothing(state, entry, Outcome.EXPIRED, Reason.EXPIRED)
            elif devices:
                state.windows.add(entry, devices, self._clock.monotonic_seconds())
            else:
                self._nothing(state, entry, Outcome.SUPPRESSED, Reason.NO_DEVICES)

    def _nothing(self, state: _Partition, entry: Entry, outcome: Outcome, reason: Reason) -> None:
        """Ends a notification with one receipt of its own, which the planned record counts as `other`."""
        note = entry.notification
        entry.other, entry.reason = 1, reason
        receipt = Receipt(
            delivery_id(note.id, note.user, note.app or "", ""),
            note.id,
            note.user,
            note.app,
            None,
            None,
            self._lane,
            note.klass,
            outcome,
            reason,
            None,
            None,
            0,
            note.options.dry_run,
            0,
            state.number,
            entry.offset,
            note.created_at,
            self._clock.now_ms(),
        )
        entry.open += 1
        barrier = self._outbox.barrier()
        headers = h.origin(self._stage, state.number, state.epoch)
        self._outbox.put(barrier, topics.RECEIPT, state.number, encode_receipt(receipt), note.user.encode(), headers)
        barrier.on_acked(partial(self._acknowledged, state, [entry]))
        self._count("suppressed", reason)

    # ---- output

    def _turn(self, state: _Partition) -> None:
        """Emits what has closed and sets the timer for what closes next."""
        now = self._clock.monotonic_seconds()
        state.windows.close_due(now)
        self._emit(state)
        if state.timer is not None:
            state.timer.cancel()
            state.timer = None
        due = state.next_due()
        if due is not None:
            state.timer = asyncio.get_running_loop().call_later(max(0.0, due - now), self._start_turn, state)

    def _start_turn(self, state: _Partition) -> None:
        state.timer = None
        task = asyncio.get_running_loop().create_task(self._timed_turn(state))
        self._tasks.add(task)
        task.add_done_callback(self._turned)

    async def _timed_turn(self, state: _Partition) -> None:
        await self._outbox.room()
        if self._partitions.get(state.number) is not state:
            return
        self._look_up_again(state, self._clock.monotonic_seconds())
        self._turn(state)

    def _turned(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fatal(error)

    def _emit(self, state: _Partition) -> None:
        headers = h.origin(self._stage, state.number, state.epoch)
        for window in state.windows.take_closed():
            self._put_window(state, window, headers)

    def _put_window(self, state: _Partition, window: Window, headers: list[tuple[str, bytes]]) -> None:
        barrier = self._outbox.barrier()
        value = encode_batch(window.batch(self._lane))
        self._outbox.put(
            barrier, topics.send(Platform(window.platform), self._lane), state.number, value, None, headers
        )
        barrier.on_acked(partial(self._acknowledged, state, window.entries))
        self._count("batches", window.platform)
        self._count("targets", window.platform, window.targets)

    def _acknowledged(self, state: _Partition, entries: Iterable[Entry]) -> None:
        complete = []
        for entry in entries:
            entry.open -= 1
            if not entry.open:
                complete.append(entry)
        if complete:
            self._settle(state, complete)

    def _settle(self, state: _Partition, entries: list[Entry]) -> None:
        """States what was planned; then the source records are done."""
        planned = Planned(self._lane)
        for entry in entries:
            planned.add(entry.offset, entry.notification.id, entry.counts, entry.other, entry.reason)
        barrier = self._outbox.barrier()
        headers = h.origin(self._stage, state.number, state.epoch)
        self._outbox.put(
            barrier, topics.PLANNED, state.number, encode_planned(planned, self._clock.now_ms()), None, headers
        )
        barrier.on_acked(partial(self._done, state, entries))

    def _done(self, state: _Partition, entries: list[Entry]) -> None:
        for entry in entries:
            entry.finish(entry.offset)
        state.unfinished -= len(entries)
        if not state.unfinished:
            state.idle.set()

    # ---- state

    def _open(self, state: _Partition, count: int) -> None:
        if count:
            state.unfinished += count
            state.idle.clear()

    def _partition(self, number: int) -> _Partition:
        state = self._partitions.get(number)
        if state is None:
            plan = self._settings.plan
            windows = PartitionWindows(self._rules, plan.max_targets, plan.max_batch_bytes)
            state = _Partition(number, windows, Recent(plan.max_open_records), self._clock.now_ms() // 1000)
            self._partitions[number] = state
        return state

    def _count(self, name: str, label: str, by: int = 1) -> None:
        key = (name, label)
        self._counters[key] = self._counters.get(key, 0) + by
