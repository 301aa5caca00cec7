"""The queues in which the timers of a partition wait: one for each lane, and one for each rate."""

from __future__ import annotations

from typing import Final

from pushcast.keep.index import (
    ALL,
    QUEUES,
    REMEMBER_MS,
    REMEMBERED,
    IndexPlace,
    behind,
    is_paced,
    paced_queues,
    rate_of,
    until,
)
from pushcast.keep.tenure import KeepTenure
from pushcast.model.pacing import Bucket, Rates
from pushcast.stream.table import Table

#: Timers between two looks at the outbox, and turns of the loop for others; a more urgent one waits so long.
SLICE_TIMERS: Final = 200
#: Timers that are due one after the other are looked for so often: a look costs as much as letting ten go. At the same
#: moments in all partitions, so that what they write is acknowledged, and read back, together.
GATHER_MS: Final = 50
#: Of the most urgent lane, after the last look: what leaves at once waits for that, too.
URGENT_GATHER_MS: Final = 4


def paced_in(table: Table, partition: int) -> list[bytes]:
    """Queues of a partition that keep to a rate, in which something waits."""

    def first_in(first: bytes, before: bytes) -> bytes | None:
        return next(iter(table.index(partition, first, before, 1)), None)

    return list(paced_queues(first_in))


class Queues:
    """Of all partitions of one stage."""

    def __init__(self, table: Table, rates: Rates, partitions: int, remember_ms: int = REMEMBER_MS) -> None:
        """`remember_ms`: so long after its release a timer's row is kept."""
        self._later_ms = remember_ms - REMEMBER_MS
        self._table = table
        self._rates = rates
        self._partitions = partitions

    def of(self, tenure: KeepTenure) -> list[bytes]:
        """In the order in which they are released."""
        return [*ALL, *paced_in(self._table, tenure.number)]

    def rate(self, queue: bytes) -> int | None:
        """How many of a queue may go in a minute; None: all that are due."""
        return self._rates.per_minute(rate_of(queue)) if is_paced(queue) else None

    def held_back(self, tenure: KeepTenure, queue: bytes, now_ms: int) -> int:
        """For so many milliseconds nothing of a queue may go, because of its rate."""
        rate = self.rate(queue)
        if rate is None:
            return 0
        bucket = self.bucket(tenure, queue, now_ms)
        return 0 if bucket.allowed(rate, now_ms) else bucket.wait_ms(rate)

    @staticmethod
    def looked_at(tenure: KeepTenure, queue: bytes, due_at: int) -> int:
        """When a partition is looked at for what is due then, milliseconds by the broker. What becomes due after a look
        waits a little for more; what was due by then has come since, and waits for nothing."""
        looked = tenure.looked_at_ms
        if due_at <= looked:
            return due_at
        next_at = looked + URGENT_GATHER_MS if queue == QUEUES[0] else (looked // GATHER_MS + 1) * GATHER_MS
        return max(due_at, next_at)

    def due_at(self, queue: bytes, place: IndexPlace) -> int:
        """When something is to be done about an entry: it is due, or to be forgotten."""
        return place.at_ms + self._later_ms if queue == REMEMBERED else place.at_ms

    def bucket(self, tenure: KeepTenure, queue: bytes, now_ms: int) -> Bucket:
        """What a queue's rate has left."""
        bucket = tenure.buckets.get(queue)
        if bucket is None:
            bucket = tenure.buckets[queue] = Bucket(self._partitions, now_ms)
        return bucket

    def due(self, tenure: KeepTenure, queue: bytes, first: bytes, now_ms: int) -> list[bytes]:
        """Entries of a queue that may go now, from one on: some of them, or none."""
        if self.held_back(tenure, queue, now_ms):
            return []
        at_ms = now_ms - self._later_ms if queue == REMEMBERED else now_ms
        return self._table.index(tenure.number, first, until(queue, at_ms), SLICE_TIMERS)

    def entries(self, tenure: KeepTenure, queue: bytes, first: bytes, limit: int) -> list[bytes]:
        """Entries of a queue from one on, due or not."""
        return self._table.index(tenure.number, first, behind(queue), limit)
