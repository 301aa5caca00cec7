"""What is uncompleted in one partition, and how far it may be committed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pushcast.wire.answers.dead_letters import SourceRecord

#: Counted per record on top of key and value: the client's object, its headers, its place in the tracker.
#: `sys.getsizeof` of aiokafka's ConsumerRecord with three short headers is about 400 bytes on CPython 3.11.
RECORD_OVERHEAD_BYTES = 400


class Record(SourceRecord, Protocol):
    """A consumed record, as the client hands it over: nothing is copied. Sizes are -1 for an absent key or value."""

    @property
    def serialized_key_size(self) -> int: ...
    @property
    def serialized_value_size(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much uncompleted work one partition may hold before it is paused; it resumes below half of it.

    A fetch that is under way may overshoot by one fetch response (`max_partition_fetch_bytes`).
    """

    records: int = 10_000
    bytes: int = 8 << 20
    targets: int = 100_000


class Segment:
    """The records of one hand-over: contiguous in order, not in number (compaction, transaction markers).

    The records themselves are let go with the first single completion, and the index shrinks with what is left, so
    that one record that waits for minutes does not hold the memory of its neighbours.
    """

    __slots__ = ("_head", "_offsets", "_records", "_timestamps", "_unfinished", "bytes", "left", "weights")

    def __init__(self, records: Sequence[Record], size_bytes: int) -> None:
        self.left = len(records)
        self.bytes = size_bytes
        self.weights: dict[int, int] | None = None  # offset -> targets
        self._records: Sequence[Record] = records  # until the first single completion
        self._unfinished: dict[int, int] | None = None  # offset -> bytes, from then on
        self._offsets: list[int] = []
        self._timestamps: list[int] = []
        self._head = 0  # index of the lowest offset that may be unfinished

    @property
    def records(self) -> Sequence[Record]:
        """The records, as long as none of them is complete."""
        return self._records

    @property
    def index(self) -> Sequence[int]:
        """Offsets kept since the first single completion; those that are complete leave it now and then."""
        return self._offsets

    def holds(self, offset: int) -> bool:
        return offset in self.unfinished()

    def unfinished(self) -> dict[int, int]:
        """Bytes by offset of the unfinished records."""
        if self._unfinished is None:
            self._unfinished = {
                record.offset: record.serialized_key_size + record.serialized_value_size + RECORD_OVERHEAD_BYTES
                for record in self._records
            }
            self._offsets = list(self._unfinished)
            self._timestamps = [record.timestamp for record in self._records]
            self._records = ()
        return self._unfinished

    def clear(self) -> None:
        self.left = self.bytes = 0
        self.weights = None
        self._records = ()
        self._unfinished = {}
        self._offsets, self._timestamps = [], []

    def shrink(self) -> None:
        unfinished, offsets = self._unfinished, self._offsets
        if unfinished is not None and len(unfinished) * 8 < len(offsets):
            kept = [index for index in range(self._head, len(offsets)) if offsets[index] in unfinished]
            self._offsets = [offsets[index] for index in kept]
            self._timestamps = [self._timestamps[index] for index in kept]
            self._head = 0

    def oldest(self) -> tuple[int, int]:
        """Offset and timestamp (ms) of the lowest unfinished record; there must be one."""
        unfinished = self._unfinished
        if unfinished is None:
            return self._records[0].offset, self._records[0].timestamp
        while self._offsets[self._head] not in unfinished:
            self._head += 1
        return self._offsets[self._head], self._timestamps[self._head]


def record_bytes(record: Record) -> int:
    """Approximate memory of a record in bytes."""
    return record.serialized_key_size + record.serialized_value_size + RECORD_OVERHEAD_BYTES


