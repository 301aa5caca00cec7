"""Commits of batch stages: low watermarks with the stages' metadata, which is refreshed where nothing moves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Protocol

from pushcast.stream.batch import METADATA_MAX_BYTES, TP, Committed
from pushcast.stream.fatal import end_process
from pushcast.stream.retrying import RETRIED
from pushcast.transport.partition import Partition
from pushcast.transport.stage_tasks import watch

logger = logging.getLogger(__name__)

#: How old the metadata of an idle partition may become, and with it what a new owner has to read.
REFRESH_SECONDS = 5.0


class Committer(Protocol):
    """The consumer's thread, as far as commits need it."""

    async def commit_offsets(self, lease: object | None, offsets: Mapping[TP, Committed]) -> bool:
        """Commits under the lease. False, never an error, when Kafka did not take them."""


class Owner(Protocol):
    """The consumer whose partitions are committed."""

    @property
    def lease(self) -> object | None:
        """The present assignment; None without one."""

    @property
    def partitions(self) -> Mapping[TP, Partition]:
        """Those that are assigned and have a stage."""

    @property
    def restored(self) -> bool:
        """Partitions are assigned, tables recovered, stages prepared."""

    @property
    def thread(self) -> Committer:
        """Where commits go to the coordinator."""


class Commits:
    """What the coordinator holds of a consumer's partitions, and how it gets more. On the consumer's loop only."""

    def __init__(self, consumer: Owner) -> None:
        self._consumer = consumer
        self._committed: dict[TP, Committed] = {}
        self._refreshing: asyncio.Task[None] | None = None
        self._refreshed_at = 0.0  # on the loop's clock
        self._lock = asyncio.Lock()

    def begin(self, tp: TP, committed: Committed) -> None:
        """Notes what an assigned partition starts from."""
        if committed.offset is not None:
            self._committed[tp] = committed

    def forget(self, tp: TP) -> None:
        """The partition is no longer ours."""
        self._committed.pop(tp, None)

    async def commit_partitions(self, tps: Iterable[TP], *, force: bool = False, lease: object | None = None) -> bool:
        """Commits the low watermarks that moved (all of them with `force`) and their metadata.

        With `lease`: only while it is the present one.
        One commit at a time, so they reach the coordinator in order. False when Kafka did not take them; they stay
        pending. Never raises a Kafka error.
        """
        async with self._lock:
            if lease is not None and lease is not self._consumer.lease:
                return False
            offsets: dict[TP, Committed] = {}
            for tp in tps:
                partition = self._consumer.partitions.get(tp)
                if partition is None:
                    continue
                low = partition.tracker.low
                if force or low > self._low_committed(partition):
                    offsets[tp] = Committed(low, _metadata(partition, low))
            if not offsets or not await self._consumer.thread.commit_offsets(self._consumer.lease, offsets):
                return False
            self._committed.update(offsets)
            return True

    def _low_committed(self, partition: Partition) -> int:
        committed = self._committed.get(partition.tp)
        return partition.start_offset if committed is None or committed.offset is None else committed.offset

    def refresh_now_and_then(self) -> None:
        """Starts a refresh of the stages' metadata when the last one is old; the commit tick calls it."""
        now = asyncio.get_running_loop().time()
        if self._consumer.restored and self._refreshing is None and now - self._refreshed_at >= REFRESH_SECONDS:
            self._refreshed_at = now
            self._refreshing = asyncio.create_task(self._refresh())
            self._refreshing.add_done_callback(self._has_refreshed)

    def _has_refreshed(self, task: asyncio.Task[None]) -> None:
        self._refreshing = None
        watch(task)

    async def _refresh(self) -> None:
        """Commits fresh metadata of partitions whose offset does not move."""
        consumer = self._consumer
        lease = consumer.lease
        for stage in {id(partition.stage): partition.stage for partition in consumer.partitions.values()}.values():
            try:
                await stage.refresh()
            except RETRIED as exc:
                if consumer.restored:
                    logger.warning("metadata is not refreshed now: %r", exc)
        if lease is not consumer.lease or not consumer.restored:
            return  # a rebalance came between: its stages are not prepared yet
        idle = []
        for tp, partition in consumer.partitions.items():
            low, committed = partition.tracker.low, self._committed.get(tp)
            if committed is not None and committed.offset == low and committed.metadata != _metadata(partition, low):
                idle.append(tp)
        await self.commit_partitions(idle, force=True, lease=lease)


def _metadata(partition: Partition, offset: int) -> str:
    try:
        metadata = partition.stage.commit_metadata(partition.tp, offset)
        if len(metadata.encode()) > METADATA_MAX_BYTES:
            raise ValueError(f"commit metadata of {partition.tp} exceeds {METADATA_MAX_BYTES} bytes")
    except Exception as exc:
        end_process("a stage has no valid commit metadata", exc)
    return metadata
