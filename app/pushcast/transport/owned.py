"""The partitions of batch stages that a consumer owns: their take-over, their workers, and their end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from pushcast.stream.assignment import boottime_seconds
from pushcast.stream.batch import TP, Committed
from pushcast.stream.retrying import retried
from pushcast.stream.stage import BatchStage
from pushcast.transport.commits import Commits
from pushcast.transport.partition import Partition
from pushcast.transport.stage_tasks import cancelled, finished, revoke_stages, watch
from pushcast.transport.waits import Waits

logger = logging.getLogger(__name__)


class OwnedPartitions:
    """Of one consumer, on its loop. `partitions` is for reading alone.

    A partition is fed from `begin` on; its worker hands records to the stage once the stage has taken it over.
    """

    def __init__(self, waits: Waits) -> None:
        self.partitions: dict[TP, Partition] = {}
        self._waits = waits
        self._workers: dict[TP, asyncio.Task[None]] = {}
        self._preparing: dict[asyncio.Task[None], frozenset[TP]] = {}  # with what each takes over
        self._ending = asyncio.Lock()

    @property
    def prepared(self) -> bool:
        """Whether every stage has taken over what it was assigned."""
        return all(task.done() for task in self._preparing)

    def begin(self, stage: BatchStage, assigned: Mapping[TP, tuple[Partition, Committed]]) -> None:
        """Has the stage take the partitions over, and gives each of them a worker."""
        takeover = object()
        self.partitions.update({tp: partition for tp, (partition, _) in assigned.items()})
        committed = {tp: start for tp, (_, start) in assigned.items()}

        def failed(error: Exception) -> None:
            self._waits.failed(takeover, error, boottime_seconds())
            for partition, _ in assigned.values():
                partition.failed(error)

        async def prepare() -> None:
            try:
                await retried(
                    f"assignment of {len(committed)} partitions",
                    lambda: stage.assigned(committed),
                    lambda: False,
                    failed,
                )
            finally:
                self._waits.over(takeover)

        ready = asyncio.create_task(prepare())
        ready.add_done_callback(watch)
        self._preparing[ready] = frozenset(assigned)
        for tp, (partition, _) in assigned.items():
            worker = asyncio.create_task(partition.run(asyncio.shield(ready)))
            worker.add_done_callback(watch)
            self._workers[tp] = worker

    async def end(self, commits: Commits, limit_seconds: float) -> None:
        """Finishes or drops what is in flight and commits, within about the limit. A second call waits for the first.

        A handler that hangs on a dead broker must not block the group.
        """
        async with self._ending:
            if self.partitions:
                await self._end(commits, limit_seconds)

    async def _end(self, commits: Commits, limit_seconds: float) -> None:
        deadline = asyncio.get_running_loop().time() + limit_seconds
        partitions, workers = dict(self.partitions), dict(self._workers)
        for partition in partitions.values():
            partition.close()
        unprepared = {task: tps for task, tps in self._preparing.items() if not task.done()}
        await cancelled(unprepared)
        self._preparing.clear()
        await finished(workers.values(), limit_seconds * 0.5)
        # A stage whose take-over was broken off has nothing to give back. Others of the App have.
        untaken = frozenset[TP]().union(*unprepared.values())
        await revoke_stages({tp: each for tp, each in partitions.items() if tp not in untaken}, deadline)
        await commits.commit_partitions(partitions)
        for tp, partition in partitions.items():
            if partition.tracker.records:
                logger.info("%s[%d] goes with %d unfinished records", *tp, partition.tracker.records)
            partition.tracker.lost = True
            self.partitions.pop(tp, None)
            self._workers.pop(tp, None)
            commits.forget(tp)
