"""Connections to as many push services as there are, a bounded number of them at a time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from pushcast.http2.pool_stats import PoolStats
from pushcast.providers.engines.engine import Engine
from pushcast.providers.webpush.endpoints import Origin


class _Held:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.users = 0


class Origins:
    """One engine per origin, at most `max_origins` with those that are being closed; the longest unused goes first.

    When all are in use `acquire` waits for one to be given back. Belongs to one running event loop.
    """

    def __init__(self, make_engine: Callable[[Origin], Engine], max_origins: int) -> None:
        self._make_engine = make_engine
        self._max_origins = max_origins
        self._held: OrderedDict[Origin, _Held] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()
        self._waiters: dict[asyncio.Future[None], Origin] = {}

    @property
    def origins(self) -> list[Origin]:
        """Origins with an engine, the longest unused first."""
        return list(self._held)

    @property
    def slow(self) -> bool:
        """What is used waits for a slow origin."""
        return any(held.users and held.engine.slow for held in self._held.values())

    def pools(self) -> list[PoolStats]:
        return [stats for held in self._held.values() for stats in held.engine.pools()]

    async def acquire(self, origin: Origin) -> Engine:
        """The origin's engine, which stays open until `release`. Waits without bound: give it a time limit."""
        while True:
            held = self._held.get(origin)
            if held is not None:
                self._held.move_to_end(origin)
                held.users += 1
                return held.engine
            if len(self._held) + len(self._closing) < self._max_origins:
                held = self._held[origin] = _Held(self._make_engine(origin))
                held.users += 1
                await held.engine.start()
                return held.engine
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters[waiter] = origin
            self._evict()
            try:
                await waiter
            finally:
                self._waiters.pop(waiter, None)

    def release(self, origin: Origin) -> None:
        """Once for each `acquire`."""
        held = self._held[origin]
        held.users -= 1
        if not held.users:
            self._wake()

    def _evict(self) -> None:
        """One idle engine for each origin that is waited for, and for which none is being closed yet."""
        idle = [origin for origin, held in self._held.items() if not held.users]
        for origin in idle[: max(0, len(set(self._waiters.values())) - len(self._closing))]:
            task = asyncio.create_task(self._held.pop(origin).engine.close())
            self._closing.add(task)
            task.add_done_callback(self._closed)

    def _closed(self, task: asyncio.Task[None]) -> None:
        self._closing.discard(task)
        self._wake()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, {}
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def close(self) -> None:
        """Closes all. Call it when nothing is acquired."""
        await asyncio.gather(*self._closing, return_exceptions=True)
        while self._held:
            _, held = self._held.popitem()
            await held.engine.close()
