"""Requests that wait for a stream, and the bounds on how many wait and how many are out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from pushcast.http2.request import UNHEARD, WAITED, Kind, Outcomes, RequestJob, Response


class QueueFull(Exception):
    """More targets would wait than `max_waiting`; await room first."""


def deliver(jobs: Iterable[RequestJob], on_error: Callable[[Exception], None]) -> None:
    """Hands over what was collected in `outbox`, one list per job."""
    for job in jobs:
        outcomes: Outcomes = job.outbox
        if not outcomes:
            continue
        job.outbox = []
        job.unfinished -= len(outcomes)
        try:
            job.on_outcomes(outcomes)
        except Exception as error:  # a caller's fault must not end a connection that others share
            on_error(error)


class WorkQueue:
    """Jobs in order of submission; requests the server did not process come back to the front.

    Shared by the connections of a pool. `waiting` counts targets without a stream, `in_flight` those with one.
    """

    def __init__(self, *, max_waiting: int, max_in_flight: int, on_error: Callable[[Exception], None]) -> None:
        self.max_waiting = max_waiting
        self.max_in_flight = max_in_flight
        self.in_flight = 0
        self._most_in_flight = 0
        self.waiting = 0
        self.on_error = on_error
        self._jobs: deque[RequestJob] = deque()
        self._room_waiters: list[asyncio.Future[None]] = []

    def note_in_flight(self, change: int) -> None:
        """So many more, or fewer, have a stream."""
        self.in_flight += change
        self._most_in_flight = max(self._most_in_flight, self.in_flight)

    def most_in_flight(self) -> int:
        """The most that were out since this was asked last."""
        most, self._most_in_flight = self._most_in_flight, self.in_flight
        return most

    def _full_for(self, count: int) -> bool:
        return self.waiting > 0 and self.waiting + count > self.max_waiting

    def submit(self, job: RequestJob, now: float) -> None:
        """Raises QueueFull. A job larger than `max_waiting` is taken when nothing else waits."""
        if self._full_for(job.size):
            raise QueueFull(f"{self.waiting} targets wait; {job.size} more exceed max_waiting {self.max_waiting}")
        if job.size:
            self.waiting += job.size
            job.leave_by = now + job.timeout_seconds
            job.queued = True
            self._jobs.append(job)

    async def room(self, count: int) -> None:
        """Returns when `count` more targets may wait; submit before the next await, or others may be quicker."""
        while self._full_for(count):
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._room_waiters.append(future)
            await future

    def _left(self, count: int) -> None:
        self.waiting -= count
        if self._room_waiters and self.waiting * 2 <= self.max_waiting:
            waiters, self._room_waiters = self._room_waiters, []
            for future in waiters:
                if not future.done():
                    future.set_result(None)

    def head(self) -> RequestJob | None:
        """The job to take from next; never one that has nothing left to take."""
        while self._jobs:
            job = self._jobs[0]
            if job.again or job.next_index < job.size:
                return job
            job.queued = False
            self._jobs.popleft()
        return None

    def take(self, job: RequestJob, count: int) -> Sequence[int]:
        """At most `count` indices of the head job; fewer, even none, where some were cancelled."""
        taken: Sequence[int]
        if job.again:
            taken = job.again[:count]
            del job.again[:count]
        else:
            taken = range(job.next_index, min(job.size, job.next_index + count))
            job.next_index = taken.stop
        if job.cancelled:
            gone = job.cancelled.intersection(taken)
            job.cancelled -= gone
            taken = [index for index in taken if index not in gone]
        self._left(len(taken))
        return taken

    def give_back(self, job: RequestJob, indices: Sequence[int]) -> None:
        """Requests that were taken but not processed wait again, in front of everything else."""
        if not indices:
            return
        job.again.extend(indices)
        self.waiting += len(indices)
        if not job.queued:
            job.queued = True
            self._jobs.appendleft(job)

    def cancel(self, job: RequestJob, indices: Iterable[int]) -> list[int]:
        """Ends those of `indices` that wait, as UNSENT "cancelled", and returns the others. Delivers."""
        again = set(job.again)
        others: list[int] = []
        ended: list[int] = []
        for index in indices:
            if index in again:
                again.discard(index)
                ended.append(index)
            elif job.next_index <= index < job.size and index not in job.cancelled:
                job.cancelled.add(index)
                ended.append(index)
            else:
                others.append(index)
        if ended:
            job.again = [index for index in job.again if index in again]
            self._end(job, ended, "cancelled")
            deliver((job,), self.on_error)
        return others

    def expire(self, now: float, answered_at: float) -> None:
        """Ends what waited beyond its time, as UNSENT: WAITED when the server has answered anything meanwhile
        (`answered_at`: when it did so last), else UNHEARD. Delivers."""
        late = [job for job in self._jobs if job.leave_by <= now]
        if late:
            self._jobs = deque(job for job in self._jobs if job.leave_by > now)
            for job in late:
                began_at = job.leave_by - job.timeout_seconds
                self._end_all([job], WAITED if answered_at > began_at else UNHEARD)

    def end_all(self, fault: str) -> None:
        """Ends everything that waits, as UNSENT. Delivers."""
        jobs, self._jobs = list(self._jobs), deque()
        self._end_all(jobs, fault)

    def _end_all(self, jobs: list[RequestJob], fault: str) -> None:
        for job in jobs:
            job.queued = False
            rest = [index for index in range(job.next_index, job.size) if index not in job.cancelled]
            self._end(job, [*job.again, *rest], fault)
            job.again = []
            job.cancelled = set()
            job.next_index = job.size
        deliver(jobs, self.on_error)

    def _end(self, job: RequestJob, indices: Sequence[int], fault: str) -> None:
        response = Response(Kind.UNSENT, fault=fault)
        job.outbox.extend((index, response) for index in indices)
        self._left(len(indices))
