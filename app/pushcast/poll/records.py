"""What is under way: assignments of partitions, and records that are due."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from pushcast.stream.batch import TP, Batch, Record
from pushcast.stream.runner import Runner
from pushcast.stream.tenure import Pending
from pushcast.wire.sending.tickets import TicketBatch


class TicketQueue:
    """A tenure of POLL: the records of one partition, in the order in which they are due."""

    def __init__(self, tp: TP, runner: Callable[[TicketQueue], Runner]) -> None:
        self.tp = tp
        self.queue: deque[tuple[float, Due]] = deque()  # when due, on the monotonic clock
        self.pending = Pending()  # records whose outputs are on their way to Kafka
        self.gone = False
        self.runner = runner(self)  # hands over what is due

    def close(self) -> None:
        """Nothing more is asked about. What is on its way to Kafka still counts."""
        self.gone = True
        self.queue.clear()
        self.runner.stop()


@dataclass(slots=True, eq=False)
class Due:
    """A record of tickets. `gone`: its partition is another's, who asks again."""

    tenure: TicketQueue
    batch: Batch
    record: Record

    @property
    def gone(self) -> bool:
        return self.tenure.gone or self.batch.lost


@dataclass(slots=True, eq=False)
class AskedTickets:
    """A due record whose tickets are in question."""

    due: Due
    tickets: TicketBatch
