"""What a provider asks of an engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

from pushcast.http2.leave import MayLeave, always
from pushcast.http2.pool_stats import PoolStats
from pushcast.http2.request import Outcomes, Response, Template, Wrapped

OnOutcomes = Callable[[Outcomes], None]
Columns = Sequence[Sequence[Any]]
# Above so many targets nothing is gathered with others: it would copy more than it saves.
GATHERED_TARGETS: Final = 32
MAX_GATHERED: Final = 1000
# A reference engine keeps no more of a response's body.
MAX_BODY_BYTES: Final = 16_384
# A request that is out for so long where no other may leave beside it: its server is slow.
SLOW_SECONDS: Final = 2.0
# What counts of the time between two looks: SEND looks so often at what waits (`departures.LOOK_AGAIN_SECONDS`).
_LOOK_SECONDS: Final = 0.5


class Engine(Protocol):
    """Connections with one credential. Construction needs no loop."""

    @property
    def slow(self) -> bool:
        """What the server's answers take keeps more requests from leaving."""
        ...

    async def start(self) -> None:
        """Must not fail because the provider is away."""
        ...

    def pools(self) -> list[PoolStats]:
        """Its pool of connections, when it is one of ours."""
        ...

    async def exchange(
        self,
        template: Template,
        columns: Columns,
        size: int,
        timeout_seconds: float,
        on_outcomes: OnOutcomes,
        may_leave: MayLeave = always,
    ) -> None:
        """Sends `size` requests; returns when each had its outcome, in any order.

        `timeout_seconds`: how long a request may wait to leave, and then how long its answer may take. The second time
        begins when the request has left, as far as the engine can tell, and is over only when what lies in the socket
        has been read: no waiting of ours makes a request doubtful.

        What `may_leave` says no to, just before it is written, is UNSENT "not_ours". Never raises for what a server or
        a network does. Cancelling it cancels what has not left and reports nothing
        more.
        """
        ...

    def replace_connections(self, opened_before: float) -> None:
        """New requests go on connections opened after this loop time; older ones finish what they have."""
        ...

    async def close(self) -> None:
        """Call it after the last `exchange` has returned."""
        ...


@runtime_checkable
class OpensConnections(Protocol):
    """An engine that can have a connection before there is work for one."""

    def open_ahead(self) -> None:
        """Begins to open one, unless it has one. Returns at once; a server that is away is asked again by the first
        request."""
        ...


class EngineRequest(NamedTuple):
    """One target's request, for engines that know no templates."""

    path: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes


def materialize(template: Template, columns: Columns, index: int) -> EngineRequest:
    """The POST request that a template and its columns stand for."""
    headers = [field for field in template.shared_fields if not field[0].startswith(b":")]
    path = template.path if isinstance(template.path, bytes) else b""
    for varying, column in zip(template.varying, columns, strict=False):
        value = column[index]
        if varying.name == b":path":
            path = varying.prefix + value
        elif value is not None:
            headers.append((varying.name, varying.prefix + value))
    body = template.body
    if isinstance(body, Wrapped):
        body = body.prefix + columns[-1][index] + body.suffix
    return EngineRequest(path, headers, body)


class Slots:
    """So many requests at a time, for engines whose limit is fixed. Use it as a context manager around each."""

    def __init__(self, most: int, clock: Callable[[], float] | None = None) -> None:
        """`clock` in seconds, monotonic; the running loop's unless a test has its own."""
        self._most = most
        self._clock = clock
        self._semaphore = asyncio.Semaphore(most)
        self._began_at: dict[object, float] = {}  # oldest first; on `_attended`
        self._looked_at = 0.0
        self._away_seconds = 0.0

    @property
    def slow(self) -> bool:
        """All are taken, and the oldest request has been out for long. A look counts half a second at most: a later one
        had no CPU, or nothing that waited."""
        now = self._attended()
        if len(self._began_at) < self._most:
            return False
        return now - next(iter(self._began_at.values())) >= SLOW_SECONDS

    def _attended(self) -> float:
        now = asyncio.get_running_loop().time() if self._clock is None else self._clock()
        self._away_seconds += max(0.0, now - self._looked_at - _LOOK_SECONDS)
        self._looked_at = now
        return now - self._away_seconds

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Waits for a place and holds it."""
        async with self._semaphore:
            place = object()
            self._began_at[place] = self._attended()
            try:
                yield
            finally:
                del self._began_at[place]


class OutcomeBuffer:
    """Gathers the outcomes of one turn of the loop into one list, for engines that end requests one by one."""

    def __init__(self, on_outcomes: OnOutcomes) -> None:
        self._on_outcomes = on_outcomes
        self._outcomes: Outcomes = []
        self._loop = asyncio.get_running_loop()
        self._open = True

    def add(self, index: int, response: Response) -> None:
        if not self._outcomes:
            self._loop.call_soon(self.flush)
        self._outcomes.append((index, response))

    def flush(self) -> None:
        if self._outcomes and self._open:
            outcomes, self._outcomes = self._outcomes, []
            self._on_outcomes(outcomes)

    def close(self) -> None:
        """Nothing is reported after this."""
        self._open = False


async def run_each(size: int, concurrency: int, one: Callable[[int], Any]) -> None:
    """Awaits `one(index)` for every index, at most `concurrency` at a time; ends all when one raises or on cancel."""
    indices = iter(range(size))

    async def worker() -> None:
        for index in indices:
            await one(index)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(size, concurrency)):
            group.create_task(worker())
