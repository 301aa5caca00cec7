"""The tasks in which stages run: what they raise, and their end within a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from pushcast.stream.batch import TP
from pushcast.stream.fatal import end_process
from pushcast.stream.retrying import RETRIED
from pushcast.transport.partition import Partition

if TYPE_CHECKING:
    from pushcast.stream.stage import BatchStage

logger = logging.getLogger(__name__)


def watch(task: asyncio.Task[None]) -> None:
    """A done callback: an unexpected error of a task that works as long as its process ends that, unacknowledged. Other
    tasks would go on, and nobody would know what is not done any more."""
    exc = None if task.cancelled() else task.exception()
    if exc is not None:
        end_process(f"{getattr(task.get_coro(), '__qualname__', 'a task')} failed", exc)


async def revoke_stages(partitions: Mapping[TP, Partition], deadline: float) -> None:
    """Has every stage of these partitions give them back, up to the deadline on the loop's clock.

    An error that is not Kafka's or the network's ends the process.
    """
    by_stage: dict[int, tuple[BatchStage, set[TP]]] = {}
    for tp, partition in partitions.items():
        by_stage.setdefault(id(partition.stage), (partition.stage, set()))[1].add(tp)
    tasks = [asyncio.create_task(stage.revoking(tps)) for stage, tps in by_stage.values()]
    await finished(tasks, max(deadline - asyncio.get_running_loop().time(), 0.1))
    for task in tasks:
        exc = None if task.cancelled() else task.exception()
        if isinstance(exc, RETRIED):
            logger.warning("a stage could not finish before its partitions went: %r", exc)
        elif exc is not None:
            end_process("a stage failed while its partitions went", exc)


async def finished(tasks: Iterable[asyncio.Task[None]], limit_seconds: float) -> None:
    """Waits for the tasks, and cancels those that take longer."""
    pending: Sequence[asyncio.Task[None]] = [task for task in tasks if not task.done()]
    if pending:
        _, late = await asyncio.wait(pending, timeout=limit_seconds)
        if late:
            logger.warning("%d tasks did not finish within %.1f s and are cancelled", len(late), limit_seconds)
        await cancelled(late)


async def cancelled(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancels the tasks and waits for their end, at most 5 s."""
    pending = [task for task in tasks if not task.done()]
    for task in pending:
        task.cancel()
    if pending:
        await asyncio.wait(pending, timeout=5.0)
