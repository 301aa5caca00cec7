"""What is under way: assignments of partitions, and records that are due."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from pushcast.stream.ports import Batch, Record, TimerHandle
from pushcast.wire.tickets import TicketBatch


@dataclass(slots=True, eq=False)
class Lease:
    """One assignment of a partition, from the first record to the revocation."""

    queue: deque[tuple[float, Due]] = field(default_factory=deque)  # when due, on the monotonic clock
    timer: TimerHandle | None = None
    unacknowledged: int = 0  # records whose outputs are on their way to Kafka
    gone: bool = False


@dataclass(slots=True, eq=False)
class Due:
    """A record of tickets. `gone`: its partition is another's, who asks again."""

    lease: Lease
    batch: Batch
    record: Record

    @property
    def gone(self) -> bool:
        return self.lease.gone or self.batch.lost


@dataclass(slots=True, eq=False)
class Asked:
    """A due record whose tickets are in question."""

    due: Due
    tickets: TicketBatch
