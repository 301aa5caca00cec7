"""A stage as the transport drives it: the hooks around its batches, and what it may ask about its own partitions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from pushcast.stream.batch import TP, Batch, Committed


@dataclass(frozen=True, slots=True)
class PartitionState:
    """Figures of one assigned partition."""

    topic: str
    partition: int
    lag_records: int | None  # end of the log less the committable offset; None until the first fetch answered
    oldest_unfinished_at_ms: int | None  # Kafka timestamp; None when nothing is unfinished
    in_flight_records: int
    in_flight_bytes: int
    in_flight_targets: int
    paused: bool
    waits_for: str | None = None  # what only a process of a later release can do here


class Work(Protocol):
    """Commits, waits and figures of the partitions of one stage in one App (`transport.work.AppWork`)."""

    def partitions(self) -> list[TP]:
        """The stage's partitions that this process owns now."""
        ...

    async def drained(self, partitions: Iterable[TP]) -> None:
        """Waits until everything fetched from these partitions is done. No bound of its own."""
        ...

    async def commit_now(self, partitions: Iterable[TP]) -> bool:
        """Commits the low watermark of these partitions with fresh metadata, even when it has not moved.

        False when Kafka did not take it: no longer the owner, or not reachable.
        """
        ...

    async def ends(self, partitions: Iterable[TP]) -> dict[TP, int]:
        """Next offset to be written of each partition, of whatever topic. Raises OSError, TimeoutError among them."""
        ...

    def waits(self, tp: TP) -> bool:
        """Whether records of one of the App's partitions are fetched and wait to be handled."""
        ...

    def waits_beside(self, partition: int) -> bool:
        """Whether records of this partition of the App's other topics are fetched and wait to be handled."""
        ...

    def may_hold_before(self, tp: TP, at_ms: int) -> bool:
        """Whether one of the App's partitions that is this process's may still hold a record of this Kafka time, or of
        an earlier one, that is not done: fetched or not."""
        ...

    def last_heartbeat_at(self) -> float:
        """CLOCK_BOOTTIME seconds when the coordinator last called this member alive; 0 before the first time."""
        ...

    def states(self) -> list[PartitionState]:
        """Figures per owned partition."""
        ...


class BatchStage(Protocol):
    """A stage as the transport sees it. Inherit from `Stage` for the defaults."""

    work: Work

    async def handle(self, batch: Batch) -> None:
        """Takes a batch. Called one at a time per partition, partitions concurrently.

        It may return before its records are done. OSError, TimeoutError among them, makes the
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
