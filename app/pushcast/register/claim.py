"""REGISTER's hand-over: claim, fence, and a table that knows the log up to the fence.

Its decisions are idempotent over its sources, and its own tail is the table itself. So a new owner claims the
partition with a commit, writes a fence into the devices topic, and waits until its table has applied it. What a
predecessor writes after that is void: the table keeps it out, and it is overwritten at once with what the table says,
so that the log heals for those who do not look at fences (planners, and copies that are rebuilt after compaction).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from pushcast.handover import standing
from pushcast.handover.runner import ClaimRefused, Claims
from pushcast.handover.standing import Standing
from pushcast.model.clock import Clock
from pushcast.register.ports import Counters
from pushcast.stream.batch import TP, Committed
from pushcast.stream.ports import Fatal, Outbox
from pushcast.stream.table import Table
from pushcast.wire import headers as h
from pushcast.wire import row_fences

STAGE = "register"
#: Void rows that are overwritten without giving way to the event loop.
CHUNK_ROWS = 500
#: A table that has not applied a fence by then stands still: the claim is made anew.
FENCE_SECONDS = 30.0

logger = logging.getLogger(__name__)

#: Puts what is known of these keys, and calls back when Kafka has it: (partition, key -> offset of the void record).
Overwrite = Callable[[int, Mapping[bytes, int]], None]


class Ownership:
    """The partitions that this process has claimed. It belongs to the event loop."""

    def __init__(
        self,
        table: Table,
        outbox: Outbox,
        clock: Clock,
        counters: Counters,
        *,
        device_topic: str,
        room: Callable[[], Awaitable[None]],
        overwrite: Overwrite,
        fatal: Fatal,
    ) -> None:
        """`room` is awaited before every call of `overwrite`."""
        self._table = table
        self._outbox = outbox
        self._clock = clock
        self._counters = counters
        self._device_topic = device_topic
        self._room = room
        self._overwrite = overwrite
        self._fatal = fatal
        self._epochs: dict[int, int] = {}
        self._started: set[int] = set()
        self._healed: dict[int, dict[bytes, int]] = {}  # by partition: void offsets that were overwritten
        self._healing: dict[int, asyncio.Task[None]] = {}
        self._moved = asyncio.Event()
        table.on_applied(lambda *_: self._moved.set())
        table.on_void(self._found_void)

    def epoch(self, partition: int) -> int:
        """What every row of this partition carries while it is ours; 0 for a partition that was never claimed."""
        return self._epochs.get(partition, 0)

    def metadata(self, tp: TP) -> str:
        """For every commit of the partition."""
        return standing.encode(Standing(self.epoch(tp.partition)))

    async def take_over(self, work: Claims, committed: Mapping[TP, Committed]) -> None:
        """Returns when the predecessors are fenced off and the table knows what they wrote until then.

        May be called again after an error. Raises ClaimRefused and TimeoutError (both are tried again by the
        transport), and UnreadableMetadata (which ends the process).
        """
        epochs: dict[int, int] = {}
        for tp, at in committed.items():
            known = max(standing.decode(at.metadata).epoch, self._table.fenced(tp.partition), self.epoch(tp.partition))
            epoch = standing.next_epoch(known, self._clock.now_ms() // 1000)
            epochs[tp.partition] = max(epochs.get(tp.partition, 0), epoch)
        for partition in epochs:
            self.forget(partition)
        self._epochs.update(epochs)
        if not await work.commit_now(committed):
            raise ClaimRefused(f"{STAGE}: Kafka refused the claim of {len(committed)} partitions")
        await self._outbox.room()
        barrier = self._outbox.barrier()
        for partition, epoch in epochs.items():
            headers = [*h.origin(STAGE, partition, epoch), (h.FENCE, b"1")]
            for key, value in row_fences.records(f"{STAGE}/{partition}", epoch).items():
                self._outbox.put(barrier, self._device_topic, partition, value, key, headers)
        await barrier.wait()
        async with asyncio.timeout(FENCE_SECONDS):
            await self._tables_fenced(epochs)
        self._started |= epochs.keys()
        self._counters["claims", ""] += len(epochs)
        for partition in epochs:
            self._heal(partition)

    def forget(self, partition: int) -> None:
        """The partition goes, or is about to be claimed anew. Its epoch stays for the last commit."""
        self._started.discard(partition)
        self._healed.pop(partition, None)
        task = self._healing.pop(partition, None)
        if task is not None:
            task.cancel()

    async def _tables_fenced(self, epochs: Mapping[int, int]) -> None:
        while True:
            self._moved.clear()
            fenced = {partition: self._table.fenced(partition) for partition in epochs}
            if any(fenced[partition] > epoch for partition, epoch in epochs.items()):
                raise ClaimRefused(f"{STAGE}: another process has claimed one of partitions {sorted(epochs)}")
            if fenced == epochs:
                return
            await self._moved.wait()

    def _found_void(self, partition: int, count: int) -> None:
        self._counters["void_rows", "found"] += count
        self._heal(partition)

    def _heal(self, partition: int) -> None:
        """Heals while our fence is the newest: a fenced-off owner would overwrite good rows with its stale ones."""
        if partition in self._healing or not self._unhealed(partition):
            return
        task = self._healing[partition] = asyncio.create_task(self._overwrite_all(partition))
        task.add_done_callback(partial(self._overwritten, partition))

    def _is_last(self, partition: int) -> bool:
        return partition in self._started and self._table.fenced(partition) == self._epochs[partition]

    def _unhealed(self, partition: int) -> dict[bytes, int]:
        if not self._is_last(partition):
            return {}
        void, healed = self._table.void(partition), self._healed.setdefault(partition, {})
        if len(healed) > len(void):  # what the table has seen overwritten
            healed = self._healed[partition] = {key: at for key, at in healed.items() if key in void}
        return {key: offset for key, offset in void.items() if healed.get(key) != offset}

    async def _overwrite_all(self, partition: int) -> None:
        while unhealed := self._unhealed(partition):
            logger.warning("%d void rows in partition %d are overwritten", len(unhealed), partition)
            keys = list(unhealed)
            for start in range(0, len(keys), CHUNK_ROWS):
                await self._room()
                # Nothing is awaited from here on. What was overwritten meanwhile is left as it is.
                if not self._is_last(partition):
                    return
                void, healed = self._table.void(partition), self._healed.setdefault(partition, {})
                chosen = {key: void[key] for key in keys[start : start + CHUNK_ROWS] if key in void}
                self._overwrite(partition, chosen)
                healed.update(chosen)
                self._counters["void_rows", "healed"] += len(chosen)

    def _overwritten(self, partition: int, task: asyncio.Task[None]) -> None:
        if self._healing.get(partition) is task:
            del self._healing[partition]
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._fatal(f"void rows of partition {partition}", error)
        else:
            self._heal(partition)  # what was found since the task looked last
