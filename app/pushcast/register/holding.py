"""Keeps the suspensions of this process's partitions until their hold is over, and then has them ended.

A hold is counted on the monotonic clock from when this process first saw its record. So no clock that jumps, here or
at a sender, removes a device early; a restart or a rebalance begins the hold again, which only makes it longer. What
does not fit into memory waits in Kafka and begins its hold when it is fetched: the device stays suspended meanwhile.

While Kafka is away, or its control topic alone, a sender cannot say that its breaker has opened, or is not heard. So no
hold ends then, nor in the time after it in which what was held back may still arrive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from pushcast.model.clock import Clock
from pushcast.register.holds import AT_ONCE, Hold, HoldQueue
from pushcast.register.ports import Doubts
from pushcast.stream.batch import Batch, Record
from pushcast.stream.callbacks import guarded
from pushcast.stream.ports import CallLater, Fatal, TimerHandle
from pushcast.wire.control_state import Change, ControlState, Event
from pushcast.wire.receipts import TokenInvalid

#: Ended without giving way to the event loop: about 20 ms of work.
CHUNK_HOLDS = 500

#: Heartbeats come every second, looks at the control topic's end every two: after so long without one Kafka, or this
#: process, was away.
SILENT_SECONDS = 5.0
#: How long holds wait on when Kafka is back, or the hold itself where that is shorter.
GRACE_SECONDS = 30.0
#: How often it is looked whether Kafka answers, while there are holds.
PULSE_SECONDS = 2.0

#: Ends holds of a partition: decides and writes, in one step, and completes their records when Kafka has it.
EndAll = Callable[[int, Sequence[Hold]], None]


class Holding:
    """Queues, timers and tasks, one of each per partition. It belongs to the event loop."""

    def __init__(
        self,
        hold_seconds: float,
        *,
        clock: Clock,
        doubts: Doubts,
        silence_seconds: Callable[[], float],
        room: Callable[[], Awaitable[None]],
        end_all: EndAll,
        fatal: Fatal,
        call_later: CallLater | None = None,
    ) -> None:
        """`silence_seconds`: since Kafka last answered and the control topic was known to its end. `room` is awaited
        before every call of `end_all`."""
        self._hold_seconds = hold_seconds
        self._clock = clock
        self._doubts = doubts
        self._silence_seconds = silence_seconds
        self._grace_seconds = min(GRACE_SECONDS, hold_seconds)
        self._not_before = float("-inf")
        self._room = room
        self._end_all = end_all
        self._fatal = fatal
        self._call_later = call_later
        self._queues: dict[int, HoldQueue] = {}
        self._timers: dict[int, TimerHandle] = {}
        self._running: dict[int, asyncio.Task[None]] = {}

    def watch(self, control: ControlState) -> None:
        """Ends the holds of an (app, platform) at once when its breaker opens, as far as that casts doubt on them."""
        control.subscribe(self._changed)

    def waiting(self) -> int:
        """Suspensions whose hold is running in this process."""
        return sum(map(len, self._queues.values()))

    def add(self, batch: Batch, holds: Sequence[tuple[Record, TokenInvalid]]) -> None:
        """Holds of one batch, in offset order; those that came by before are left out. Doubted ones are due at once."""
        queue = self._queues.setdefault(batch.partition, HoldQueue())
        due = self._clock.monotonic_seconds() + self._hold_seconds
        doubted = self._doubts.doubted
        for record, event in holds:
            if queue.is_new(record.offset):
                at_once = doubted(event.app, event.platform, event.at)
                queue.add(Hold(batch, record, event, due), at_once=at_once)
        self._wake(batch.partition)

    def forget(self, partition: int) -> None:
        """The partition goes, or comes anew: its records are fetched again by whoever has it next."""
        self._queues.pop(partition, None)
        timer = self._timers.pop(partition, None)
        if timer is not None:
            timer.cancel()
        task = self._running.pop(partition, None)
        if task is not None:
            task.cancel()

    def _changed(self, change: Change) -> None:
        if change.event is Event.OPENED:
            for partition, queue in self._queues.items():
                queue.urge(change.app, change.platform)
                self._wake(partition)

    def _wake(self, partition: int) -> None:
        """Sees to it that the next hold is ended when it is due, and not before."""
        queue = self._queues.get(partition)
        due = None if queue is None else queue.next_due()
        if queue is None or due is None or partition in self._running:
            return
        timer = self._timers.pop(partition, None)
        if timer is not None:
            timer.cancel()
        wait = self._wait(due)
        if wait > 0:
            call_later = self._call_later or asyncio.get_running_loop().call_later
            self._timers[partition] = call_later(min(wait, PULSE_SECONDS), partial(self._wake_guarded, partition))
            return
        task = self._running[partition] = asyncio.create_task(self._end_due(partition, queue))
        task.add_done_callback(partial(self._ended, partition))

    def _wait(self, due: float) -> float:
        """Seconds until a hold that is due then may end. Remembers when Kafka was silent."""
        now = self._clock.monotonic_seconds()
        if self._silence_seconds() > SILENT_SECONDS:
            self._not_before = now + self._grace_seconds
        return 0.0 if due == AT_ONCE else max(due, self._not_before) - now

    async def _end_due(self, partition: int, queue: HoldQueue) -> None:
        while (due := queue.next_due()) is not None and self._wait(due) <= 0:
            await self._room()
            # Nothing is awaited from here on: a hold that was taken is ended.
            now = self._clock.monotonic_seconds()
            until = now if self._wait(now) <= 0 else AT_ONCE
            holds = [hold for hold in queue.take(until, CHUNK_HOLDS) if not hold.batch.lost]
            # The breaker whose opening urged them may have closed since, and may say nothing about a later verdict.
            early = {hold for hold in holds if hold.due > until and not self._is_doubted(hold)}
            if early:
                queue.put_back(early)
            if len(early) < len(holds):
                self._end_all(partition, [hold for hold in holds if hold not in early])
            await asyncio.sleep(0)

    def _is_doubted(self, hold: Hold) -> bool:
        return self._doubts.doubted(hold.app, hold.platform, hold.at)

    def _ended(self, partition: int, task: asyncio.Task[None]) -> None:
        if self._running.get(partition) is task:
            del self._running[partition]
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._fatal(f"holds of partition {partition}", error)
        else:
            self._wake_guarded(partition)

    def _wake_guarded(self, partition: int) -> None:
        guarded(f"holds of partition {partition}", self._fatal)(partial(self._wake, partition))
