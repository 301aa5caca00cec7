"""The default engine: our own HTTP/2 writer, one encoded request for a whole batch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pushcast.model.errors import ConfigurationError
from pushcast.providers.engines.engine import Columns, OnOutcomes
from pushcast.providers.http2.pool import Pool
from pushcast.providers.http2.request import Job, Outcomes, Template


class MulticastEngine:
    """Jobs for a pool. No task, future or timer per target: one future per exchange."""

    def __init__(self, make_pool: Callable[[], Pool]) -> None:
        self._make_pool = make_pool
        self._pool: Pool | None = None
        self._rotated_at = 0.0

    async def start(self) -> None:
        self._pool = self._make_pool()
        self._rotated_at = asyncio.get_running_loop().time()

    @property
    def pool(self) -> Pool:
        """For statistics. Raises ConfigurationError before `start`."""
        if self._pool is None:
            raise ConfigurationError("the engine was not started")
        return self._pool

    async def exchange(
        self, template: Template, columns: Columns, size: int, deadline_at: float, on_outcomes: OnOutcomes
    ) -> None:
        pool = self.pool
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        left = size

        def collect(outcomes: Outcomes) -> None:
            nonlocal left
            if done.done():
                return
            left -= len(outcomes)
            try:
                on_outcomes(outcomes)
            except Exception as error:  # the caller's fault: it hears of it, the connection does not
                done.set_exception(error)
                return
            if left == 0:
                done.set_result(None)

        await pool.room(size)
        job = Job(template, columns, deadline_at, collect)
        pool.submit(job)
        try:
            await done
        except asyncio.CancelledError:
            pool.cancel(job)
            raise

    def replace_connections(self, opened_before: float) -> None:
        if self._pool is not None and self._rotated_at < opened_before:
            self._rotated_at = asyncio.get_running_loop().time()
            self._pool.rotate()

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()
