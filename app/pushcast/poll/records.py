"""What is under way: assignments of partitions, and records that are due."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from pushcast.stream.ports import Batch, Record, TimerHandle
from pushcast.stream.tenure import Pending
from pushcast.wire.tickets import TicketBatch


@dataclass(slots=True, eq=False)
class Queue:
    """A tenure of POLL: the records of one partition, in the order in which they are due."""

    queue: deque[tuple[float, Due]] = field(default_factory=deque)  # when due, on the monotonic clock
    timer: TimerHandle | None = None
    pending: Pending = field(default_factory=Pending)  # records whose outputs are on their way to Kafka
    gone: bool = False

    def close(self) -> None:
        """Nothing more is asked about. What is on its way to Kafka still counts."""
        self.gone = True
        self.queue.clear()
        if self.timer is not None:
            self.timer.cancel()


@dataclass(slots=True, eq=False)
class Due:
    """A record of tickets. `gone`: its partition is another's, who asks again."""

    tenure: Queue
    batch: Batch
    record: Record

    @property
    def gone(self) -> bool:
        return self.tenure.gone or self.batch.lost


@dataclass(slots=True, eq=False)
class Asked:
    """A due record whose tickets are in question."""

    due: Due
    tickets: TicketBatch
