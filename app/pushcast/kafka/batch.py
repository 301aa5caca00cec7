"""What a stage sees of Kafka: batches of one partition, and the hooks around them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from faust.types import TP

from .tracker import Bounds, Record, Segment, Tracker

if TYPE_CHECKING:
    from .work import Work

__all__ = ["TP", "Batch", "BatchStage", "Bounds", "Committed", "Record", "Stage"]

#: Kafka's `offset.metadata.max.bytes` default: a commit with more is refused.
METADATA_MAX_BYTES = 4096


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


class BatchStage(Protocol):
    """A stage as the transport sees it. Inherit from `Stage` for the defaults."""

    work: Work

    async def handle(self, batch: Batch) -> None:
        """Takes a batch. Called one at a time per partition, partitions concurrently.

        It may return before its records are done. KafkaError, ProducerSendError, OSError and TimeoutError make the
        transport call it again with back-off, with the records of the batch that are not done; any other exception
        ends the process unacknowledged.
        """

    async def assigned(self, committed: dict[TP, Committed]) -> None:
        """After a rebalance and table recovery, before the first batch of these partitions.

        Errors are treated as in `handle`. Cancelled when the partitions go away meanwhile.
        """

    async def revoking(self, partitions: set[TP]) -> None:
        """The partitions are about to go: flush open windows, finish or drop. No `handle` runs meanwhile.

        What is not done when it returns is redelivered to the next owner. Bounded in time by the transport, which
        then goes on without it.
        """

    def commit_metadata(self, tp: TP, offset: int) -> str:
        """Metadata to store with the commit of `offset`: at most 4096 bytes of UTF-8."""

    async def refresh(self) -> None:
        """Every few seconds: may look up what `commit_metadata` depends on. Where that has changed it is committed,
        though the offset has not moved. Errors are treated as in `handle`, and it is called again the next time."""


class Stage:
    """Defaults for a stage that needs no hooks."""

    #: Set by `add_batch_stage`: commits, waits and figures of this stage's partitions.
    work: Work

    async def handle(self, batch: Batch) -> None:
        """Must be overridden."""
        raise NotImplementedError

    async def assigned(self, committed: dict[TP, Committed]) -> None:
        """Nothing to prepare."""

    async def revoking(self, partitions: set[TP]) -> None:
        """Waits until everything handed over is done (the transport bounds the wait)."""
        await self.work.drained(partitions)

    def commit_metadata(self, tp: TP, offset: int) -> str:
        """No metadata."""
        return ""

    async def refresh(self) -> None:
        """Nothing to look up."""
