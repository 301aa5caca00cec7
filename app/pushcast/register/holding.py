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
from pushcast.register.holds import AT_ONCE, Hold
from pushcast.register.ports import Doubts
from pushcast.register.tenure import RegisterTenure
from pushcast.stream.batch import Batch, Record
from pushcast.stream.ports import CallLater, Fatal
from pushcast.stream.runner import Runner
from pushcast.wire.answers.receipts import TokenInvalid

#: Ended without giving way to the event loop: about 20 ms of work.
CHUNK_HOLDS = 500

#: Heartbeats come every second, looks at the control topic's end every two: after so long without one Kafka, or this
#: process, was away.
SILENT_SECONDS = 5.0
#: How long holds wait on when Kafka is back, or the hold itself where that is shorter.
GRACE_SECONDS = 30.0
#: How often it is looked whether Kafka answers, while there are holds.
PULSE_SECONDS = 2.0
#: Until a hold is looked at again whose row only a later release can read.
WAITING_SECONDS = 5.0

#: Ends holds of a partition: decides and writes, in one step, and completes their records when Kafka has it.
#: Returns those that nobody of this release can end.
EndAll = Callable[[RegisterTenure, Sequence[Hold]], Sequence[Hold]]


class Holding:
    """Of all partitions of one stage. It belongs to the event loop."""

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

    def runner_of(self, tenure: RegisterTenure) -> Runner:
        """Ends the holds of a partition when they are due; wake it when some were added or urged."""
        what = f"holds of partition {tenure.number}"
        return Runner(what, partial(self._until, tenure), partial(self._end_due, tenure), self._fatal, self._call_later)

    def add(self, tenure: RegisterTenure, batch: Batch, holds: Sequence[tuple[Record, TokenInvalid]]) -> None:
        """Holds of one batch, in offset order; those that came by before are left out. Doubted ones are due at once."""
        queue = tenure.holds
        due = self._clock.monotonic_seconds() + self._hold_seconds
        doubted = self._doubts.doubted
        for record, event in holds:
            if queue.is_new(record.offset):
                at_once = doubted(event.app, event.platform, event.at)
                queue.add(Hold(batch, record, event, due), at_once=at_once)
        tenure.holding.wake()

    def _until(self, tenure: RegisterTenure) -> float | None:
        due = tenure.holds.next_due()
        return None if due is None else min(self._wait(due), PULSE_SECONDS)

    def _wait(self, due: float) -> float:
        """Seconds until a hold that is due then may end. Remembers when Kafka was silent."""
        now = self._clock.monotonic_seconds()
        if self._silence_seconds() > SILENT_SECONDS:
            self._not_before = now + self._grace_seconds
        return 0.0 if due == AT_ONCE else max(due, self._not_before) - now

    async def _end_due(self, tenure: RegisterTenure) -> None:
        queue = tenure.holds
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
                waiting = self._end_all(tenure, [hold for hold in holds if hold not in early])
                for hold in waiting:
                    hold.due = now + WAITING_SECONDS
                queue.put_back(waiting)
            await asyncio.sleep(0)

    def _is_doubted(self, hold: Hold) -> bool:
        return self._doubts.doubted(hold.app, hold.platform, hold.at)
