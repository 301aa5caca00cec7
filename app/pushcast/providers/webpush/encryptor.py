"""Encryption for many: a little at a time on the loop, or in other processes where there are cores to spare.

Threads would not help: `cryptography` 50 keeps the interpreter lock (2 threads took as long as 1, measured).
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from multiprocessing.connection import wait
from typing import Final

import structlog

from pushcast.providers.webpush.encryption import encrypt

# About a millisecond, then others on the loop have their turn.
AT_A_TIME: Final = 12
# Below so many a trip to another process costs more than it saves.
_WORTH_A_TRIP: Final = 48
_CHUNK: Final = 64
MAX_PROCESSES: Final = 4
Item = tuple[bytes, bytes, bytes]  # plaintext, receiver point, authentication secret

log = structlog.get_logger(__name__)


def spare_processes() -> int:
    """Processes worth having beside this one and whoever feeds it: none on a machine of two cores."""
    # macOS keeps no process to some of its cores.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0
    return max(0, min(MAX_PROCESSES, cores - 2))


def encrypt_all(items: Sequence[Item]) -> list[bytes | None]:
    """A body for each; None where the receiver's point is not on the curve."""
    return [_encrypt_one(item) for item in items]


def _encrypt_one(item: Item) -> bytes | None:
    try:
        return encrypt(*item)
    except ValueError:
        return None


class _Job:
    __slots__ = ("bodies", "done", "left", "next", "plaintexts", "receivers")

    def __init__(self, plaintexts: Sequence[bytes], receivers: Sequence[tuple[bytes, bytes]]) -> None:
        self.plaintexts = plaintexts
        self.receivers = receivers
        self.bodies: list[bytes | None] = [None] * len(receivers)
        self.left = len(receivers)
        self.next = 0
        self.done: asyncio.Future[list[bytes | None]] = asyncio.get_running_loop().create_future()

    def put(self, position: int, body: bytes | None) -> None:
        self.bodies[position] = body
        self.left -= 1
        if not self.left and not self.done.done():
            self.done.set_result(self.bodies)


class Encryptor:
    """Serves jobs in order. Belongs to one running event loop; processes start when there is first enough to do."""

    def __init__(self, processes: int | None = None) -> None:
        """`processes` 0: all on the loop; None: `spare_processes`."""
        self._processes = spare_processes() if processes is None else processes
        self._pool: ProcessPoolExecutor | None = None
        self._jobs: deque[_Job] = deque()
        self._backlog = 0
        self._trips: set[asyncio.Task[None]] = set()
        self._turn_due = False

    async def encrypt(
        self, plaintexts: Sequence[bytes], receivers: Sequence[tuple[bytes, bytes]]
    ) -> list[bytes | None]:
        """Bodies in the order of `receivers` (point, authentication secret); None where a point is not on the curve.

        What is cancelled is not encrypted any more.
        """
        if not receivers:
            return []
        job = _Job(plaintexts, receivers)
        self._jobs.append(job)
        self._backlog += len(receivers)
        self._turn_soon()
        return await job.done

    async def close(self) -> None:
        """Ends the processes. Call it when nothing is encrypted."""
        await asyncio.gather(*self._trips, return_exceptions=True)
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.get_running_loop().run_in_executor(None, pool.shutdown)

    def _turn_soon(self) -> None:
        if not self._turn_due and self._jobs:
            self._turn_due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._turn_due = False
        while self._processes and self._backlog >= _WORTH_A_TRIP and len(self._trips) < 2 * self._processes:
            trip = asyncio.get_running_loop().create_task(self._travel(self._take(_CHUNK)))
            self._trips.add(trip)
            trip.add_done_callback(self._returned)
        if not self._trips or self._backlog < _WORTH_A_TRIP:
            self._encrypt_here(self._take(AT_A_TIME))
            self._turn_soon()

    def _take(self, count: int) -> list[tuple[_Job, int]]:
        """The next so many of the oldest jobs, without those of cancelled ones."""
        taken: list[tuple[_Job, int]] = []
        while self._jobs and len(taken) < count:
            job = self._jobs[0]
            end = len(job.receivers)
            if not job.done.done():
                end = min(end, job.next + count - len(taken))
                taken += [(job, position) for position in range(job.next, end)]
            self._backlog -= end - job.next
            job.next = end
            if end == len(job.receivers):
                self._jobs.popleft()
        return taken

    def _encrypt_here(self, taken: list[tuple[_Job, int]]) -> None:
        for job, position in taken:
            job.put(position, _encrypt_one((job.plaintexts[position], *job.receivers[position])))

    async def _travel(self, taken: list[tuple[_Job, int]]) -> None:
        items = [(job.plaintexts[position], *job.receivers[position]) for job, position in taken]
        try:
            bodies = await asyncio.get_running_loop().run_in_executor(self._started(), encrypt_all, items)
        except (BrokenExecutor, OSError) as error:
            log.warning("webpush_encryption_on_the_loop", problem=f"{type(error).__name__}: {error}")
            self._processes = 0
            self._encrypt_here(taken)
            return
        for (job, position), body in zip(taken, bodies, strict=True):
            job.put(position, body)

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._processes, mp_context=context, initializer=_begin)
        return self._pool

    def _returned(self, trip: asyncio.Task[None]) -> None:
        self._trips.discard(trip)
        self._turn_soon()


def _begin() -> None:
    """In a new process: it ends with its parent, however that ends, and not before."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(0)
