"""What goes out and what comes back: jobs wait for their way and their budget, leave, and are tried again."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Hashable, Set
from functools import partial

from pushcast.model.clock import Clock
from pushcast.providers.port import Disposition, Result
from pushcast.send.budget import Budget
from pushcast.send.cancelling import Cancelling
from pushcast.send.clearance import Clearance
from pushcast.send.flights import Flights
from pushcast.send.gate import Gate
from pushcast.send.isolation import Isolation
from pushcast.send.outcomes import Outcomes
from pushcast.send.parking import Parking
from pushcast.send.records import Job, OpenRecord
from pushcast.send.slowness import Slowness
from pushcast.stream.ports import CallLater, Fatal, TimerHandle
from pushcast.wire.sending.parked import Why

logger = logging.getLogger(__name__)

#: Smallest part that a message is split into by the budget, in targets. Of smaller messages so many leave together.
LEAST_PART = 100
#: How often what cannot leave is looked at again, in seconds.
LOOK_AGAIN_SECONDS = 0.5


class Departures:
    """Of one stage. Not thread safe: it belongs to the event loop.

    The gate is asked before anything is handed to a provider, which asks it again before each write; while it says no,
    everything waits, and what had not left comes back to wait here. What waits is looked at every half second, because
    nothing may come that moves it.
    """

    def __init__(
        self,
        *,
        group: str,
        budget: Budget,
        clock: Clock,
        outcomes: Outcomes,
        isolation: Isolation,
        cancelling: Cancelling,
        clearance: Clearance,
        parking: Parking,
        slowness: Slowness,
        gate: Gate,
        fatal: Fatal,
        guarded: Callable[[Callable[[], None]], None],
        later: CallLater,
    ) -> None:
        self.waiting: dict[Hashable, deque[Job]] = {}  # budget key -> not handed over, oldest first
        self._group = group
        self._budget = budget
        self._clock = clock
        self._outcomes = outcomes
        self._isolation = isolation
        self._cancelling = cancelling
        self._clearance = clearance
        self._parking = parking
        self._slowness = slowness
        self._gate = gate
        self._guarded = guarded
        self._timers = later
        self._flights = Flights(group, fatal, self._flush_soon, gate.may_leave, clock.now_ms)
        self._later: dict[Job, TimerHandle] = {}  # to be tried again; they keep their budget
        self._flush_due = False
        self._pumping = False
        self._pump_again = False
        self._look: TimerHandle | None = None

    def queue(self, job: Job) -> None:
        """Waits for its turn; `pump` gives it."""
        if self._slowness.is_excess(job):
            self._parking.add((job,), Why.BUDGET)
            return
        queue = self.waiting.get(job.parcel.key)
        if queue is None:
            queue = self.waiting[job.parcel.key] = deque()
        queue.append(job)

    def pump(self) -> None:
        """Hands over what the budget allows, each app in turn with one message or some small ones; sets aside what has
        no way."""
        if self._pumping:  # a release from within: the loop below goes round once more
            self._pump_again = True
            return
        self._pumping = True
        try:
            moved = self._gate.may_leave() and self._cancelling.is_current()
            while moved or self._pump_again:
                moved = self._pump_again = False
                for key, queue in self.waiting.items():
                    if queue and self._hand_over(key, queue):
                        moved = True
            self._flights.start()
        finally:
            self._pumping = False
        stuck = any(self.waiting.values()) or self._parking.waiting
        if stuck and self._look is None:
            self._look = self._timer(LOOK_AGAIN_SECONDS, self._looked)
        elif not stuck:
            self._slowness.forget()

    def grounded(self) -> set[OpenRecord]:
        """Records that cannot finish before the partition goes: nothing of them is at a provider, and their next try is
        barred by the lease."""
        return set() if self._gate.may_leave() else {job.parcel.record for job in self._later} - self._flights.records()

    def drop(self, gone: Set[OpenRecord]) -> None:
        """Forgets these records, which are marked as dropped. Receipts under way still count."""
        for queue in self.waiting.values():
            kept = [job for job in queue if not job.parcel.record.dropped]
            queue.clear()
            queue.extend(kept)
        for job in [job for job in self._later if job.parcel.record in gone]:
            self._later.pop(job).cancel()
            self._budget.release(job.parcel.key, len(job.indices))
        for job in self._flights.cancel(gone):
            self._budget.release(job.parcel.key, len(job.open))
            if job.probe:
                self._isolation.forgo(job.parcel.app, len(job.open))
            job.open.clear()
        self._budget.wake()

    async def close(self) -> None:
        """After everything was dropped: waits for the cancelled sends."""
        if self._look is not None:
            self._look.cancel()
        await self._flights.ended()

    def flush(self) -> None:
        """Settles what has arrived."""
        self._flush_due = False
        arrived, returned = self._flights.take()
        ours = self._gate.is_ours()
        retries = self._outcomes.settle(arrived, ours)
        for job in returned:
            if job.open and not job.parcel.record.dropped:
                logger.error("%s: a provider returned without %d results", self._group, len(job.open))
                missing = [Result(target, Disposition.UNKNOWN) for target in job.open]
                retries += self._outcomes.settle([(job, missing)], ours)
        for job, delay_seconds in retries:
            self._later[job] = self._timer(delay_seconds, partial(self._again, job))

    def _timer(self, delay_seconds: float, step: Callable[[], None]) -> TimerHandle:
        return self._timers(delay_seconds, partial(self._guarded, step))

    def _looked(self) -> None:
        self._look = None
        self._parking.go_on()
        if not self._gate.is_fresh():
            self._slowness.forget()
        elif excess := self._slowness.look(self.waiting, self._clock.monotonic_seconds()):
            self._parking.add(excess, Why.BUDGET)
        self.pump()

    def _hand_over(self, key: Hashable, queue: deque[Job]) -> bool:
        job = queue[0]
        parcel = job.parcel
        blocked = None if parcel.provider is None else self._isolation.blocked(parcel.app)
        if blocked is None and len(job.indices) < LEAST_PART and self._hand_over_small(key, queue):
            return True
        if blocked is not None and parcel.record.was_refused:
            job = _fresh_first(queue)
            parcel = job.parcel
        record = parcel.record
        if record.dropped or record.batch.lost:
            queue.popleft()
            return True
        count = len(job.indices)
        if blocked is None:
            granted = self._budget.take(key, count, LEAST_PART)
            if not granted:
                return False
        else:
            granted = self._probes(key, parcel.app, count, blocked)
            if not granted:
                self._parking.add(queue, blocked)
                queue.clear()
                return False
        if granted < count:
            rest = job.indices[granted:]
            job = Job(parcel, job.indices[:granted], 0, job.doubtful)
            queue[0].indices = rest
        else:
            queue.popleft()
        self._slowness.left(key, granted)
        job.probe = blocked is not None
        record.started = True
        self._send(job, self._clock.now_ms())
        return True

    def _hand_over_small(self, key: Hashable, queue: deque[Job]) -> bool:
        """Hands over the small messages at the head of an app's queue: the budget is asked once for all of them. False
        when there is no room for a whole one."""
        wanted = 0
        for job in queue:
            wanted += len(job.indices)
            if wanted >= LEAST_PART:
                wanted = LEAST_PART
                break
        left = granted = self._budget.take(key, wanted)
        now_ms = self._clock.now_ms()
        moved = False
        while queue:
            job = queue[0]
            record = job.parcel.record
            if record.dropped or record.batch.lost:
                queue.popleft()
                moved = True
                continue
            count = len(job.indices)
            if count > left:
                break
            queue.popleft()
            left -= count
            record.started = moved = True
            self._send(job, now_ms)
        if left:
            self._budget.release(key, left)
        self._slowness.left(key, granted - left)
        return moved

    def _probes(self, key: Hashable, app: str, count: int, blocked: Why) -> int:
        """How many targets may leave all the same, to see whether the provider works again. They take their budget."""
        if blocked is Why.PAUSED:
            return 0
        wanted = self._isolation.probes(app, count)
        granted = self._budget.take(key, wanted) if wanted else 0
        self._isolation.forgo(app, wanted - granted)
        return granted

    def _send(self, job: Job, now_ms: int) -> None:
        """Hands over what may go. The targets hold their budget already."""
        if self._clearance.cleared(job, now_ms):
            if self._cancelling.is_old:
                self._cancelling.tell_unheard(len(job.indices))
            self._flights.add(job, now_ms)

    def recall(self, partition: int | None, users: frozenset[str]) -> None:
        """More was cancelled of these users, or of a campaign: what a provider has of it and has not written comes
        back."""

        def concerns(job: Job) -> bool:
            mine = partition is None or job.parcel.record.batch.partition == partition
            return mine and self._cancelling.concerns(job, users)

        self._flights.recall(concerns)

    def _flush_soon(self) -> None:
        if not self._flush_due:
            self._flush_due = True
            asyncio.get_running_loop().call_soon(self._guarded, self.flush)

    def _again(self, job: Job) -> None:
        """A later try in this process: as careful as the first one."""
        del self._later[job]
        parcel = job.parcel
        if parcel.record.batch.lost:
            self._budget.release(parcel.key, len(job.indices))
            self._budget.wake()
            return
        if not (self._gate.may_leave() and self._cancelling.is_current()):
            self._later[job] = self._timer(LOOK_AGAIN_SECONDS, partial(self._again, job))
            return
        blocked = self._isolation.blocked(parcel.app)
        if blocked is not None:
            self._outcomes.park(job, blocked)
        else:
            self._send(job, self._clock.now_ms())
            self._flights.start()


def _fresh_first(queue: deque[Job]) -> Job:
    """The head of the queue, which is now a job that was not refused before, if there is one: it probes better."""
    fresh = next((job for job in queue if not job.parcel.record.was_refused), None)
    if fresh is not None:
        queue.remove(fresh)
        queue.appendleft(fresh)
    return queue[0]
