"""Work that is kept aside: records of the parked topic, and the way of waiting jobs into it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from pushcast.model.clock import Clock
from pushcast.model.words import Lane, Platform
from pushcast.send.decide import DOUBTFUL, EXPIRED, End
from pushcast.send.figures import Figures
from pushcast.send.once import parted
from pushcast.send.receipts import ParcelReceipts
from pushcast.send.records import Job, OpenRecord, Parcel
from pushcast.stream.ports import Barrier, Fatal, Outbox
from pushcast.stream.runner import Runner
from pushcast.wire import topics
from pushcast.wire.sending.parked import Why, parked_record
from pushcast.wire.sending.retries import foreign, picked

#: At most this many parked targets are unacknowledged at once. A process that lost its partition can double no more
#: pushes than these.
TARGETS_AT_A_TIME = 1000


class ParkedRecords:
    """Collects targets and writes one record for those of a send record that belong together.

    What is now or never is not kept for later: it ends instead, in the same barrier.
    """

    def __init__(
        self, outbox: Outbox, clock: Clock, platform: Platform, lane: Lane, group: str, figures: Figures
    ) -> None:
        self._outbox = outbox
        self._platform = platform
        self._lane = lane
        self._group = group
        self._figures = figures
        self._clock = clock
        self._receipts = ParcelReceipts(outbox, platform)
        self._ended: list[tuple[Parcel, list[int], End]] = []
        self._targets: dict[tuple[OpenRecord, str, Why, bool, bool], dict[Parcel, list[int]]] = {}

    def add(self, parcel: Parcel, targets: Sequence[int], why: Why, doubtful: bool, *, refused: bool = False) -> None:
        """`doubtful`: an earlier try may have reached these devices; `refused`: their provider was just asked."""
        ends, targets = parted(parcel.message, targets)
        if ends:
            self._ended.append((parcel, ends, DOUBTFUL if doubtful else EXPIRED))
        if not targets:
            return
        key = (parcel.record, parcel.app, why, doubtful, refused or parcel.record.round.refused)
        self._targets.setdefault(key, {}).setdefault(parcel, []).extend(targets)
        self._figures.parked[parcel.app, self._platform, self._lane, why] += len(targets)

    def put(self, barrier: Barrier) -> None:
        """Writes what was collected since the last time, each to the partition of its send record."""
        if self._ended:
            self._put_receipts(barrier)
        if not self._targets:
            return
        collected, self._targets = self._targets, {}
        for (record, app, why, doubtful, refused), parcels in collected.items():
            value, headers = parked_record(
                app=app,
                lane=self._lane,
                platform=self._platform,
                messages=[each for parcel, targets in parcels.items() for each in picked(parcel.message, targets)],
                why=why,
                run=record.run,
                first_seen_at=record.first_seen_at,
                rounds_made=record.round.rounds,
                doubtful=doubtful,
                sent_from=f"{self._group}|{record.offset}",
                refused=refused,
                source=record.source,
                carried=foreign(record.headers),
            )
            self._outbox.put(barrier, topics.PARKED, record.batch.partition, value, None, headers)

    def _put_receipts(self, barrier: Barrier) -> None:
        ended, self._ended = self._ended, []
        now_ms = self._clock.now_ms()
        for parcel, targets, (outcome, reason, _) in ended:
            write = self._receipts.writing(parcel, barrier)
            for target in targets:
                write(target, outcome, reason, None, None, now_ms)
            self._figures.outcomes[parcel.app, self._platform, self._lane, outcome, reason or ""] += len(targets)


class Parking:
    """Writes waiting jobs, a bounded number at a time, each lot acknowledged before the next.

    `on_parked` is told of each lot: record and how many of its targets. `may_leave`: as for providers; a process that
    may have lost its partitions must not write either.
    """

    def __init__(
        self,
        outbox: Outbox,
        records: ParkedRecords,
        *,
        may_leave: Callable[[], bool],
        on_parked: Callable[[list[tuple[OpenRecord, int]]], None],
        fatal: Fatal,
    ) -> None:
        self._outbox = outbox
        self._records = records
        self._may_leave = may_leave
        self._on_parked = on_parked
        self._queue: deque[tuple[Job, Why]] = deque()
        self._runner = Runner("parking", self._wait, self._drain, fatal)

    @property
    def waiting(self) -> int:
        """Targets that are not written yet."""
        return sum(len(job.indices) for job, _ in self._queue)

    def add(self, jobs: Iterable[Job], why: Why) -> None:
        """Takes jobs that hold no budget, in their order."""
        self._queue.extend((job, why) for job in jobs)
        self.go_on()

    def go_on(self) -> None:
        """Writes on, if it had stopped because nothing might leave."""
        self._runner.wake()

    async def close(self) -> None:
        """What is not written stays with its send record."""
        self._queue.clear()
        await self._runner.stopped()

    def _wait(self) -> float | None:
        return 0.0 if self._queue and self._may_leave() else None

    async def _drain(self) -> None:
        while self._queue:
            await self._outbox.room()
            if not self._may_leave():  # asked after the wait, which may be long
                return
            barrier = self._outbox.barrier()
            lot: list[tuple[OpenRecord, int]] = []
            count = 0
            while self._queue and count < TARGETS_AT_A_TIME:
                job, why = self._queue.popleft()
                record = job.parcel.record
                if record.dropped or record.batch.lost:
                    continue
                record.started = True
                self._records.add(job.parcel, job.indices, why, job.doubtful)
                lot.append((record, len(job.indices)))
                count += len(job.indices)
            if lot:
                self._records.put(barrier)
                await barrier.wait()
                self._on_parked(lot)
