"""Glue of SETTLE: retry records wait, and then go back to the send topic that they came from.

All rungs, one group. Each partition of each rung is a queue whose head is the next one due (delays within a rung are
equal but for the jitter), so records leave in order and a stop repeats nothing but what Kafka had not acknowledged or
the group not committed. Nothing sleeps: a timer per partition wakes it, and the transport's bounds pause what is full.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from pushcast.kafka.batch import TP, Committed, Stage
from pushcast.kafka.ports import Barrier, Batch, CallLater, Fatal, Outbox, Record, TimerHandle
from pushcast.model.batch import Message, SendBatch
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane, Platform
from pushcast.settle.decide import end_of, read, settle, wait_seconds
from pushcast.wire import topics
from pushcast.wire.batches import encode_batch
from pushcast.wire.dead_letters import dead_letter
from pushcast.wire.receipts import Receipt, encode_receipt
from pushcast.wire.retries import CAME_FROM, DUE_AT, SENT_FROM, round_of

GROUP = "pushcast-settle"
RUNGS: tuple[str, ...] = tuple(topics.retry(delay) for delay in topics.RETRY_DELAY_SECONDS)
#: Outputs, and bytes of records, before the loop gets a turn and the outbox is asked for room. One record adds at most
#: 1,000 receipts.
OUTPUTS_PER_TURN = 500
BYTES_PER_TURN = 4 << 20

#: What happened, by (name, word): ("settled", platform), ("expired", platform), ("dead_letters", reason).
Counters = Counter[tuple[str, str]]


class Waiting(NamedTuple):
    """A record in its queue. `due` is on the monotonic clock."""

    batch: Batch
    record: Record
    due: float


class SettleStage(Stage):
    """See the module. Not thread safe: it belongs to the event loop."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        clock: Clock,
        longest_seconds: float,
        counters: Counters,
        fatal: Fatal,
        call_later: CallLater | None = None,
    ) -> None:
        self.counters = counters
        self._outbox = outbox
        self._clock = clock
        self._longest_seconds = longest_seconds
        self._fatal = fatal
        self._call_later = call_later
        self._queues: dict[tuple[str, int], deque[Waiting]] = {}
        self._timers: dict[tuple[str, int], TimerHandle] = {}
        self._passing: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._unacknowledged: Counter[tuple[str, int]] = Counter()
        self._progress = asyncio.Event()

    def waiting(self) -> int:
        """Records that are fetched and not due yet, or not passed on yet."""
        return sum(map(len, self._queues.values()))

    async def handle(self, batch: Batch) -> None:
        """Takes the records over and returns; each is passed on when it is due."""
        key = (batch.topic, batch.partition)
        now_ms, now = self._clock.now_ms(), self._clock.monotonic_seconds()
        queue = self._queues.setdefault(key, deque())
        for record in batch.records:
            wait = wait_seconds(record.headers, record.timestamp, now_ms, self._longest_seconds)
            queue.append(Waiting(batch, record, now + wait))
        self._wake(key)

    async def assigned(self, committed: dict[TP, Committed]) -> None:
        """Forgets what waited before: Kafka hands it over again."""
        for tp in committed:
            self._forget((tp.topic, tp.partition))

    async def revoking(self, partitions: set[TP]) -> None:
        """Passes nothing more on, and waits until Kafka has acknowledged what was passed on. The rest is redelivered.

        The transport bounds the wait.
        """
        keys = [(tp.topic, tp.partition) for tp in partitions]
        for key in keys:
            self._forget(key)
        while any(self._unacknowledged[key] for key in keys):
            self._progress.clear()
            await self._progress.wait()

    def _forget(self, key: tuple[str, int]) -> None:
        self._queues.pop(key, None)
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        passing = self._passing.pop(key, None)
        if passing is not None:
            passing.cancel()

    def _wake(self, key: tuple[str, int]) -> None:
        """Sees to it that the head of the queue is passed on when it is due, and not before."""
        queue = self._queues.get(key)
        if not queue or key in self._passing:
            return
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        wait = queue[0].due - self._clock.monotonic_seconds()
        if wait > 0:
            call_later = self._call_later or asyncio.get_running_loop().call_later
            self._timers[key] = call_later(wait, partial(self._guarded, partial(self._wake, key)))
            return
        task = self._passing[key] = asyncio.create_task(self._pass_on(key, queue))
        task.add_done_callback(partial(self._passed_on, key))

    async def _pass_on(self, key: tuple[str, int], queue: deque[Waiting]) -> None:
        """Everything that is due, in order; waits for nothing but the outbox's room."""
        while queue and queue[0].due <= self._clock.monotonic_seconds():
            await self._outbox.room()
            barrier = self._outbox.barrier()
            offsets: dict[Batch, list[int]] = {}
            outputs = size = 0
            now = self._clock.monotonic_seconds()
            while queue and queue[0].due <= now and outputs < OUTPUTS_PER_TURN and size < BYTES_PER_TURN:
                batch, record, _ = queue.popleft()
                if not batch.lost:
                    outputs += self._settle(record, barrier)
                    size += len(record.value or b"")
                    offsets.setdefault(batch, []).append(record.offset)
            if offsets:
                self._unacknowledged[key] += 1
                barrier.on_acked(partial(self._guarded, partial(self._acked, key, offsets)))
            await asyncio.sleep(0)

    def _passed_on(self, key: tuple[str, int], task: asyncio.Task[None]) -> None:
        if self._passing.get(key) is task:
            del self._passing[key]
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._fatal(f"{GROUP}: {key[0]}[{key[1]}]", error)
        else:
            self._guarded(partial(self._wake, key))

    def _acked(self, key: tuple[str, int], offsets: dict[Batch, list[int]]) -> None:
        self._unacknowledged[key] -= 1
        for batch, mine in offsets.items():
            batch.done_many(mine)
        self._progress.set()

    def _settle(self, record: Record, barrier: Barrier) -> int:
        """Puts what becomes of a record; returns how many outputs that are."""
        try:
            batch = read(record.value, record.headers)
            doubtful = round_of(record.headers).doubtful
        except InvalidInput as error:
            self._bury(record, error, barrier)
            return 1
        settled = settle(batch, self._clock.now_ms())
        for message in settled.expired:
            self._end(record, batch, message, doubtful, barrier)
        ended = sum(len(message.targets) for message in settled.expired)
        if settled.again is None:
            return ended
        value = record.value if settled.again is batch else encode_batch(settled.again)
        headers = [header for header in record.headers if header[0] not in (DUE_AT, SENT_FROM, CAME_FROM)]
        headers.append((CAME_FROM, f"{record.topic}|{record.partition}|{record.offset}".encode()))
        topic = topics.send(Platform(batch.platform), Lane(batch.lane))
        self._outbox.put(barrier, topic, record.partition, value, None, headers)
        self.counters["settled", batch.platform] += settled.again.target_count
        return ended + 1

    def _end(self, record: Record, batch: SendBatch, message: Message, doubtful: bool, barrier: Barrier) -> None:
        outcome, reason = end_of(doubtful)
        targets, now_ms = message.targets, self._clock.now_ms()
        for index, user in enumerate(targets.user):
            notification = targets.notification[index]
            receipt = Receipt(
                delivery_id=targets.delivery_id[index],
                notification_id=message.notification_ids[notification],
                user=user,
                app=message.app,
                device=targets.device[index],
                platform=batch.platform,
                lane=batch.lane,
                klass=message.klass,
                outcome=outcome,
                reason=reason,
                provider_id=None,
                provider_status=None,
                attempts=targets.attempt[index],
                dry_run=message.options.dry_run,
                run=batch.run,
                source_partition=record.partition,
                source_offset=targets.source_offset[index],
                created_at=message.created_at[notification],
                ended_at=now_ms,
            )
            self._outbox.put(barrier, topics.RECEIPT, record.partition, encode_receipt(receipt), user.encode())
        self.counters["ended", reason] += len(targets)

    def _bury(self, record: Record, error: InvalidInput, barrier: Barrier) -> None:
        letter = dead_letter(record, error, stage="settle")
        self._outbox.put(
            barrier, letter.topic, letter.partition, letter.value, letter.key, letter.headers, letter.timestamp_ms
        )
        self.counters["dead_letters", error.reason] += 1

    def _guarded(self, step: Callable[[], None]) -> None:
        """The loop only logs what its callbacks raise; here that would leave records waiting for ever."""
        try:
            step()
        except Exception as error:
            self._fatal(f"{GROUP}: a step of the settler failed", error)
