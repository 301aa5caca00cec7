"""Glue of POLL: tickets wait in their topic, and their provider is asked when they are due.

Each partition is a queue whose head is the next one due, because no record stays longer than the first wait: one that
is due later goes to the end meanwhile. Nothing sleeps in a partition: a timer wakes it, and the transport's bounds
pause what is full. A stop loses nothing. It repeats questions to the provider, and at worst a record that
was put at the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from random import Random

from pushcast.config.stages import Flood
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Platform
from pushcast.poll.asker import Asker, Sleep
from pushcast.poll.decide import wait_seconds
from pushcast.poll.figures import PollCounters
from pushcast.poll.records import Due, TicketQueue
from pushcast.providers.expo.receipts import ReceiptSource
from pushcast.providers.suspicion import SuspicionLimits
from pushcast.stream.batch import TP, Batch, Committed
from pushcast.stream.callbacks import guarded
from pushcast.stream.edge import Edge, counting
from pushcast.stream.flood import FloodGuard
from pushcast.stream.ports import Barrier, CallLater, Fatal, Outbox
from pushcast.stream.runner import Runner
from pushcast.stream.stage import Stage
from pushcast.stream.tenure import Tenures
from pushcast.wire import groups
from pushcast.wire.schemas import NEWEST_GENERATION


class PollStage(Stage):
    """See the module. Not thread safe: it belongs to the event loop."""

    def __init__(
        self,
        *,
        platform: Platform,
        sources: Mapping[str, ReceiptSource],
        outbox: Outbox,
        clock: Clock,
        first_seconds: float,
        limits: SuspicionLimits | None = None,
        invalid_in_a_row: int = 20,
        flood: FloodGuard | None = None,
        random: Random,
        figures: PollCounters,
        fatal: Fatal,
        call_later: CallLater | None = None,
        sleep: Sleep = asyncio.sleep,
        schema_generation: int = NEWEST_GENERATION,
    ) -> None:
        """`sources` by app. `first_seconds`: how long after sending a provider is asked for the first time. `limits`,
        `invalid_in_a_row`: when so many tokens are dead at once, or without a live one between, that it is not
        believed."""
        self.figures = figures
        self._group = groups.poll(platform)
        self._clock = clock
        self._first_seconds = first_seconds
        self._fatal = fatal
        self._guarded = guarded(f"{self._group}: a step failed", fatal)
        self._call_later = call_later
        self._queues = Tenures(self._new_queue)
        self._edge = Edge("poll", outbox, counting(figures.edge), flood or FloodGuard(Flood(), clock))

        def asker(app: str, source: ReceiptSource | None) -> Asker:
            return Asker(
                app,
                platform,
                source,
                outbox=outbox,
                clock=clock,
                random=random,
                first_seconds=first_seconds,
                limits=limits or SuspicionLimits(),
                invalid_in_a_row=invalid_in_a_row,
                edge=self._edge,
                bury=self._bury,
                figures=figures,
                finish=self._finish,
                fatal=fatal,
                sleep=sleep,
                schema_generation=schema_generation,
            )

        self._askers = {app.encode(): asker(app, source) for app, source in sources.items()}
        # Apps that are not configured share one: their names come from outside.
        self._nobody = asker("", None)

    def waiting(self) -> int:
        """Records that are fetched and not finished."""
        queued = sum(len(held.queue) for held in self._queues)
        return queued + sum(map(len, self._askers.values())) + len(self._nobody)

    async def handle(self, batch: Batch) -> None:
        """Takes the records over and returns; each is asked about when it is due."""
        held = self._queues.of(TP(batch.topic, batch.partition))
        now_ms, now = self._clock.now_ms(), self._clock.monotonic_seconds()
        for record in batch.records:
            wait = wait_seconds(record.headers, record.timestamp, now_ms, self._first_seconds)
            held.queue.append((now + wait, Due(held, batch, record)))
        held.runner.wake()

    def _new_queue(self, tp: TP, _: Committed) -> TicketQueue:
        return TicketQueue(tp, self._runner_of)

    def _runner_of(self, held: TicketQueue) -> Runner:
        what = f"{self._group}: tickets of partition {held.tp.partition}"
        return Runner(what, partial(self._wait, held), partial(self._hand_over, held), self._fatal, self._call_later)

    async def assigned(self, committed: dict[TP, Committed]) -> None:
        """Forgets what waited before: Kafka hands it over again."""
        self._queues.begin(committed)
        self._drop()

    async def revoking(self, partitions: set[TP]) -> None:
        """Asks about nothing more, and waits until Kafka has acknowledged what was written. The rest is redelivered.

        The transport bounds the wait.
        """
        self._queues.close(partitions)
        self._drop()
        await self._queues.settled(partitions)

    def _drop(self) -> None:
        """Askers let go of what belongs to closed queues."""
        for asker in (*self._askers.values(), self._nobody):
            asker.drop()

    def _wait(self, held: TicketQueue) -> float | None:
        return held.queue[0][0] - self._clock.monotonic_seconds() if held.queue else None

    async def _hand_over(self, held: TicketQueue) -> None:
        """Gives what is due to its askers."""
        now = self._clock.monotonic_seconds()
        queue = held.queue
        while queue and queue[0][0] <= now:
            due = queue.popleft()[1]
            self._askers.get(due.record.key or b"", self._nobody).add(due)

    def _bury(self, due: Due, error: InvalidInput) -> None:
        due.tenure.pending.begun()
        self._edge.bury(due.record, error, partial(self._guarded, partial(self._acked, (due,))))

    def _finish(self, moved: Sequence[Due], barrier: Barrier) -> None:
        if not moved:
            return
        for due in moved:
            due.tenure.pending.begun()
        barrier.on_acked(partial(self._guarded, partial(self._acked, moved)))

    def _acked(self, moved: Sequence[Due]) -> None:
        offsets: dict[Batch, list[int]] = {}
        for due in moved:
            due.tenure.pending.ended()
            offsets.setdefault(due.batch, []).append(due.record.offset)
        for batch, mine in offsets.items():
            batch.done_many(mine)
