"""Pools over real sockets for tests. Time is either real and only waited for, or handed in through `tick`."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from pushcast.http2.dial import Endpoint
from pushcast.http2.errors import ConnectionFault
from pushcast.http2.options import PoolOptions
from pushcast.http2.pool import Pool
from unit.http2.scripted import Server, until, within
from unit.http2.wire import Sent, make_job

QUICK = PoolOptions(tick_seconds=0.005, backoff_seconds=0.005, backoff_cap_seconds=0.02, max_connections=4)


@asynccontextmanager
async def pooling(
    server: Server,
    options: PoolOptions = QUICK,
    faults: list[ConnectionFault] | None = None,
    clock: Callable[[], float] | None = None,
) -> AsyncIterator[Pool]:
    """The thread's CPU clock stands still, so that only streams limit."""
    pool = Pool(
        Endpoint(host="127.0.0.1", port=server.port),
        options,
        on_end=None if faults is None else faults.append,
        rng=random.Random(1),
        clock=clock,
        cpu_clock=lambda: 0.0,
    )
    try:
        yield pool
    finally:
        await within(pool.close())


class Clock:
    """The loop's clock, `ahead` seconds later."""

    ahead = 0.0

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.ahead


def submit(pool: Pool, count: int, *, seconds: float = 60.0, first: int = 0) -> Sent:
    sent = make_job(count, timeout_seconds=seconds, first=first)
    pool.submit(sent.job)
    return sent


async def finished(*jobs: Sent) -> None:
    await until(lambda: all(sent.job.unfinished == 0 for sent in jobs))
