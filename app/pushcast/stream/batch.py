"""What a stage is handed: records of one partition in offset order, to be completed later and in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from pushcast.stream.tracker import Bounds, Record, Segment, Tracker

__all__ = ["TP", "Batch", "Bounds", "Committed", "Record"]

#: Kafka's `offset.metadata.max.bytes` default: a commit with more is refused.
METADATA_MAX_BYTES = 4096


class TP(NamedTuple):
    """A partition of a topic. The clients have tuples of their own with the same two fields, which equal this one."""

    topic: str
    partition: int


class Committed(NamedTuple):
    """What the group coordinator holds for a partition. `offset` is None when nothing was ever committed."""

    offset: int | None
    metadata: str


class Batch:
    """Records of one partition in offset order, and how to complete them.

    Completions may come in any order, later than `handle` returns, and more than once. They count only while the
    partition is still assigned in the same generation: afterwards (`lost`) they are ignored and Kafka redelivers.
    Use it on the event loop only.
    """

    __slots__ = ("_changed", "_segment", "_tracker", "partition", "records", "topic", "tried")

    def __init__(self, tp: TP, tracker: Tracker, segment: Segment, changed: Callable[[], None]) -> None:
        self.topic: str = tp.topic
        self.partition: int = tp.partition
        self.records: Sequence[Record] = segment.records
        self.tried = False  # handed to the stage before, and handed again after an error
        self._tracker = tracker
        self._segment = segment
        self._changed = changed

    def unfinished(self) -> list[Record]:
        """The records that are not done yet, in offset order."""
        holds = self._segment.holds
        return [record for record in self.records if holds(record.offset)]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def lost(self) -> bool:
        """True once the partition is no longer ours: what is produced for it now may come twice."""
        return self._tracker.lost

    def done(self, offset: int) -> None:
        """Completes one record: everything that it caused is acknowledged by Kafka."""
        self.done_many((offset,))

    def done_many(self, offsets: Iterable[int]) -> None:
        """Completes several records."""
        if self._tracker.done(self._segment, offsets):
            self._changed()

    def done_all(self) -> None:
        """Completes every record of the batch; the cheapest way."""
        if self._tracker.done_all(self._segment):
            self._changed()

    def weigh(self, offset: int, targets: int, size_bytes: int | None = None) -> None:
        """Tells how many targets an unfinished record holds, for `Bounds.targets`; and of what size it is by now, when
        part of it is done and let go, for `Bounds.bytes`."""
        self._tracker.weigh(self._segment, offset, targets, size_bytes)
        self._changed()
