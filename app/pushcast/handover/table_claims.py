"""The hand-over of a stage whose own tail is its table: claim, fence, and a table that knows the log up to the fence.

Such a stage decides idempotently over its sources. So a new owner claims the partition with a commit, writes a fence
into the table's topic, and waits until its table has applied it. What a predecessor writes after that is void, and the
table keeps it out (`guard`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from pushcast.handover import standing
from pushcast.handover.claims import ClaimRefused, Claims
from pushcast.handover.standing import NOT_REFUSED, Refused, Standing
from pushcast.model.clock import Clock
from pushcast.stream.batch import TP, Committed
from pushcast.stream.ports import Outbox
from pushcast.stream.table import Table
from pushcast.wire import headers as h
from pushcast.wire.devices import row_fences

#: A table that has not applied a fence by then stands still: the claim is made anew.
FENCE_SECONDS = 30.0


class TableClaims:
    """The partitions of a table's topic that this process has claimed, whatever sources have the same number.

    It belongs to the event loop. `topic`: the table's.
    """

    def __init__(self, stage: str, topic: str, table: Table, outbox: Outbox, clock: Clock) -> None:
        self._stage = stage
        self._topic = topic
        self._table = table
        self._outbox = outbox
        self._clock = clock
        self._epochs: dict[int, int] = {}
        self._started: set[int] = set()
        self._moved = asyncio.Event()
        table.on_applied(lambda *_: self._moved.set())

    def metadata(
        self, tp: TP, offset: int, origins: Mapping[str, int] | None = None, refused: Refused = NOT_REFUSED
    ) -> str:
        """For every commit of the partition, the last one after it was let go too."""
        return standing.encode(Standing(self._epoch(tp.partition), origins=dict(origins or {}), refused=refused))

    def origin(self, tp: TP) -> h.Headers:
        """Headers of every row of this partition while it is ours; with epoch 0 before the first claim."""
        return h.origin(self._stage, tp.partition, self._epoch(tp.partition))

    async def refresh(self, work: object) -> None:
        """Keeps no positions: the table is the tail."""

    async def take_over(self, work: Claims, committed: Mapping[TP, Committed]) -> None:
        """Returns when the predecessors are fenced off and the table knows what they wrote until then.

        May be called again after an error. Raises ClaimRefused and TimeoutError (both are tried again by the
        transport), and UnreadableMetadata (which ends the process).
        """
        epochs: dict[int, int] = {}
        for tp, at in committed.items():
            known = max(standing.decode(at.metadata).epoch, self._table.fenced(tp.partition), self._epoch(tp.partition))
            epoch = standing.next_epoch(known, self._clock.now_ms() // 1000)
            epochs[tp.partition] = max(epochs.get(tp.partition, 0), epoch)
        self.let_go(epochs)
        self._epochs.update(epochs)
        if not await work.commit_now(committed):
            raise ClaimRefused(f"{self._stage}: Kafka refused the claim of {len(committed)} partitions")
        await self._outbox.room()
        barrier = self._outbox.barrier()
        for partition, epoch in epochs.items():
            headers = [*h.origin(self._stage, partition, epoch), (h.FENCE, b"1")]
            for key, value in row_fences.records(f"{self._stage}/{partition}", epoch).items():
                self._outbox.put(barrier, self._topic, partition, value, key, headers)
        await barrier.wait()
        try:
            async with asyncio.timeout(FENCE_SECONDS):
                await self._tables_fenced(epochs)
        except TimeoutError as error:
            if isinstance(error, ClaimRefused):
                raise
            behind = [partition for partition, epoch in epochs.items() if self._table.fenced(partition) != epoch]
            raise TimeoutError(
                f"the table has not applied the fences in {self._topic}{behind} within {FENCE_SECONDS:.0f} s"
            ) from None
        self._started |= epochs.keys()

    def let_go(self, partitions: Iterable[int]) -> None:
        """The partitions go, or are about to be claimed anew. Their epochs stay for the last commit."""
        self._started.difference_update(partitions)

    def is_last(self, partition: int) -> bool:
        """Whether our fence is the newest that the table has applied."""
        return partition in self._started and self._table.fenced(partition) == self._epochs[partition]

    def _epoch(self, partition: int) -> int:
        return self._epochs.get(partition, 0)

    async def _tables_fenced(self, epochs: Mapping[int, int]) -> None:
        while True:
            self._moved.clear()
            fenced = {partition: self._table.fenced(partition) for partition in epochs}
            if any(fenced[partition] > epoch for partition, epoch in epochs.items()):
                raise ClaimRefused(f"{self._stage}: another process has claimed one of partitions {sorted(epochs)}")
            if fenced == epochs:
                return
            await self._moved.wait()
