"""What a stage may ask the transport about its own partitions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast

import faust
from aiokafka.errors import KafkaError

from pushcast.stream.batch import TP
from pushcast.stream.stage import PartitionState, Work
from pushcast.transport.tps import theirs

if TYPE_CHECKING:
    from pushcast.transport.consumer import BatchConsumer
    from pushcast.transport.partition import Partition

ENDS_TIMEOUT_SECONDS = 10.0


class AppWork(Work):
    """Commits, waits and figures of the partitions of one stage in one App."""

    def __init__(self, app: faust.App, topics: Sequence[str]) -> None:
        self._app = app
        self.topics = frozenset(topics)

    @property
    def _consumer(self) -> BatchConsumer:
        return cast("BatchConsumer", self._app.consumer)

    def partitions(self) -> list[TP]:
        """The stage's partitions that this process owns now."""
        return [partition.tp for partition in self._mine()]

    def _mine(self) -> Iterable[Partition]:
        return [partition for tp, partition in self._consumer.partitions.items() if tp.topic in self.topics]

    async def drained(self, partitions: Iterable[TP]) -> None:
        """Waits until everything fetched from these partitions is done. No bound of its own."""
        owned = self._consumer.partitions
        await asyncio.gather(*[owned[tp].drained() for tp in partitions if tp in owned])

    async def commit_now(self, partitions: Iterable[TP]) -> bool:
        """Commits the low watermark of these partitions with fresh metadata, even when it has not moved.

        False when Kafka did not take it: no longer the owner, or not reachable.
        """
        return await self._consumer.commits.commit_partitions(partitions, force=True)

    async def ends(self, partitions: Iterable[TP]) -> dict[TP, int]:
        """Next offset to be written of each partition, of whatever topic. Raises OSError, TimeoutError among them."""
        try:
            async with asyncio.timeout(ENDS_TIMEOUT_SECONDS):
                found = await self._consumer.thread.highwaters(*map(theirs, partitions))
        except KafkaError as error:
            raise ConnectionError(f"Kafka does not say where its partitions end: {error!r}") from error
        return {TP(*tp): end for tp, end in found.items()}

    def waits(self, tp: TP) -> bool:
        """Whether records of one of the App's partitions are fetched and wait to be handled."""
        owned = self._consumer.partitions.get(tp)
        return owned is not None and owned.waits

    def waits_beside(self, partition: int) -> bool:
        """Whether records of this partition of the App's other topics are fetched and wait to be handled."""
        owned = self._consumer.partitions.items()
        return any(each.waits for tp, each in owned if tp.partition == partition and tp.topic not in self.topics)

    def may_hold_before(self, tp: TP, at_ms: int) -> bool:
        """Whether one of the App's partitions that is this process's may still hold a record of this Kafka time, or of
        an earlier one, that is not done: fetched or not."""
        owned = self._consumer.partitions.get(tp)
        if owned is None:
            return False
        state = self._consumer.state_of(owned)
        if state.lag_records == 0:
            return False
        oldest = state.oldest_unfinished_at_ms
        return oldest is None or oldest <= at_ms  # None: what is behind was not fetched yet

    def last_heartbeat_at(self) -> float:
        """CLOCK_BOOTTIME seconds when the coordinator last called this member alive; 0 before the first time."""
        return self._consumer.thread.membership.last_heartbeat_at

    def states(self) -> list[PartitionState]:
        """Figures per owned partition."""
        return [self._consumer.state_of(partition) for partition in self._mine()]
