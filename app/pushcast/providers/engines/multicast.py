"""The default engine: our own HTTP/2 writer, one encoded request for a whole batch.

Small exchanges of one turn of the loop that share a template, and whoever says whether they may leave, travel as one
job, so that many messages with one target each cost little more than one message with many targets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pushcast.http2.leave import MayLeave, always
from pushcast.http2.pool import Pool
from pushcast.http2.pool_stats import PoolStats
from pushcast.http2.queue import QueueFull
from pushcast.http2.request import Outcomes, RequestJob, Template
from pushcast.model.errors import ConfigurationError
from pushcast.providers.engines.engine import GATHERED_TARGETS, MAX_GATHERED, Columns, OnOutcomes


class MulticastEngine:
    """Jobs for a pool. No task or timer per target or exchange: one future per exchange."""

    def __init__(self, make_pool: Callable[[], Pool]) -> None:
        self._make_pool = make_pool
        self._pool: Pool | None = None
        self._rotated_at = 0.0
        self._groups: dict[tuple[Template, float, MayLeave], _Group] = {}
        self._submissions: set[asyncio.Task[None]] = set()
        self._flushing = False

    @property
    def slow(self) -> bool:
        return self._pool is not None and self._pool.slow

    async def start(self) -> None:
        self._pool = self._make_pool()
        self._rotated_at = asyncio.get_running_loop().time()

    def open_ahead(self) -> None:
        self.pool.open_ahead()

    def pools(self) -> list[PoolStats]:
        return [] if self._pool is None else [self._pool.stats]

    @property
    def pool(self) -> Pool:
        """For statistics. Raises ConfigurationError before `start`."""
        if self._pool is None:
            raise ConfigurationError("the engine was not started")
        return self._pool

    async def exchange(
        self,
        template: Template,
        columns: Columns,
        size: int,
        timeout_seconds: float,
        on_outcomes: OnOutcomes,
        may_leave: MayLeave = always,
    ) -> None:
        pool = self.pool
        member = _Member(on_outcomes, size, asyncio.get_running_loop().create_future())
        if size <= GATHERED_TARGETS and template.columns:
            group = self._gather(template, columns, size, timeout_seconds, member, may_leave)
        else:
            await pool.room(size)
            group = _Group(template, timeout_seconds, may_leave)
            group.add(columns, size, member)
            group.submit(pool)
        try:
            await member.done
        except asyncio.CancelledError:
            group.cancel(pool, member)
            raise

    def _gather(
        self,
        template: Template,
        columns: Columns,
        size: int,
        timeout_seconds: float,
        member: _Member,
        may_leave: MayLeave,
    ) -> _Group:
        key = (template, timeout_seconds, may_leave)
        group = self._groups.get(key)
        if group is None or len(group.owners) + size > MAX_GATHERED:
            if group is not None:
                self._submit(group)
            group = self._groups[key] = _Group(template, timeout_seconds, may_leave)
            if not self._flushing:
                self._flushing = True
                asyncio.get_running_loop().call_soon(self._flush)
        group.add(columns, size, member)
        return group

    def _flush(self) -> None:
        self._flushing = False
        groups, self._groups = self._groups, {}
        for group in groups.values():
            self._submit(group)

    def _submit(self, group: _Group) -> None:
        try:
            group.submit(self.pool)
        except QueueFull:
            task = asyncio.get_running_loop().create_task(self._submit_later(group))
            self._submissions.add(task)
            task.add_done_callback(self._submissions.discard)

    async def _submit_later(self, group: _Group) -> None:
        await self.pool.room(len(group.owners))
        group.submit(self.pool)

    def replace_connections(self, opened_before: float) -> None:
        if self._pool is not None and self._rotated_at <= opened_before:  # uvloop counts milliseconds
            self._rotated_at = asyncio.get_running_loop().time()
            self._pool.rotate()

    async def close(self) -> None:
        for task in self._submissions:
            task.cancel()
        await asyncio.gather(*self._submissions, return_exceptions=True)
        if self._pool is not None:
            await self._pool.close()


class _Member:
    """One exchange within a group: targets `start` to `start` + size of its job."""

    __slots__ = ("done", "inbox", "left", "on_outcomes", "size", "start")

    def __init__(self, on_outcomes: OnOutcomes, size: int, done: asyncio.Future[None]) -> None:
        self.on_outcomes = on_outcomes
        self.size = size
        self.left = size
        self.start = 0
        self.done = done
        self.inbox: Outcomes = []

    def deliver(self, outcomes: Outcomes) -> None:
        """A cancelled exchange hears nothing more; what its callback raises is its own caller's to know."""
        if self.done.done():
            return
        self.left -= len(outcomes)
        try:
            self.on_outcomes(outcomes)
        except Exception as error:
            self.done.set_exception(error)
            return
        if self.left == 0:
            self.done.set_result(None)


class _Group:
    """Exchanges that become one job."""

    __slots__ = ("_cancelled", "_columns", "_job", "_may_leave", "_members", "_template", "_timeout_seconds", "owners")

    def __init__(self, template: Template, timeout_seconds: float, may_leave: MayLeave) -> None:
        self.owners: list[_Member] = []
        self._template = template
        self._timeout_seconds = timeout_seconds
        self._may_leave = may_leave
        self._columns: list[Any] = []
        self._members = 0
        self._job: RequestJob | None = None
        self._cancelled: list[range] = []

    def add(self, columns: Columns, size: int, member: _Member) -> None:
        member.start = len(self.owners)
        if not self._members:
            self._columns = list(columns)
        else:
            if self._members == 1:
                self._columns = [list(column) for column in self._columns]
            for mine, theirs in zip(self._columns, columns, strict=True):
                mine.extend(theirs)
        self._members += 1
        self.owners.extend([member] * size)

    def submit(self, pool: Pool) -> None:
        """Raises QueueFull and can then be called again."""
        collect = self._owner_of_all if self._members == 1 else self._distribute
        job = RequestJob(self._template, self._columns, self._timeout_seconds, collect, may_leave=self._may_leave)
        pool.submit(job)
        self._job = job
        for cancelled in self._cancelled:
            pool.cancel(job, cancelled)

    def cancel(self, pool: Pool, member: _Member) -> None:
        """Before it is submitted as after it, what has not left does not leave."""
        indices = range(member.start, member.start + member.size)
        if self._job is None:
            self._cancelled.append(indices)
        else:
            pool.cancel(self._job, indices)

    def _owner_of_all(self, outcomes: Outcomes) -> None:
        self._forget_when_done()
        self.owners[0].deliver(outcomes)

    def _forget_when_done(self) -> None:
        # Job and group know each other: left so, each job's columns would wait for the garbage collector.
        if self._job is not None and not self._job.unfinished:
            self._job = None

    def _distribute(self, outcomes: Outcomes) -> None:
        self._forget_when_done()
        owners = self.owners
        touched: dict[_Member, None] = {}
        for index, response in outcomes:
            member = owners[index]
            member.inbox.append((index - member.start, response))
            touched[member] = None
        for member in touched:
            inbox, member.inbox = member.inbox, []
            member.deliver(inbox)