class Tracker:
    """Completions of one partition during one assignment.

    `low` is the low watermark: every record below it that was handed over is complete. Completions may come in any
    order and more than once; offsets may have gaps. Not thread safe: it belongs to the event loop.
    """

    __slots__ = ("_segments", "bounds", "bytes", "lost", "next_offset", "records", "targets")

    def __init__(self, start_offset: int, bounds: Bounds) -> None:
        self.bounds = bounds
        self.next_offset = start_offset  # next offset that has not been handed over yet
        self.records = 0
        self.bytes = 0
        self.targets = 0
        self.lost = False
        self._segments: deque[Segment] = deque()

    def arrive(self, records: Sequence[Record]) -> int:
        """Counts records that were fetched and wait to be handed over. Returns their size in bytes."""
        # `record_bytes`, in line: every record that is consumed comes by.
        sizes = [record.serialized_key_size + record.serialized_value_size for record in records]
        size = sum(sizes) + RECORD_OVERHEAD_BYTES * len(records)
        self.records += len(records)
        self.bytes += size
        return size

    def leave(self, count: int, size_bytes: int) -> None:
        """Forgets records that arrived and will not be handed over."""
        self.records -= count
        self.bytes -= size_bytes

    def hand_over(self, records: Sequence[Record], size_bytes: int) -> Segment:
        """From here on these records, which have arrived, hold `low` back until they are done.

        Records come in offset order, all at or above `next_offset`; ValueError otherwise.
        """
        if not records or records[0].offset < self.next_offset:
            raise ValueError(f"records must be non-empty and start at or above {self.next_offset}")
        segment = Segment(records, size_bytes)
        self._segments.append(segment)
        self.next_offset = records[-1].offset + 1
        return segment

    def skip_to(self, offset: int) -> None:
        """No record below `offset` is left to be handed over: what is committed may go beyond the last record."""
        self.next_offset = max(self.next_offset, offset)

    @property
    def low(self) -> int:
        """The offset that may be committed: the lowest unfinished one, or the next one to be handed over."""
        head = self._head()
        return self.next_offset if head is None else head.oldest()[0]

    def oldest_timestamp_ms(self) -> int | None:
        """Kafka timestamp of the oldest unfinished record, None when all is complete."""
        head = self._head()
        return None if head is None else head.oldest()[1]

    def done(self, segment: Segment, offsets: Iterable[int]) -> int:
        """Completes single offsets; those already complete, or not of this segment, are ignored. Returns how many."""
        if self.lost:
            return 0
        unfinished = segment.unfinished()
        count = size = targets = 0
        weights = segment.weights
        for offset in offsets:
            weight = unfinished.pop(offset, None)
            if weight is None:
                continue
            count += 1
            size += weight
            if weights is not None:
                targets += weights.pop(offset, 0)
        self._take_off(segment, count, size, targets)
        if segment.left:
            segment.shrink()
        else:
            segment.clear()
        return count

    def done_all(self, segment: Segment) -> int:
        """Completes whatever is unfinished in the segment. Returns how many records that were."""
        if self.lost or not segment.left:
            return 0
        count = segment.left
        self._take_off(segment, count, segment.bytes, sum(segment.weights.values()) if segment.weights else 0)
        segment.clear()
        return count

    def weigh(self, segment: Segment, offset: int, targets: int, size_bytes: int | None = None) -> None:
        """Says how many targets an unfinished record holds; the last word counts.

        `size_bytes`: what it holds of memory now, when that is less than before.
        """
        if self.lost or not segment.left:
            return
        if not segment.holds(offset):
            return
        if size_bytes is not None:
            sizes = segment.unfinished()
            less = max(0, sizes[offset] - size_bytes)
            sizes[offset] -= less
            segment.bytes -= less
            self.bytes -= less
        if segment.weights is None:
            segment.weights = {}
        self.targets += targets - segment.weights.get(offset, 0)
        segment.weights[offset] = targets

    @property
    def over(self) -> bool:
        """At or above a bound: fetching should pause."""
        bounds = self.bounds
        return self.records >= bounds.records or self.bytes >= bounds.bytes or self.targets >= bounds.targets

    @property
    def relaxed(self) -> bool:
        """Below half of every bound: fetching should go on."""
        bounds = self.bounds
        return (
            self.records * 2 < bounds.records
            and self.bytes * 2 < bounds.bytes
            and self.targets * 2 < max(bounds.targets, 1)
        ) or not self.records

    def _take_off(self, segment: Segment, count: int, size: int, targets: int) -> None:
        segment.left -= count
        segment.bytes -= size
        self.records -= count
        self.bytes -= size
        self.targets -= targets

    def _head(self) -> Segment | None:
        segments = self._segments
        while segments and not segments[0].left:
            segments.popleft()
        return segments[0] if segments else None
