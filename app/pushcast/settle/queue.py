"""Records of one partition that wait: until they are due, or until a pass over the parked ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from pushcast.handover.copies import Copies
from pushcast.handover.fences import Fences
from pushcast.settle.passes import Passes
from pushcast.stream.batch import TP, Batch, Record
from pushcast.stream.runner import Runner
from pushcast.stream.tenure import Pending


class Waiting(NamedTuple):
    """`due` is on the monotonic clock; of a parked record it says nothing."""

    batch: Batch
    record: Record
    due: float


class Queue:
    """A tenure of SETTLE: the records of one partition that wait; the head goes first."""

    def __init__(self, tp: TP, fences: Fences, passes: Passes | None, runner: Callable[[Queue], Runner]) -> None:
        self.tp = tp
        self.fences = fences  # of the partition itself: parked records are written by settlers too
        self.copies = Copies()  # of what Kafka's clients wrote twice
        self.passes = passes  # of a parked partition
        self.records: deque[Waiting] = deque()
        self.pending = Pending()  # barriers
        self.closed = False
        self.runner = runner(self)  # passes on

    def wait_seconds(self, now: float, probing: bool) -> float | None:
        """Until the head may be handled; None without one."""
        if not self.records:
            return None
        head = self.records[0]
        if self.passes is None:
            return head.due - now
        return self.passes.wait_seconds(head.record.offset, now, probing)

    def is_due(self, now: float) -> bool:
        """Whether there is a head and it may be handled now."""
        if not self.records:
            return False
        head = self.records[0]
        return head.due <= now if self.passes is None else head.record.offset < self.passes.end

    def close(self) -> None:
        """Nothing more is passed on. What is on its way to Kafka still counts."""
        self.closed = True
        self.records.clear()
        self.runner.stop()
